"""What the pages show of the versions of a model: what the gate said of each, and what became of it."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from include.contract.loading import Folder
from include.deployment import ledger
from include.files import read_json
from include.gate.check import DECISIVE, Check
from include.history import recent
from include.history.chained_file import HistoryError
from include.history.log import Entry
from include.history.production import checks
from include.settings import get_settings

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Row:
    """A version: its newest verdict and the checks of it, the decisions about it (newest first), and its documents."""

    version: int
    gate: Entry | None
    checks: tuple[Check, ...]
    decisions: tuple[Entry, ...]
    role: str
    card: bool
    reproduction: str
    problem: str = ""

    @property
    def gain(self) -> str:
        """What there was to gain, in the gate's words."""
        return next((check.reason for check in self.checks if check.name in DECISIVE), "")

    @property
    def failed(self) -> tuple[Check, ...]:
        return tuple(check for check in self.checks if not check.passed)


@dataclass(frozen=True)
class Listing:
    """The versions that the newest decisions are about, the newest first."""

    rows: tuple[Row, ...]
    earlier: bool  # the log goes further back than was looked
    problem: str = ""


@dataclass(frozen=True)
class Detail:
    """One version, with the evidence of its decisions: what is kept of it, and which of that as a picture."""

    row: Row
    kept: frozenset[str] = field(default_factory=frozenset)
    pictured: frozenset[str] = field(default_factory=frozenset)


def listing(use_case: Folder, window: int = recent.WINDOW) -> Listing:
    """Read from the newest decisions: what it costs does not grow with the history."""
    name = use_case.config.name
    found: dict[int, list[Entry]] = {}
    read = 0
    try:
        for entry in recent.newest_first(name, window):
            read += 1
            if entry.version is not None and entry.kind != "retraining":
                found.setdefault(entry.version, []).append(entry)
        roles = _roles(name)
    except (HistoryError, ValueError) as error:
        return Listing((), earlier=False, problem=str(error))
    rows = [_row(name, version, found[version], roles) for version in sorted(found, reverse=True)]
    return Listing(tuple(rows), earlier=read == window)


def detail(use_case: Folder, version: int) -> Detail | None:
    """One version, looked for in all of the log; None where it knows nothing of it and there is no card.

    ``HistoryError`` where the log cannot be read.
    """
    name = use_case.config.name
    about = [each for each in recent.newest_first(name, None) if each.version == version and each.kind != "retraining"]
    if not about and not get_settings().card(name, version).is_file():
        return None
    folder = get_settings().evidence / name
    ids = {each for entry in about for each in entry.evidence}
    kept, pictured = (
        frozenset(each for each in ids if (folder / f"{each}.{kind}").is_file()) for kind in ("json", "svg")
    )
    return Detail(_row(name, version, about, _roles(name)), kept, pictured)


def _row(use_case: str, version: int, about: Sequence[Entry], roles: dict[int, str]) -> Row:
    gate = next((each for each in about if each.kind == "gate"), None)
    found: tuple[Check, ...] = ()
    problem = ""
    try:
        found = checks(gate) if gate else ()
    except ValueError as error:
        problem = str(error)
    made_again = _reproduction(use_case, version)
    return Row(
        version=version,
        gate=gate,
        checks=found,
        decisions=tuple(about),
        role=roles.get(version, ""),
        card=get_settings().card(use_case, version).is_file(),
        reproduction=str(read_json(made_again)["outcome"]) if made_again.is_file() else "",
        problem=problem,
    )


def _roles(use_case: str) -> dict[int, str]:
    """What a version is in production now. The log tells it where there is no ledger yet."""
    head = ledger.head(use_case)
    if head is None:
        last = recent.champion(use_case)
        return {last.version: "champion"} if last and last.version is not None else {}
    named = ((head.previous, "previous champion"), (head.challenger, head.mode), (head.champion, "champion"))
    return {version: role for version, role in named if version is not None}


def _reproduction(use_case: str, version: int) -> Path:
    return get_settings().reproductions / use_case / f"{version}.json"


def by_origin(use_case: Folder, origin: str) -> Row | None:
    """The version that a run judged, among the newest decisions; None where it judged none."""
    name = use_case.config.name
    try:
        judged = (each for each in recent.newest_first(name) if (each.kind, each.origin) == ("gate", origin))
        entry = next(judged, None)
        roles = _roles(name)
    except (HistoryError, ValueError):
        log.exception("%s: the log of decisions cannot be read", name)
        return None
    return _row(name, entry.version, [entry], roles) if entry is not None and entry.version is not None else None
