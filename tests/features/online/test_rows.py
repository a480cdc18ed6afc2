"""What both stores of rows hold to, on a real SQLite file and a real Redis."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from include.features.moments import microseconds
from include.features.online.rows import PUSHED, UNKNOWN, Row, RowStore, alive, encoder, key_of
from include.features.online.sqlite import SqliteRows

Open = Callable[[], RowStore]
VIEW = "test:carriers"
encode = encoder(["value"])


def row(key: str, event: int, value: Any = None, created: int = UNKNOWN) -> Row:
    return Row(key_of([key]), event, created, encode([event if value is None else value]))


def write(rows: RowStore, *given_rows: Row, source: str = PUSHED, keep: timedelta | None = None) -> None:
    rows.write(VIEW, given_rows, source=source, keep=keep)


def read(rows: RowStore, *keys: str) -> list[Any]:
    found = rows.read({VIEW: [key_of([key]) for key in keys]})[VIEW]
    return [None if each is None else each.features()["value"] for each in found]


def test_rows_come_in_the_order_of_the_keys_and_none_for_an_unknown_one(open_rows: Open) -> None:
    rows = open_rows()
    write(rows, row("AA", 1), row("UA", 2))
    assert read(open_rows(), "UA", "B6", "AA", "UA") == [2, None, 1, 2]
    assert rows.read({}) == {}
    assert rows.read({VIEW: []}) == {VIEW: []}


def test_many_views_are_read_at_once(open_rows: Open) -> None:
    rows = open_rows()
    rows.write("test:a", [row("x", 1)], source=PUSHED, keep=None)
    rows.write("test:b", [row("x", 2)], source=PUSHED, keep=None)
    found = rows.read({"test:b": [key_of(["x"])], "test:a": [key_of(["x"]), key_of(["y"])]})
    assert {view: [each and each.event for each in got] for view, got in found.items()} == {
        "test:b": [2],
        "test:a": [1, None],
    }


def test_more_keys_than_one_statement_takes(open_rows: Open) -> None:
    rows = open_rows()
    names = [f"N{number}" for number in range(20_500)]
    write(rows, *(row(name, number) for number, name in enumerate(names)))
    assert read(rows, *names) == list(range(20_500))


@given(
    writes=st.lists(
        st.tuples(
            st.sampled_from("ab"),
            st.sampled_from([-5, 0, 1, 2**52]),
            st.sampled_from([UNKNOWN, -1, 0, 3]),
        ),
        max_size=12,
    ),
    size=st.integers(1, 4),
)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_the_order_of_writing_the_newest_row_wins(
    open_rows: Open, writes: list[tuple[str, int, int]], size: int
) -> None:
    rows = open_rows()
    rows.drop(VIEW)
    made = [row(key, event, number, created) for number, (key, event, created) in enumerate(writes)]
    for start in range(0, len(made), size):
        write(rows, *made[start : start + size])
    for key in "ab":
        own = [(event, created, number) for number, (each, event, created) in enumerate(writes) if each == key]
        assert read(rows, key) == [max(own)[2] if own else None]


def test_an_older_backfill_does_not_replace_a_newer_value(open_rows: Open) -> None:
    rows = open_rows()
    write(rows, row("AA", 20, "new"), source="2013-01-20")
    write(rows, row("AA", 10, "old"), source="2013-01-10")
    assert read(rows, "AA") == ["new"]


def test_writing_the_same_again_takes_the_corrected_value(open_rows: Open) -> None:
    rows = open_rows()
    write(rows, row("AA", 20, "wrong", 20), source="2013-01-20")
    write(rows, row("AA", 20, "right", 20), source="2013-01-20")
    assert read(rows, "AA") == ["right"]


def test_what_a_partition_holds_no_more_is_forgotten_unless_it_came_from_elsewhere(open_rows: Open) -> None:
    rows = open_rows()
    write(rows, row("AA", 20), row("UA", 20), row("B6", 20), source="2013-01-20")
    write(rows, row("UA", 21), source="2013-01-21")
    assert rows.forget(VIEW, "2013-01-20", {key_of(["B6"])}) == 1
    assert read(rows, "AA", "UA", "B6") == [None, 21, 20]
    assert rows.forget(VIEW, "2013-01-20", {key_of(["B6"])}) == 0
    assert rows.forget(VIEW, "2013-01-19", set()) == 0


def test_a_dropped_view_is_gone_and_the_others_stay(open_rows: Open) -> None:
    rows = open_rows()
    write(rows, row("AA", 1), source="2013-01-01")
    rows.write(f"{VIEW}_more", [row("AA", 7)], source="2013-01-01", keep=None)
    rows.drop(VIEW)
    assert read(rows, "AA") == [None]
    assert list(rows.written([VIEW, f"{VIEW}_more"])) == [f"{VIEW}_more"]
    assert rows.read({f"{VIEW}_more": [key_of(["AA"])]})[f"{VIEW}_more"] != [None]


def test_how_new_a_view_is_never_goes_back(open_rows: Open) -> None:
    rows = open_rows()
    noon = datetime(2013, 5, 1, 12, tzinfo=UTC)
    before = datetime.now(UTC)
    write(rows, row("AA", microseconds(noon)))
    write(rows, row("UA", microseconds(noon - timedelta(days=3))))
    known = rows.written([VIEW, "test:never"])
    assert list(known) == [VIEW]
    assert known[VIEW].newest == noon
    assert before <= known[VIEW].at <= datetime.now(UTC)


def test_rows_that_may_go_do_not_fill_the_store(open_rows: Open) -> None:
    rows = open_rows()
    write(rows, row("AA", 1), keep=timedelta(milliseconds=1))
    threading.Event().wait(0.02)
    write(rows, row("UA", 2), keep=timedelta(days=1))
    assert read(rows, "AA", "UA") == [None, 2]


def test_a_version_lasts_until_anybody_writes(tmp_path: Path) -> None:
    rows, other = (SqliteRows(tmp_path / "online.sqlite") for _ in range(2))
    write(rows, row("AA", 1), source="monday")
    versions = [rows.version()]
    assert rows.version() == versions[0]
    assert rows.written([VIEW])  # to read changes nothing
    writes: list[Callable[[], object]] = [
        lambda: write(rows, row("AA", 2)),
        lambda: write(other, row("AA", 3)),
        lambda: run(lambda: write(rows, row("AA", 4), source="monday")),
        lambda: rows.forget(VIEW, "monday", ()),
        lambda: other.drop(VIEW),
        lambda: rows.drop(VIEW),
    ]
    for done in writes:
        done()
        assert rows.version() not in versions
        versions.append(rows.version())
    assert run(rows.version) not in versions


def run(work: Callable[[], Any]) -> Any:
    """In a thread of its own."""
    with ThreadPoolExecutor(1) as threads:
        return threads.submit(work).result()


def test_writers_in_threads_do_not_overtake_each_other(open_rows: Open) -> None:
    rows = open_rows()

    def write_all(numbers: list[int]) -> None:
        for number in numbers:
            write(rows, *(row(key, number) for key in "abcdefgh"))

    orders = [list(range(60)), list(range(59, -1, -1)), [*range(0, 60, 2), *range(1, 60, 2)]]
    threads = [threading.Thread(target=write_all, args=(order,)) for order in orders]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert read(rows, *"abcdefgh") == [59] * 8


@given(
    value=st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**63), 2**63 - 1),
        st.floats(allow_nan=False),
        st.text(),
        st.binary(),
        st.datetimes(timezones=st.just(UTC)),
        st.lists(st.integers(-5, 5)),
    )
)
def test_values_come_back_exactly(value: Any) -> None:
    stored = Row(b"", 0, 0, encoder(["größe of it"])([value])).features()
    assert stored == {"größe of it": value}
    assert type(stored["größe of it"]) is type(value)


def test_a_number_that_is_none_stays_none() -> None:
    assert math.isnan(Row(b"", 0, 0, encode([math.nan])).features()["value"])


@given(left=st.lists(st.one_of(st.text(), st.integers(-(2**63), 2**63 - 1)), min_size=1), right=st.lists(st.text()))
def test_different_keys_are_stored_apart(left: list[Any], right: list[Any]) -> None:
    assert (key_of(left) == key_of(right)) == (left == right)


@pytest.mark.parametrize("value", [1.5, None, datetime(2013, 1, 1, tzinfo=UTC)])
def test_a_key_that_would_not_compare_exactly_is_refused(value: Any) -> None:
    with pytest.raises(TypeError, match="a key is text, a whole number"):
        key_of([value])


def test_a_value_counts_until_it_is_as_old_as_its_time_to_live() -> None:
    day = timedelta(days=1)
    noon = microseconds(datetime(2013, 5, 1, 12, tzinfo=UTC))
    assert alive(noon, day, noon + 86_400_000_000)
    assert not alive(noon, day, noon + 86_400_000_001)
    assert alive(0, timedelta(0), noon)
    assert alive(0, None, noon)
