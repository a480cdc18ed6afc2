from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing.parametric import dataframes

from include.contract.loading import Folder, load_use_case
from include.ingestion.changes import Change, compare
from include.ingestion.profile import TableProfile, profile
from include.settings import get_settings

Frame = pl.DataFrame
Profiles = dict[str, TableProfile]
DAYS = 10


def weather(day: int, rows: int = 200) -> Frame:
    """A day of temperatures about 12, rain of any size, stations, notes and keys."""
    draw = random.Random(day)
    wet = draw.lognormvariate(0, 2)
    return pl.DataFrame(
        {
            "id": [f"{day}-{row}" for row in range(rows)],
            "temp": [draw.gauss(12, 3) for _ in range(rows)],
            "wind": [draw.lognormvariate(5, 0.5) for _ in range(rows)],
            "rain": [wet * draw.lognormvariate(0, 1) for _ in range(rows)],
            "station": draw.choices(["EWR", "JFK", "LGA"], k=rows),
            "wet": [draw.random() < 0.3 for _ in range(rows)],
            "day": [date(2013, 1, 1)] * rows,
        }
    )


def profiles(frame: Frame, table: str = "weather") -> Profiles:
    return {table: profile(table, frame.lazy())}


PAST: list[Profiles] = [profiles(weather(day)) for day in range(DAYS)]
TODAY = weather(DAYS)


def changes(today: Frame, past: Sequence[Profiles] = PAST) -> list[tuple[str, str | None, str | None]]:
    return [(each.kind, each.column, each.previous) for each in compare(profiles(today), past)]


def scaled(factor: float, column: str = "temp") -> Callable[[Frame], Frame]:
    return lambda frame: frame.with_columns(pl.col(column) * factor)


def test_an_ordinary_day_is_silent() -> None:
    assert changes(TODAY) == []
    assert changes(TODAY.clear()) == []


def test_without_a_past_there_is_no_change() -> None:
    assert changes(TODAY, []) == []


@pytest.mark.parametrize(
    ("planted", "expected"),
    [
        (TODAY.with_columns(humid=pl.lit("a")), ("new column", "humid", None)),
        (TODAY.drop("temp"), ("gone column", "temp", None)),
        (TODAY.rename({"temp": "temperature"}), ("renamed column", "temperature", "temp")),
        (TODAY.rename({"station": "origin"}), ("renamed column", "origin", "station")),
        (TODAY.rename({"id": "key"}), ("renamed column", "key", "id")),
        (TODAY.rename({"wet": "raining"}), ("renamed column", "raining", "wet")),
        (TODAY.rename({"day": "date"}), ("renamed column", "date", "day")),
        (TODAY.with_columns(pl.col("temp").cast(pl.String)), ("retyped column", "temp", "Float64")),
        (TODAY.with_columns(pl.col("temp").cast(pl.Float32)), ("retyped column", "temp", "Float64")),
        (TODAY.with_columns(station=pl.col("station").replace("JFK", "SWF")), ("new category", "station", None)),
    ],
)
def test_a_change_is_named(planted: Frame, expected: tuple[str, str | None, str | None]) -> None:
    assert changes(planted) == [expected]


@pytest.mark.parametrize("size", [10, 60, 100, 1000, 3600])
@pytest.mark.parametrize("inverse", [False, True])
def test_another_unit_is_named(size: float, inverse: bool) -> None:
    found = compare(profiles(scaled(1 / size if inverse else size)(TODAY)), PAST)
    assert [(each.kind, each.column) for each in found] == [("unit change", "temp")]
    assert (f"1/{size} of the usual" if inverse else f" {size} times the usual") in found[0].detail


def test_a_change_is_said_in_a_sentence_with_numbers() -> None:
    (found,) = compare(profiles(scaled(10)(TODAY)), PAST)
    now, before = (each["weather"].columns["temp"].quartiles for each in (profiles(TODAY), PAST[-1]))
    assert now and before
    assert found.detail == (
        f"temp: values are 10 times the usual (median {10 * now[1]:.4g}, before {before[1]:.4g}): has its unit changed?"
    )
    assert Change.from_dict(found.to_dict()) == found


def test_tables_come_and_go() -> None:
    past = [each | profiles(weather(3), "radar") for each in PAST]
    found = compare(profiles(TODAY) | profiles(TODAY, "stations"), past)
    assert [(each.kind, each.table, each.column) for each in found] == [
        ("new table", "stations", None),
        ("gone table", "radar", None),
    ]


def test_several_renamed_columns_find_their_own_names() -> None:
    found = changes(TODAY.rename({"temp": "temperature", "wind": "wind_speed", "station": "origin"}))
    assert sorted(found) == [
        ("renamed column", "origin", "station"),
        ("renamed column", "temperature", "temp"),
        ("renamed column", "wind_speed", "wind"),
    ]


@pytest.mark.parametrize(
    "other",
    [
        pl.col("wind").alias("pressure"),  # far larger
        pl.when(pl.col("temp") > 12).then(pl.col("temp")).alias("dew"),  # half of it is null
        pl.col("temp").cast(pl.Int64).alias("celsius"),  # of another type
        pl.lit(None, pl.Float64).alias("humid"),  # without a value
    ],
)
def test_another_column_is_no_renamed_one(other: pl.Expr) -> None:
    found = changes(TODAY.with_columns(other).drop("temp"))
    assert [kind for kind, *_ in found] == ["new column", "gone column"]


def test_other_categories_are_no_renamed_column() -> None:
    states = TODAY.with_columns(state=pl.col("station").replace_strict({"EWR": "NJ", "JFK": "NY", "LGA": "LGA"}))
    assert [kind for kind, *_ in changes(states.drop("station"))] == ["new column", "gone column"]
    rare = TODAY.with_columns(late=pl.lit([True] + [False] * 199).explode()).drop("wet")
    assert [kind for kind, *_ in changes(rare)] == ["new column", "gone column"]


def test_two_keys_that_change_their_names_cannot_be_told_apart() -> None:
    past = [profiles(weather(day).with_columns(other=pl.col("id").str.reverse())) for day in range(DAYS)]
    today = TODAY.with_columns(b=pl.col("id").str.reverse()).rename({"id": "a"})
    assert sorted(kind for kind, *_ in changes(today, past)) == ["gone column"] * 2 + ["new column"] * 2


def test_a_column_without_values_has_no_type() -> None:
    assert changes(TODAY.with_columns(temp=None)) == []
    assert changes(TODAY.clear().with_columns(temp=None)) == []
    assert changes(TODAY, [*PAST, profiles(weather(3).with_columns(temp=None))]) == []


def test_the_schema_is_that_of_the_newest_partition_with_rows() -> None:
    empty = profiles(pl.DataFrame(schema={"id": pl.Int64, "other": pl.Int64}))
    assert changes(TODAY, [*PAST, empty]) == []
    assert changes(TODAY, [empty]) == []


def test_an_accepted_change_is_silent_from_then_on() -> None:
    for changed in (
        TODAY.rename({"temp": "temperature"}),
        TODAY.with_columns(pl.col("temp").cast(pl.String)),
        TODAY.with_columns(station=pl.col("station").replace("JFK", "SWF")),
        scaled(10)(TODAY),
    ):
        assert changes(changed) != []
        assert changes(changed, [*PAST, profiles(changed)]) == []


def test_categories_need_a_past_that_shows_them_all() -> None:
    new = TODAY.with_columns(station=pl.col("station").replace("JFK", "SWF"))
    assert changes(new, PAST[:4]) == []
    assert changes(new, PAST[:5]) == [("new category", "station", None)]
    listed = TODAY.with_columns(station=pl.format("S{}", pl.int_range(pl.len()) % 8))
    (found,) = compare(profiles(listed), PAST)
    assert found.detail.startswith(f"station: none of the last {DAYS} partitions has 'S0' (25 rows), ")
    assert found.detail.endswith(" and 3 others")


def test_new_names_and_keys_are_usual() -> None:
    def visitors(day: int) -> Frame:
        return pl.DataFrame({"visit": [f"{day}/{row}" for row in range(20)], "visitor": [f"v{day}"] * 10 + ["v"] * 10})

    past = [profiles(visitors(day)) for day in range(DAYS)]
    assert changes(visitors(DAYS), past) == []


@pytest.mark.parametrize(
    "near",
    [
        scaled(10, "rain"),  # it varies by nature
        scaled(3),  # no unit is 3 of another
        scaled(25),
        lambda frame: scaled(10)(frame).head(29),
        lambda frame: frame.with_columns(pl.col("temp") + 110),  # all ten times larger, but not each
        lambda frame: frame.with_columns(temp=pl.when(pl.col("temp") > 11).then(10).otherwise(1) * pl.col("temp")),
    ],
)
def test_other_moves_are_no_change_of_unit(near: Callable[[Frame], Frame]) -> None:
    assert changes(near(TODAY)) == []


def test_a_unit_needs_a_past() -> None:
    assert changes(scaled(10)(TODAY), PAST[:4]) == []
    assert changes(scaled(10)(TODAY), PAST[:5]) == [("unit change", "temp", None)]


def test_a_quiet_weekend_is_no_change_of_unit() -> None:
    past = [profiles(scaled(0.1 if day % 7 > 4 else 1)(weather(day))) for day in range(12)]
    assert changes(scaled(0.1)(weather(12)), past) == []


def test_another_constant_is_no_change_of_unit() -> None:
    december = [profiles(pl.DataFrame({"month": [12] * 100})) for _ in range(DAYS)]
    assert changes(pl.DataFrame({"month": [1] * 100}), december) == []


@settings(max_examples=40, deadline=None)
@given(dataframes(max_cols=5, max_size=40, excluded_dtypes=[pl.Categorical, pl.Object]), st.integers(0, 12))
def test_a_partition_does_not_differ_from_itself(frame: Frame, partitions: int) -> None:
    found = profiles(frame)
    assert compare(found, [found] * partitions) == ()


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(-1e300, 1e300), min_size=60, max_size=60), st.sampled_from([0.5, 0.8, 1.3, 2.0]))
def test_small_moves_are_silent(values: list[float], factor: float) -> None:
    past = [profiles(pl.DataFrame({"temp": values}))] * DAYS
    assert changes(pl.DataFrame({"temp": [value * factor for value in values]}), past) == []


def found_in(use_case: Folder, span: str, lookback: int = 28) -> list[Change]:
    """What is named over a span of real partitions, each held against those before it."""
    past: list[Profiles] = []
    found: list[Change] = []
    for partition in use_case.config.calendar.parse(span):
        tables: dict[str, Any] = dict(use_case.source.read(partition))
        current = {name: profile(name, frame.lazy()) for name, frame in tables.items()}
        found += compare(current, past[-lookback:])
        past.append(current)
    return found


@pytest.fixture
def flights(home: Path, monkeypatch: pytest.MonkeyPatch) -> Folder:
    monkeypatch.delenv("EVERGREEN_USE_CASE_PATHS")
    get_settings.cache_clear()
    return load_use_case("flight_delay")


def test_real_flights_change_in_their_categories_only(flights: Folder) -> None:
    found = found_in(flights, "2013-01-01/2013-02-14")
    assert {each.kind for each in found} == {"new category"}
    assert {each.column for each in found} <= {"carrier", "dest", "plane_manufacturer"}
    assert any("'OO' (1 row)" in each.detail for each in found)


def test_a_year_of_real_weather_is_silent(stations: Folder) -> None:
    assert found_in(stations, "2013-01-07/2013-12-16") == []


def test_celsius_for_fahrenheit_is_not_taken_for_a_factor(stations: Folder) -> None:
    """An offset is no factor: what is not sure is left to the expectations."""
    partitions = stations.config.calendar.parse("2013-05-06/2013-07-01")
    tables = [stations.source.read(partition)["weather"].lazy().collect() for partition in partitions]
    celsius = tables[-1].with_columns((pl.col("temp") - 32) / 1.8)
    assert changes(celsius, [profiles(table) for table in tables[:-1]]) == []
    centibar = tables[-1].with_columns(pl.col("pressure") / 10)
    assert math.isclose(centibar["pressure"].mean() or 0, 101.5, rel_tol=0.02)
    assert changes(centibar, [profiles(table) for table in tables[:-1]]) == [("unit change", "pressure", None)]
