from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.contract.partitions import Cadence, Calendar, span_key

NEW_YORK = Calendar("daily", "America/New_York")
DAYS = st.dates(date(2000, 1, 1), date(2040, 12, 31))


def calendars(cadence: Cadence) -> Calendar:
    return Calendar(cadence, "UTC" if cadence == "hourly" else "America/New_York")


def test_a_local_day_may_last_23_or_25_hours() -> None:
    hours = {key: NEW_YORK.partition(key) for key in ("2013-03-10", "2013-07-01", "2013-11-03")}
    lengths = [part.cutoff - part.start.astimezone(UTC) for part in hours.values()]
    assert lengths == [timedelta(hours=23), timedelta(hours=24), timedelta(hours=25)]


def test_the_cutoff_is_the_end_in_utc() -> None:
    assert NEW_YORK.partition("2013-01-01").cutoff == datetime(2013, 1, 2, 5, tzinfo=UTC)


@given(DAYS, st.integers(0, 40), st.sampled_from(["hourly", "daily", "weekly"]))
def test_the_key_of_a_span_names_the_same_partitions_again(day: date, length: int, cadence: Cadence) -> None:
    calendar = calendars(cadence)
    first = calendar.containing(datetime(day.year, day.month, day.day, 12, tzinfo=UTC))
    partitions = calendar.span(first, calendar.shift(first, length))
    assert len(partitions) == length + 1
    assert calendar.parse(span_key(partitions)) == partitions


@given(DAYS, st.sampled_from(["hourly", "daily", "weekly"]))
def test_partitions_follow_each_other_without_gap(day: date, cadence: Cadence) -> None:
    calendar = calendars(cadence)
    part = calendar.containing(datetime(day.year, day.month, day.day, 12, tzinfo=UTC))
    assert calendar.shift(part, 1).start == part.end
    assert calendar.shift(calendar.shift(part, 1), -1) == part
    assert calendar.containing(part.start) == part
    assert calendar.containing(part.end) == calendar.shift(part, 1)


@pytest.mark.parametrize(
    ("calendar", "key", "said"),
    [
        (NEW_YORK, "2013-13-01", "not the key of a daily partition"),
        (NEW_YORK, "yesterday", "expected e.g. '2013-01-07'"),
        (Calendar("hourly", "UTC"), "2013-01-01", "expected e.g. '2013-01-07T00'"),
        (Calendar("weekly", "UTC"), "2013-01-01", "weeks start on Mondays"),
        (NEW_YORK, "2013-01-05/2013-01-01", "ends (2013-01-01) before it starts (2013-01-05)"),
    ],
)
def test_a_wrong_key_is_refused_with_what_was_expected(calendar: Calendar, key: str, said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        calendar.parse(key)


def test_partitions_are_parted_where_there_is_a_gap() -> None:
    named = [NEW_YORK.partition(key) for key in ("2013-03-11", "2013-03-09", "2013-03-10", "2013-03-13", "2013-03-10")]
    assert [span_key(span) for span in NEW_YORK.spans(named)] == ["2013-03-09/2013-03-11", "2013-03-13"]
    assert NEW_YORK.spans([]) == []


@given(st.sets(DAYS.filter(lambda day: day.year == 2013), max_size=20))
def test_spans_hold_each_partition_once_and_none_else(days: set[date]) -> None:
    partitions = {NEW_YORK.partition(day.isoformat()) for day in days}
    spans = NEW_YORK.spans(partitions)
    assert [each for span in spans for each in span] == sorted(partitions)
    assert all(NEW_YORK.parse(span_key(span)) == span for span in spans)
