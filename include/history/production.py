"""Which version was in production when, and what brought it there: read off the decisions, without I/O."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta, tzinfo

from include.gate.check import Check
from include.history.log import CHAMPIONS, Decision, Entry
from include.records import Record


@dataclass(frozen=True)
class Period(Record):
    """A version in production, from ``since`` on and before ``until``; None: it still is. Both are instants."""

    version: int
    since: datetime
    until: datetime | None
    began: Entry
    ended: Entry | None
    gate: Entry | None  # the last verdict on the version before the period
    approval: Entry | None  # likewise, of a person

    @property
    def how(self) -> str:
        """``promoted`` or ``rolled back``."""
        return self.began.outcome

    @property
    def by(self) -> str:
        """Who brought the version into production; the attempt, where nobody is named."""
        return self.began.actor or self.began.origin


def periods(decisions: Sequence[Entry]) -> tuple[Period, ...]:
    """The periods in their order, each ended by the next; from the first on there is no time without a version.

    Decisions count in the order in which they were kept: a clock that was set back makes a period short, and never
    changes which version followed which. What was taken back has brought nothing into production.
    """
    found: list[Period] = []
    latest: dict[tuple[str, int | None], Entry] = {}
    for entry in decisions:
        latest[entry.kind, entry.version] = entry
        if entry.outcome not in CHAMPIONS or entry.version is None:
            continue
        since = entry.moment
        if found:
            since = max(since, found[-1].since)
            found[-1] = replace(found[-1], until=since, ended=entry)
        gate, approval = latest.get(("gate", entry.version)), latest.get(("approval", entry.version))
        found.append(Period(entry.version, since, None, entry, None, gate, approval))
    return tuple(found)


def in_production(periods: Sequence[Period], when: date | datetime, zone: tzinfo) -> tuple[Period, ...]:
    """The periods of a moment (one, or none before the first) or of a day from midnight to midnight in ``zone``."""
    if isinstance(when, datetime):
        return tuple(each for each in periods if each.since <= when and (each.until is None or when < each.until))
    start, end = (datetime.combine(day, time(), zone).astimezone(UTC) for day in (when, when + timedelta(days=1)))
    return tuple(
        each
        for each in periods
        # One that ended in the moment in which it began was in production on that day, too.
        if each.since < end and (each.until is None or each.until > start or each.since >= start)
    )


def asked_for(text: str, zone: tzinfo, now: datetime) -> date | datetime:
    """The day or the moment that a person names, on the clock of ``zone`` where the text has no zone of its own.

    ``ValueError`` for what is neither, and for what has not come yet: of that nothing is known.
    """
    when: date | datetime
    try:
        if "T" in text or " " in text.strip():
            moment = datetime.fromisoformat(text.strip())
            when = (moment if moment.tzinfo else moment.replace(tzinfo=zone)).astimezone(UTC)
            future = when > now
        else:
            when = date.fromisoformat(text.strip())
            future = when > now.astimezone(zone).date()
            datetime.combine(when, time(), zone).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError(
            f"{text!r} is neither a day nor a moment; expected e.g. 2026-11-21 or 2026-11-21T10:00"
        ) from None
    if future:
        raise ValueError(f"{text!r} has not come yet; name a day until {now.astimezone(zone):%Y-%m-%d}")
    return when


def checks(gate: Entry) -> tuple[Check, ...]:
    """The checks of a kept verdict; ``ValueError`` where its details are not those of a verdict."""
    try:
        return tuple(Check.from_dict(each) for each in gate.details.get("checks", ()))
    except (ValueError, TypeError) as error:
        raise ValueError(f"entry {gate.sequence}: its checks cannot be read: {error}") from error


def withdrawn(decisions: Sequence[Decision]) -> frozenset[int]:
    """The versions that a rollback took out of production and that no later rollback has brought back.

    A promotion brings none of them back: that is for a person to decide, who says so by a rollback.
    """
    champion: int | None = None
    found: set[int] = set()
    for each in decisions:
        if each.outcome not in CHAMPIONS or each.version is None:
            continue
        if each.kind == "rollback":
            if champion is not None and champion != each.version:
                found.add(champion)
            found.discard(each.version)
        champion = each.version
    return frozenset(found)
