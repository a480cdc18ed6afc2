"""What the pages show of the history: which version was in production when, every decision, and whether it is whole."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from itertools import islice

from include.contract.loading import Folder
from include.gate.check import Check
from include.history import log as decisions
from include.history import recent
from include.history.chained_file import HistoryError
from include.history.log import Entry
from include.history.production import Period, asked_for, checks, in_production, periods
from include.settings import get_settings

log = logging.getLogger(__name__)

SHOWN = 200  # decisions on one page
WIDTH = 1000.0  # of the timeline, in its own units
NARROWEST = 3.0  # of a period that is seen at all
LABELLED = 40.0  # wide enough for its version's number


@dataclass(frozen=True)
class Bar:
    """A period on the timeline, in its units from the left end."""

    left: float
    width: float
    label: str
    how: str
    title: str


@dataclass(frozen=True)
class PeriodRow:
    """A period with its times in words, on the use case's clock."""

    period: Period
    since: str
    until: str


@dataclass(frozen=True)
class DecisionRow:
    """A decision, the checks of a verdict, and what keeps them from being shown.

    ``kept`` and ``pictured`` are the evidence ids of which there are the numbers, and a picture.
    """

    entry: Entry
    at: str
    kept: frozenset[str]
    pictured: frozenset[str]
    checks: tuple[Check, ...]
    problem: str


@dataclass(frozen=True)
class HistoryPage:
    """The history of a use case; without a day that was asked for, the answer is None."""

    name: str
    title: str
    zone: str
    on: str
    error: str
    answer: tuple[PeriodRow, ...] | None
    bars: tuple[Bar, ...]
    periods: tuple[PeriodRow, ...]
    decisions: tuple[DecisionRow, ...]
    earlier: int | None  # the number of the newest decision that is on the next page
    partial: bool  # the log goes further back than the periods
    problems: tuple[str, ...]


def page(use_case: Folder, on: str = "", until: int | None = None) -> HistoryPage:
    """Read from the log of decisions alone; of a longer one, the decisions up to the number ``until``.

    Only the newest decisions are read, unless a day is asked for or older ones are. Whether the log is whole is not
    asked here: for that all of it must be read (``include.history.log.verify``).
    """
    config, now = use_case.config, datetime.now(UTC)
    zone = config.calendar.zone
    entries, listed, problems = _entries(config.name, until, everything=bool(on))
    found = periods(entries)
    answer, error = _answer(found, on, zone, now)
    return HistoryPage(
        name=config.name,
        title=config.title,
        zone=config.timezone,
        on=on,
        error=error,
        answer=answer,
        bars=_bars(found, zone, now),
        periods=tuple(_period(each, zone) for each in reversed(found)),
        decisions=tuple(_decision(each, zone) for each in listed[:SHOWN]),
        earlier=listed[SHOWN].sequence if len(listed) > SHOWN else None,
        partial=bool(entries) and entries[0].sequence > 1,
        problems=problems,
    )


def _entries(use_case: str, until: int | None, *, everything: bool) -> tuple[list[Entry], list[Entry], tuple[str, ...]]:
    """The decisions for the periods, the oldest first; those for the table, the newest first and one too many.

    Last, what keeps them from being read.
    """
    try:
        seen = decisions.read(use_case) if everything else [*recent.newest_first(use_case)][::-1]
        backwards = recent.newest_first(use_case, None) if until is not None else reversed(seen)
        listed = [*islice((each for each in backwards if until is None or each.sequence <= until), SHOWN + 1)]
    except HistoryError as error:
        log.exception("%s: the log of decisions cannot be read", use_case)
        return [], [], (str(error),)
    return seen, listed, ()


def _answer(found: Sequence[Period], on: str, zone: tzinfo, now: datetime) -> tuple[tuple[PeriodRow, ...] | None, str]:
    """What was in production on the day that was asked for, or why that is not told."""
    if not on:
        return None, ""
    try:
        when = asked_for(on, zone, now)
    except ValueError as error:
        return None, str(error)
    return tuple(_period(each, zone) for each in in_production(found, when, zone)), ""


def _period(period: Period, zone: tzinfo) -> PeriodRow:
    return PeriodRow(period, _told(period.since, zone), _told(period.until, zone) if period.until else "now")


def _decision(entry: Entry, zone: tzinfo) -> DecisionRow:
    folder = get_settings().evidence / entry.use_case
    kept, pictured = (
        frozenset(each for each in entry.evidence if (folder / f"{each}.{kind}").is_file()) for kind in ("json", "svg")
    )
    found: tuple[Check, ...] = ()
    problem = ""
    try:
        found = checks(entry) if entry.kind == "gate" else ()
    except ValueError as error:
        problem = str(error)
    return DecisionRow(entry, _told(entry.moment, zone), kept, pictured, found, problem)


def _bars(found: Sequence[Period], zone: tzinfo, now: datetime) -> tuple[Bar, ...]:
    """The periods to scale from the first one's beginning until now; the shortest are drawn wider than they are."""
    if not found:
        return ()
    begin, end = found[0].since, max(now, found[-1].since)
    scale = WIDTH / max((end - begin).total_seconds(), 1.0)
    bars = []
    for each in found:
        left = (each.since - begin).total_seconds() * scale
        width = max(((each.until or end) - each.since).total_seconds() * scale, NARROWEST)
        left = min(left, WIDTH - width)
        row = _period(each, zone)
        title = f"version {each.version}, {each.how}: {row.since} to {row.until}"
        bars.append(Bar(left, width, str(each.version) if width >= LABELLED else "", each.how, title))
    return tuple(bars)


def _told(moment: datetime, zone: tzinfo) -> str:
    return f"{moment.astimezone(zone):%Y-%m-%d %H:%M}"
