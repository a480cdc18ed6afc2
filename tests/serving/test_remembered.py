"""Rows that are remembered are those that would be read."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from include.serving.lookup import FeatureRow
from include.serving.remembered import BEGINNING, FOREVER, MOST, MOST_SHARED, Moment, Remembered, Span

moments = st.integers(0, 12)
stored = st.lists(st.tuples(moments, st.one_of(st.none(), st.integers(1, 5))), max_size=4)  # event, time to live
asked = st.tuples(moments, st.booleans())  # as of when, and whether that was said or is now


def counting(rows: list[tuple[int, int | None]], moment: tuple[int, bool], span: Span) -> list[bool]:
    as_of, said = moment
    at = Moment(as_of, as_of if said else None)
    return [span.counts(event, ttl, at) for event, ttl in rows]


@given(stored, asked, asked)
def test_the_same_values_count_at_every_moment_of_a_span(
    rows: list[tuple[int, int | None]], moment: tuple[int, bool], later: tuple[int, bool]
) -> None:
    span = Span()
    found = counting(rows, moment, span)
    as_of, said = moment
    assert found == [(ttl is None or as_of <= event + ttl) and (not said or event <= as_of) for event, ttl in rows]
    if span.first <= later[0] <= span.last:
        assert counting(rows, later, Span()) == found


def test_an_entity_s_row_is_found_only_within_its_span() -> None:
    memory, row = Remembered().at("a"), FeatureRow({"stops": 1}, None, {})
    memory.entities = {b"1": (row, Span(5, 7)), b"2": (row, Span())}
    assert [memory.find(b"1", as_of) for as_of in (4, 5, 7, 8)] == [None, row, row, None]
    assert memory.find(b"2", BEGINNING) is memory.find(b"2", FOREVER) is row
    assert memory.find(b"3", 5) is None


def test_nothing_is_remembered_of_another_version() -> None:
    remembered, row = Remembered(), FeatureRow({"stops": 1}, None, {})
    before = remembered.at("a")
    before.entities[b"1"], before.shared["weather", b"1"] = (row, Span()), None
    assert remembered.at("a") is before
    assert (remembered.at("b").entities, remembered.at("b").shared) == ({}, {})
    before.entities[b"2"] = (row, Span())  # by a thread that read before somebody wrote
    assert remembered.at("b").entities == {}


def test_no_more_is_kept_than_there_is_room_for() -> None:
    remembered, row = Remembered(), FeatureRow({}, None, {})
    remembered.at("a").entities = {b"%d" % number: (row, Span()) for number in range(MOST - 1)}
    remembered.at("a").shared = {("weather", b"%d" % number): None for number in range(MOST_SHARED)}
    assert (len(remembered.at("a").entities), remembered.at("a").shared) == (MOST - 1, {})
    remembered.at("a").entities[b"one more"] = row, Span()
    remembered.at("a").shared["weather", b"1"] = None
    assert (remembered.at("a").entities, len(remembered.at("a").shared)) == ({}, 1)
