"""The log of decisions: one JSON line each, only ever appended, chained so that a change to any line is noticed."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from include.history.chain import Head
from include.history.chained_file import NO_ENTRY, ChainedFile
from include.records import Record
from include.settings import get_settings

CHAMPIONS = ("promoted", "rolled back")  # outcomes that bring a version into production

Kind = Literal["gate", "approval", "promotion", "rollback", "rollout", "retraining"]


@dataclass(frozen=True)
class Decision(Record):
    """One decision. ``ValueError`` for a moment without a time zone and for a champion without a version."""

    use_case: str
    kind: Kind
    origin: str  # the attempt, an Airflow run
    outcome: str
    version: int | None
    previous: int | None
    reasons: tuple[str, ...]
    actor: str = ""  # who or what decided
    note: str = ""  # what a person wrote
    evidence: tuple[str, ...] = ()  # ids of what it was decided on
    details: dict[str, Any] = field(default_factory=dict)
    at: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="milliseconds"))

    def __post_init__(self) -> None:
        if self.moment.tzinfo is None:
            raise ValueError(f"at: {self.at!r} has no time zone")
        if self.outcome in CHAMPIONS and self.version is None:
            raise ValueError(f"version: missing, and it was {self.outcome}")

    @property
    def moment(self) -> datetime:
        return datetime.fromisoformat(self.at)


@dataclass(frozen=True, kw_only=True)
class Entry(Decision):
    """A decision as it is kept; ``parent`` is the hash of the entry before it, 64 zeros for the first."""

    sequence: int
    parent: str
    hash: str


def append(decision: Decision) -> Entry:
    """Keep the decision and return its entry.

    An attempt that is tried again is kept once: the same kind, origin, outcome and version is the entry that is there,
    unless what is in production has changed since. Raises ``HistoryError`` where the end of the log is not intact, and
    ``OSError`` where the entry could not be written.
    """
    file = _file(decision.use_case)
    content = decision.to_dict()
    with file.appending():
        for known in file.newest_first():
            if _attempt(known) == _attempt(content):
                return Entry.from_dict(known)
            if known.get("outcome") in CHAMPIONS:
                break
        return Entry.from_dict(file.add(content))


def read(use_case: str) -> list[Entry]:
    """All decisions about a use case, the oldest first; ``HistoryError`` where a line is no decision."""
    file = _file(use_case)
    return [_entry(file, number, content) for number, content in enumerate(file.read(), 1)]


def newest_first(use_case: str, outcomes: Collection[str] = ()) -> Iterator[Entry]:
    """The decisions from the end on, or those with one of the outcomes, reading no more of the log than is asked for.

    ``HistoryError`` where a line is no decision.
    """
    file = _file(use_case)
    found = ((-back, each) for back, each in enumerate(file.newest_first()))
    return (_entry(file, line, each) for line, each in found if not outcomes or each.get("outcome") in outcomes)


def head(use_case: str) -> Head | None:
    """The last entry's number and hash, to be kept elsewhere as an anchor; None where nothing was decided yet."""
    return _file(use_case).head()


def verify(use_case: str, anchor: Head | None = None) -> tuple[str, ...]:
    """What is wrong with the log, in words with the line's number; empty where it is whole.

    See ``ChainedFile.verify`` for what only an ``anchor`` can tell.
    """
    file = _file(use_case)
    problems = file.verify(anchor)
    if not problems:
        problems = {n: why for n, content in enumerate(file.read(), 1) if (why := _foreign(content, use_case))}
    return tuple(f"line {number}: {problem}" for number, problem in problems.items())


def _file(use_case: str) -> ChainedFile:
    cure = "put the file back from a copy, or move it aside to begin a new one"
    told = f"`python -m include.history {use_case} --verify` tells all that is wrong"
    return ChainedFile(get_settings().decisions / f"{use_case}.jsonl", f"{cure}; {told}")


def _attempt(content: Mapping[str, Any]) -> tuple[Any, ...]:
    """Of one attempt each generation of the ledger is a try of its own."""
    generation = (content.get("details") or {}).get("generation")
    return (*(content.get(name) for name in ("kind", "origin", "outcome", "version")), generation)


def _entry(file: ChainedFile, number: int, content: dict[str, Any]) -> Entry:
    try:
        return Entry.from_dict(content)
    except ValueError as error:
        raise file.broken(number, f"{NO_ENTRY} of a log of decisions") from error


def _foreign(content: dict[str, Any], use_case: str) -> str:
    """What is wrong with an entry that was not changed since it was written."""
    try:
        entry = Entry.from_dict(content)
    except ValueError:
        return f"{NO_ENTRY} of a log of decisions"
    return "" if entry.use_case == use_case else f"is about another use case, {entry.use_case}"
