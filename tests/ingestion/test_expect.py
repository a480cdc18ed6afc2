"""Expectations whose bounds come from the past: what they bound, and that they are open while it is short."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from include.contract.loading import Folder
from include.ingestion import expect, ingest, landing, versions
from include.ingestion.batch import LandedBatch, Past
from include.ingestion.validation import validate

FIRST, LAST = "2013-01-07", "2013-02-25"
NOW = "2013-03-04"

Observed = Callable[..., tuple[bool, str | None]]


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Eight weeks of the stations' weather, published."""
    from include.contract.loading import load_use_case
    from include.settings import get_settings

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EVERGREEN_HOME", str(tmp_path_factory.mktemp("lake")))
        patch.setenv("EVERGREEN_USE_CASE_PATHS", str(Path(__file__).parents[1] / "use_cases"))
        get_settings.cache_clear()
        use_case = load_use_case("station_temperature")
        versions.initialize()
        partitions = use_case.config.calendar.parse(f"{FIRST}/{LAST}")
        landing.land(use_case, partitions)
        ingest.check(use_case, partitions)
        ingest.publish(use_case, partitions, origin="test")
        yield use_case
    get_settings.cache_clear()


@pytest.fixture
def now(lake: Folder) -> LandedBatch:
    return batch_of(lake, NOW)


def batch_of(use_case: Folder, key: str) -> LandedBatch:
    partition = use_case.config.calendar.partition(key)
    landing.land(use_case, [partition])
    return LandedBatch(partition, landing.tables(landing.folder(use_case, partition)), Past(use_case, [partition]))


def test_the_usual_rows_are_those_of_the_past_give_or_take(now: LandedBatch) -> None:
    rows = sorted(profile.rows for _, profile in now.past("weather"))
    found = expect.usual_row_count(now, "weather", tolerance=0.1)
    usual = (rows[3] + rows[4]) / 2
    assert found.min_value <= 0.9 * usual < found.min_value + 1
    assert found.max_value - 1 < 1.1 * usual <= found.max_value


def test_while_the_past_is_short_the_bounds_are_open(lake: Folder) -> None:
    first = batch_of(lake, FIRST)
    assert first.past("weather") == []
    assert expect.usual_row_count(first, "weather").min_value == 0
    assert expect.usual_row_count(first, "weather").max_value is None
    assert type(expect.usual_mean(first, "weather", "temp")).__name__ == "ExpectColumnToExist"
    assert type(expect.known_in(first, "station", "weather", "station", partitions=2)).__name__ == "ExpectColumnToExist"


def test_the_usual_mean_is_bounded_by_the_spread_of_the_past(now: LandedBatch) -> None:
    narrow, wide = (expect.usual_mean(now, "weather", "temp", deviations=width) for width in (1, 6))
    assert wide.min_value < narrow.min_value < narrow.max_value < wide.max_value
    means = [profile.columns["temp"].mean for _, profile in now.past("weather")]
    assert min(means) > wide.min_value and max(means) < wide.max_value  # type: ignore[type-var]


def test_fresh_means_shortly_before_the_end(now: LandedBatch) -> None:
    found = expect.fresh(now, "observed_at", within=timedelta(hours=6))
    assert found.max_value == now.partition.cutoff
    assert found.max_value - found.min_value == timedelta(hours=6)
    assert isinstance(found.min_value, datetime)


@pytest.mark.parametrize(("partitions", "unknown"), [(1, 1), (2, 0)])
def test_values_are_known_from_this_and_from_earlier_partitions(lake: Folder, partitions: int, unknown: int) -> None:
    batch = batch_of(lake, NOW)
    tables = landing.tables(landing.folder(lake, batch.partition))
    visits = tables["weather"].with_name("visits.parquet")
    pl.DataFrame({"station": ["EWR", "JFK", None]}).write_parquet(visits)
    weather = pl.read_parquet(tables["weather"])
    weather.filter(pl.col("station") != "JFK").write_parquet(tables["weather"])  # today one of them is silent
    rule = expect.known_in(batch, "station", "weather", "station", partitions=partitions)
    past = Past(lake, [batch.partition])
    found = validate(
        NOW,
        {"weather": tables["weather"], "visits": visits},
        {"weather": [], "visits": [rule]},
        limit=1,
        past=lambda name: past.tables(batch.partition, name),
    )
    assert found.checks[0].error is None
    assert found.checks[0].unexpected == unknown


def test_a_batch_reads_the_accepted_rows_of_the_past_before_its_own(lake: Folder) -> None:
    batch = batch_of(lake, "2013-02-18")
    own, both = batch.table("weather"), batch.table("weather", partitions=2)
    assert both.tail(own.height).equals(own)
    before = both.head(both.height - own.height)
    assert before["wind_speed"].max() < 150  # type: ignore[operator]
    assert before.height == 7 * 24 * 3 - 1


def test_an_unknown_table_is_named(now: LandedBatch) -> None:
    for look in (now.table, now.past):
        with pytest.raises(KeyError, match="has no table 'orders'; it has"):
            look("orders")
