"""Has the candidate learned from data that is recent enough?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from include.gate.check import Check, at_most, not_computed
from include.records import Record

DAY = timedelta(days=1)


@dataclass(frozen=True)
class Freshness(Record):
    """``ValueError`` for an instant without a time zone."""

    learned_until: datetime  # the end of all data that the candidate has seen
    newest: datetime  # the end of the data that there is by now

    def __post_init__(self) -> None:
        for name, instant in (("learned_until", self.learned_until), ("newest", self.newest)):
            if instant.tzinfo is None:
                raise ValueError(f"{name}: {instant} has no time zone")


def check(freshness: Freshness | None, maximum_age: timedelta) -> Iterator[Check]:
    """The candidate's data ends at most ``maximum_age`` before the newest data."""
    limit = maximum_age / DAY
    if freshness is None:
        yield not_computed("freshness", limit, "the age of the data that the candidate has learned from")
        return
    what = f"the age of the candidate's data (it ends {freshness.learned_until:%Y-%m-%d %H:%M %Z})"
    age = (freshness.newest - freshness.learned_until) / DAY
    why = f"there is data until {freshness.newest:%Y-%m-%d %H:%M %Z}; train anew"
    yield at_most("freshness", age, limit, what, unit="days", why=why)
