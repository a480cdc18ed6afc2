"""Rows that are remembered are those that would be read."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from include.serving import remembered
from include.serving.lookup import FeatureRow
from include.serving.remembered import BEGINNING, FOREVER, Moment, Remembered, Span

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


def test_a_row_is_found_only_within_its_span_and_while_nobody_has_written() -> None:
    rows, row = Remembered(), FeatureRow({"stops": 1}, None, {})
    rows.keep("a", b"1", row, Span(5, 7))
    assert [rows.find("a", b"1", as_of) for as_of in (4, 5, 7, 8)] == [None, row, row, None]
    assert rows.find("a", b"2", 5) is None
    assert rows.find("b", b"1", 5) is None
    rows.keep("b", b"2", row, Span())
    assert rows.find("b", b"2", BEGINNING) is rows.find("b", b"2", FOREVER) is row
    assert rows.find("a", b"1", 5) is rows.find("b", b"1", 5) is None


def test_no_more_are_kept_than_there_is_room_for() -> None:
    rows, row = Remembered(), FeatureRow({}, None, {})
    for number in range(remembered.MOST + 1):
        rows.keep("a", b"%d" % number, row, Span())
    assert rows.find("a", b"%d" % remembered.MOST, 0) is row
    assert rows.find("a", b"0", 0) is None
