from __future__ import annotations

import json
from datetime import UTC, date, datetime
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing.parametric import dataframes

from include.ingestion import profile as module
from include.ingestion.profile import ColumnProfile, TableProfile, profile

INFINITE = float("inf")


def column(values: pl.Series) -> ColumnProfile:
    return profile("orders", pl.LazyFrame({"value": values})).columns["value"]


def through_json(found: TableProfile) -> TableProfile:
    return TableProfile.from_dict(json.loads(json.dumps(found.to_dict(), allow_nan=False)))


def test_numbers_are_summarised_exactly() -> None:
    found = column(pl.Series([4.0, -2.0, 0.0, None, float("nan"), 6.0]))
    assert found == ColumnProfile(
        dtype="Float64",
        nulls=0.333333333,
        distinct=4,
        minimum=-2.0,
        maximum=6.0,
        mean=2.0,
        deviation=3.16227766,
        quartiles=(3.0, 4.0, 5.0),
        measured=3,
    )


def test_infinite_values_are_no_part_of_the_statistics() -> None:
    found = column(pl.Series([1.0, INFINITE, -INFINITE, 3.0]))
    assert (found.minimum, found.maximum, found.mean, found.nulls) == (1.0, 3.0, 2.0, 0.0)
    assert column(pl.Series([INFINITE])).minimum is None


def test_sums_that_overflow_are_unknown() -> None:
    found = column(pl.Series([1e308, 1e308]))
    assert (found.maximum, found.mean) == (1e308, None)


@pytest.mark.parametrize("dtype", [pl.String, pl.Categorical, pl.Enum(["a", "b"])])
def test_few_values_are_counted_the_most_frequent_first(dtype: pl.DataType) -> None:
    found = column(pl.Series(["b", "a", "b", None], dtype=dtype))
    assert list((found.categories or {}).items()) == [("b", 2), ("a", 1)]
    assert (found.distinct, found.nulls) == (2, 0.25)


def test_a_boolean_has_two_categories() -> None:
    assert column(pl.Series([True, True, False])).categories == {"true": 2, "false": 1}


@pytest.mark.parametrize(("values", "counted"), [(200, True), (201, False)])
def test_many_values_are_no_categories(values: int, counted: bool) -> None:
    found = column(pl.Series([f"id {number}" for number in range(values)]))
    assert (found.categories is not None, found.distinct) == (counted, values)


def test_long_text_is_no_category() -> None:
    assert column(pl.Series(["x" * 101, "y"])).categories is None


def test_times_have_their_ends() -> None:
    moments = pl.Series([datetime(2013, 3, 10, 12, tzinfo=UTC), datetime(2013, 3, 9, 5, tzinfo=UTC), None])
    local = column(moments.dt.convert_time_zone("America/New_York"))
    assert local.dtype == "Datetime(time_unit='us', time_zone='America/New_York')"
    assert (local.earliest, local.latest) == ("2013-03-09T05:00:00+00:00", "2013-03-10T12:00:00+00:00")
    assert column(moments.dt.replace_time_zone(None)).latest == "2013-03-10T12:00:00"
    assert column(pl.Series([date(2013, 1, 2), date(2012, 12, 31)])).earliest == "2012-12-31"


def test_a_moment_beyond_the_calendar_is_unknown() -> None:
    far = pl.Series([2**63 - 1]).cast(pl.Datetime("us"))
    assert column(far).latest is None


@pytest.mark.parametrize("values", [[[1], None], [{"a": 1}, None]])
def test_nested_columns_have_a_type_and_nulls(values: list[object]) -> None:
    found = column(pl.Series(values))
    assert found == ColumnProfile(dtype=str(pl.Series(values).dtype), nulls=0.5)


def test_a_column_of_nulls() -> None:
    assert column(pl.Series([None, None])) == ColumnProfile(dtype="Null", nulls=1.0)
    assert column(pl.Series([None], dtype=pl.String)).categories == {}


def test_empty_tables() -> None:
    schema = {"id": pl.Int64, "name": pl.String, "at": pl.Datetime("us", "UTC"), "parts": pl.List(pl.Int64)}
    found = profile("orders", pl.LazyFrame(schema=schema))
    assert found.rows == 0
    assert [each.nulls for each in found.columns.values()] == [0.0] * 4
    assert through_json(found) == found
    assert profile("orders", pl.LazyFrame()) == TableProfile("orders", 0, {})


def test_names_do_not_collide() -> None:
    found = profile("orders", pl.LazyFrame({"1": [1.0], "0 finite": [5.0], "row": [7.0], "value": [9.0]}))
    assert [each.mean for each in found.columns.values()] == [1.0, 5.0, 7.0, 9.0]


def test_a_large_table_is_sampled_for_quartiles_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = 10_000
    frame = pl.DataFrame({"id": range(1, rows + 1)}).with_columns(
        key=pl.format("key-{}", "id"), shop=pl.format("shop-{}", pl.col("id") % 3), odd=pl.col("id") % 2 == 1
    )
    frame.write_parquet(tmp_path / "orders.parquet", row_group_size=900)
    whole = profile("orders", frame.lazy())
    monkeypatch.setattr(module, "SAMPLE", 1000)
    found = profile("orders", pl.scan_parquet(tmp_path / "orders.parquet"))
    assert (found.columns["shop"], found.columns["odd"]) == (whole.columns["shop"], whole.columns["odd"])
    number, exact = found.columns["id"], whole.columns["id"]
    assert (number.minimum, number.mean, number.deviation) == (exact.minimum, exact.mean, exact.deviation)
    assert number.measured == 1000
    assert number.quartiles == pytest.approx(exact.quartiles, rel=0.01)
    assert found.columns["key"].distinct is None
    assert found.columns["key"].categories is None


@settings(max_examples=40, deadline=None)
@given(dataframes(max_cols=5, max_size=20, excluded_dtypes=[pl.Categorical, pl.Object]))
def test_every_table_has_a_profile_that_json_holds(frame: pl.DataFrame) -> None:
    found = profile("orders", frame.lazy())
    assert found.rows == frame.height
    assert list(found.columns) == frame.columns
    assert through_json(found) == found


@settings(max_examples=30, deadline=None)
@given(st.lists(st.one_of(st.none(), st.floats()), min_size=1, max_size=30), st.integers(1, 5))
def test_equal_rows_give_equal_profiles(values: list[float | None], parts: int) -> None:
    frame = pl.DataFrame({"value": values}, schema={"value": pl.Float64})
    chunks = pl.concat([frame[start : start + parts] for start in range(0, len(values), parts)], rechunk=False)
    assert profile("orders", chunks.lazy()) == profile("orders", frame.lazy())
