"""Which version was in production when, read off the decisions."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.gate.check import Check, Verdict
from include.history.log import Entry
from include.history.production import Period, asked_for, checks, in_production, periods, withdrawn
from tests.history.made import BEGIN, decision, kept

NEW_YORK = ZoneInfo("America/New_York")
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


def at(hours: float) -> datetime:
    return BEGIN + timedelta(hours=hours)


def told(*decided: tuple[float, str, int]) -> list[Entry]:
    """Entries from (hours, outcome, version)."""
    return kept([decision(f"run {n}", outcome, v, hours=h) for n, (h, outcome, v) in enumerate(decided)])


def outline(found: tuple[Period, ...]) -> list[tuple[int, datetime, datetime | None, str]]:
    return [(each.version, each.since, each.until, each.how) for each in found]


def test_a_period_lasts_until_the_next_begins() -> None:
    entries = told((0, "promoted", 1), (5, "promoted", 2), (8, "rolled back", 1))
    found = periods(entries)
    assert outline(found) == [
        (1, at(0), at(5), "promoted"),
        (2, at(5), at(8), "promoted"),
        (1, at(8), None, "rolled back"),
    ]
    assert [each.began for each in found] == entries
    assert [each.ended for each in found] == [*entries[1:], None]


def test_what_was_taken_back_or_refused_was_never_in_production() -> None:
    found = periods(told((0, "promoted", 1), (1, "refused", 2), (2, "taken back", 2), (3, "taken back", 1)))
    assert outline(found) == [(1, at(0), None, "promoted")]


def test_nothing_was_in_production_before_the_first() -> None:
    assert periods([]) == ()
    assert in_production(periods(told((5, "promoted", 1))), at(4.9), UTC) == ()


def test_a_rollback_of_a_rollback_goes_forward_again() -> None:
    decided = [(0, "promoted", 1), (1, "promoted", 2), (2, "rolled back", 1), (3, "rolled back", 2)]
    entries = told(*decided)
    assert [each.version for each in periods(entries)] == [1, 2, 1, 2]
    assert withdrawn(entries[:3]) == {2}
    assert withdrawn(entries) == {1}


@pytest.mark.parametrize(
    ("decided", "out"),
    [
        ([], set()),
        ([(0, "promoted", 1), (1, "promoted", 2)], set()),
        ([(0, "promoted", 1), (1, "promoted", 2), (2, "promoted", 3), (3, "rolled back", 1)], {3}),
        ([(0, "promoted", 1), (1, "promoted", 2), (2, "rolled back", 1), (3, "promoted", 3)], {2}),
        ([(0, "promoted", 1), (1, "promoted", 2), (2, "rolled back", 1), (3, "promoted", 2)], {2}),
        ([(0, "promoted", 1), (1, "rolled back", 1)], set()),
        ([(0, "promoted", 1), (1, "taken back", 2), (2, "refused", 2)], set()),
        ([(0, "rolled back", 1)], set()),
    ],
)
def test_what_a_rollback_took_out_is_withdrawn_until_a_rollback_brings_it_back(
    decided: list[tuple[float, str, int]], out: set[int]
) -> None:
    assert withdrawn(told(*decided)) == out


def test_a_period_knows_the_last_verdict_and_approval_before_it() -> None:
    entries = kept(
        [
            decision("a", "refused", 2, hours=0),
            decision("b", "approved", 2, hours=1),
            decision("b", "approved", 2, hours=2, kind="approval", actor="ada", note="go"),
            decision("b", "promoted", 2, hours=3),
            decision("c", "refused", 2, hours=4),
            decision("c", "approved", 3, hours=5),
            decision("d", "promoted", 3, hours=6),
            decision("e", "rolled back", 2, hours=7),
        ]
    )
    first, second, third = periods(entries)
    assert (first.gate, first.approval) == (entries[1], entries[2])
    assert (second.gate, second.approval) == (entries[5], None)
    assert (third.gate, third.approval) == (entries[4], entries[2])


def test_a_period_is_by_its_actor_or_by_its_attempt() -> None:
    entries = kept([decision("run 1", version=1, actor="airflow user ada"), decision("run 2", version=2)])
    assert [each.by for each in periods(entries)] == ["airflow user ada", "run 2"]


def test_a_clock_that_was_set_back_changes_no_order() -> None:
    found = periods(told((5, "promoted", 1), (3, "promoted", 2), (7, "promoted", 3)))
    assert outline(found) == [
        (1, at(5), at(5), "promoted"),
        (2, at(5), at(7), "promoted"),
        (3, at(7), None, "promoted"),
    ]


def test_a_period_survives_being_written() -> None:
    for each in periods(told((0, "promoted", 1), (5, "promoted", 2))):
        assert Period.from_dict(each.to_dict()) == each


@pytest.mark.parametrize(("hours", "version"), [(0, 1), (4.99, 1), (5, 2), (7.99, 2), (8, 1), (10_000, 1)])
def test_a_moment_has_one_version(hours: float, version: int) -> None:
    found = periods(told((0, "promoted", 1), (5, "promoted", 2), (8, "rolled back", 1)))
    (period,) = in_production(found, at(hours), UTC)
    assert period.version == version


def test_a_day_is_that_of_the_use_case_s_clock() -> None:
    found = periods(told((0, "promoted", 1), (14.5, "promoted", 2), (20.5, "promoted", 3)))
    assert [each.version for each in in_production(found, date(2026, 11, 1), UTC)] == [1, 2]
    assert [each.version for each in in_production(found, date(2026, 11, 1), NEW_YORK)] == [1, 2]
    assert [each.version for each in in_production(found, date(2026, 11, 2), UTC)] == [2, 3]
    assert [each.version for each in in_production(found, date(2026, 11, 2), NEW_YORK)] == [2, 3]
    # 05:00 UTC is midnight of Nov 2 in New York, 20 hours after the beginning: the clocks went back on Nov 1.
    late = periods(told((0, "promoted", 1), (19.9, "promoted", 2)))
    assert [each.version for each in in_production(late, date(2026, 11, 1), NEW_YORK)] == [1, 2]
    assert [each.version for each in in_production(late, date(2026, 11, 2), NEW_YORK)] == [2]
    assert [each.version for each in in_production(late, date(2026, 11, 1), UTC)] == [1]
    assert in_production(found, date(2026, 10, 31), UTC) == ()


def test_a_period_that_ended_at_midnight_is_not_of_the_next_day() -> None:
    found = periods(told((0, "promoted", 1), (15, "promoted", 2)))
    assert [each.version for each in in_production(found, date(2026, 11, 1), UTC)] == [1]
    assert [each.version for each in in_production(found, date(2026, 11, 2), UTC)] == [2]


def test_a_version_that_was_there_for_no_time_is_of_its_day() -> None:
    found = periods(told((0, "promoted", 1), (1, "promoted", 2), (1, "rolled back", 1)))
    assert [each.version for each in in_production(found, date(2026, 11, 1), UTC)] == [1, 2, 1]
    assert [each.version for each in in_production(found, at(1), UTC)] == [1]


OUTCOMES = ("promoted", "rolled back", "taken back", "refused", "approved")
STEPS = st.lists(st.tuples(st.integers(-3, 40), st.sampled_from(OUTCOMES), st.integers(1, 4)), max_size=25)


@given(STEPS, st.lists(st.integers(-600, 60_000), max_size=20))
def test_periods_cover_exactly_the_times_with_a_champion(steps: list[tuple[int, str, int]], minutes: list[int]) -> None:
    hours, decided = 0.0, []
    for step, outcome, version in steps:
        hours += step
        decided.append((hours, outcome, version))
    found = periods(told(*decided))
    assert all(each.until is None or each.since <= each.until for each in found)
    assert all(one.until == other.since for one, other in pairwise(found))
    assert [each.until is None for each in found] == [False] * (len(found) - 1) + [True] * bool(found)
    for moment in (minute / 60 for minute in minutes):
        # What was in force: the last change that had come into effect, changes counting in the order they were kept.
        reached, champion = -1e9, None
        for hour, outcome, version in decided:
            if outcome in ("promoted", "rolled back"):
                reached = max(reached, hour)
                if reached <= moment:
                    champion = version
        assert [each.version for each in in_production(found, at(moment), UTC)] == ([champion] if champion else [])


@given(STEPS)
def test_every_period_is_found_on_the_days_it_touches(steps: list[tuple[int, str, int]]) -> None:
    hours, decided = 0.0, []
    for step, outcome, version in steps:
        hours += step
        decided.append((hours, outcome, version))
    found = periods(told(*decided))
    for each in found:
        day = each.since.astimezone(NEW_YORK).date()
        assert each in in_production(found, day, NEW_YORK)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-11-21", date(2026, 11, 21)),
        (" 2026-11-20 ", date(2026, 11, 20)),
        ("2026-11-21T02:00", datetime(2026, 11, 21, 7, tzinfo=UTC)),
        ("2026-11-21 02:00:30", datetime(2026, 11, 21, 7, 0, 30, tzinfo=UTC)),
        ("2026-11-21T10:00+00:00", datetime(2026, 11, 21, 10, tzinfo=UTC)),
        ("2026-07-01T10:00", datetime(2026, 7, 1, 14, tzinfo=UTC)),
    ],
)
def test_a_day_or_a_moment_is_read(text: str, expected: date) -> None:
    assert asked_for(text, NEW_YORK, NOW) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "yesterday",
        "2026-13-01",
        "2026-11-31",
        "21.11.2026",
        "2026-11-21T25:00",
        "T",
        "0001-01-01T00:00+14:00",
    ],
)
def test_what_is_neither_day_nor_moment_is_told(text: str) -> None:
    with pytest.raises(ValueError, match=r"is neither a day nor a moment; expected e\.g\. 2026-11-21 or 2026"):
        asked_for(text, NEW_YORK, NOW)


@pytest.mark.parametrize("text", ["2026-11-22", "2026-11-21T12:01+00:00", "9999-12-31"])
def test_of_what_has_not_come_nothing_is_known(text: str) -> None:
    with pytest.raises(ValueError, match="has not come yet; name a day until 2026-11-21"):
        asked_for(text, NEW_YORK, NOW)


def test_the_first_days_there_are_can_be_asked_for() -> None:
    found = periods(told((0, "promoted", 1)))
    for text in ("0001-01-02", "0001-01-01"):
        assert in_production(found, asked_for(text, NEW_YORK, NOW), NEW_YORK) == ()


def test_the_checks_of_a_verdict_are_read_again() -> None:
    asked = (Check("rmse max", True, 3.2, 15.0, "rmse 3.2 is at most 15"), Check("gain", False, None, None, "no"))
    verdict = Verdict("2", "1", False, asked, ("no",))
    (entry,) = kept([decision("run", "refused", details=verdict.to_dict())])
    assert checks(entry) == asked


@pytest.mark.parametrize("details", [{"checks": [{"name": "rmse"}]}, {"checks": 3}, {"checks": ["x"]}])
def test_details_that_are_no_verdict_name_the_entry(details: dict[str, object]) -> None:
    (entry,) = kept([decision("run", "refused", details=details)])
    with pytest.raises(ValueError, match="entry 1: its checks cannot be read"):
        checks(entry)
