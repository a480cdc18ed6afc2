"""The raw days of the flights are checked: what is wrong is found, and nothing else."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from include.contract.loading import Folder
from include.ingestion import landing, versions
from include.ingestion.batch import LandedBatch, Past
from include.ingestion.quarantine import VALUE
from include.ingestion.suite import SEVERITIES
from include.ingestion.validation import Validation, validate


def landed(use_case: Folder, key: str, **changed: pl.DataFrame) -> tuple[LandedBatch, dict[str, Path]]:
    """A day without a past, some tables of it replaced."""
    versions.initialize()
    partition = use_case.config.calendar.partition(key)
    landing.land(use_case, [partition])
    tables = landing.tables(landing.folder(use_case, partition))
    for name, frame in changed.items():
        frame.write_parquet(tables[name])
    return LandedBatch(partition, tables, Past(use_case, [partition])), tables


def check(use_case: Folder, key: str, **changed: pl.DataFrame) -> Validation:
    batch, tables = landed(use_case, key, **changed)
    return validate(key, tables, use_case.expectations.suites(batch), limit=0.1)


def test_every_expectation_says_how_severe_it_is(flight_delay: Folder) -> None:
    suites = flight_delay.expectations.suites(landed(flight_delay, "2013-02-12")[0])
    assert set(suites) == {"schedule", "departures", "arrivals", "weather"}
    found = [expectation.meta["severity"] for suite in suites.values() for expectation in suite]
    assert set(found) == set(SEVERITIES)


def test_the_wind_of_1048_miles_an_hour_goes_to_quarantine(flight_delay: Folder) -> None:
    validation = check(flight_delay, "2013-02-12")
    assert validation.success
    assert [check.name for check in validation.checks if not check.success] == [
        "expect_column_values_to_be_between(wind_speed)"
    ]
    assert validation.rejected["weather"][VALUE].to_list() == ["1048.36058"]


@pytest.mark.parametrize("key", ["2012-12-31", "2013-02-09", "2013-11-03", "2026-03-08"])
def test_odd_days_pass_without_a_row_in_quarantine(flight_delay: Folder, key: str) -> None:
    validation = check(flight_delay, key)
    assert validation.success
    assert not validation.rejected


def test_a_delivery_that_came_twice_or_lacks_an_airport_is_refused(flight_delay: Folder) -> None:
    schedule = flight_delay.source.read(flight_delay.config.calendar.partition("2013-05-06"))["schedule"]
    twice = check(flight_delay, "2013-05-06", schedule=pl.concat([schedule, schedule.head(5)]))
    assert failed(twice) == {"flight_id", "flight_date+carrier+flight+origin"}
    partly = check(flight_delay, "2013-05-06", schedule=schedule.filter(pl.col("origin") != "JFK"))
    assert failed(partly) == {"origin"}


def failed(validation: Validation) -> set[str | None]:
    return {check.column for check in validation.checks if check.severity == "batch" and not check.success}
