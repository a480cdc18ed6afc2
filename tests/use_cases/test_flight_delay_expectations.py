"""The raw days of the flights are checked: what is wrong is found, and nothing else."""

from __future__ import annotations

import polars as pl
import pytest

from include.contract.loading import Folder
from include.ingestion.validation import SEVERITIES, Validation, validate


def check(use_case: Folder, key: str, **changed: pl.DataFrame) -> Validation:
    tables = use_case.source.read(use_case.config.calendar.partition(key))
    return validate(key, {**tables, **changed}, use_case.expectations.suites())


def test_every_expectation_says_how_severe_it_is(flight_delay: Folder) -> None:
    suites = flight_delay.expectations.suites()
    assert set(suites) == {"schedule", "arrivals", "weather"}
    found = [expectation.meta["severity"] for suite in suites.values() for expectation in suite]
    assert set(found) == set(SEVERITIES)


def test_the_wind_of_1048_miles_an_hour_goes_to_quarantine(flight_delay: Folder) -> None:
    validation = check(flight_delay, "2013-02-12")
    assert validation.success
    assert [check.name for check in validation.checks if not check.success] == [
        "expect_column_values_to_be_between(wind_speed)"
    ]
    (row,) = validation.quarantined["weather"].iter_rows(named=True)
    assert row["wind_speed"] > 1048
    assert validation.accepted["weather"].height == 71


@pytest.mark.parametrize("key", ["2012-12-31", "2013-02-09", "2013-11-03", "2026-03-08"])
def test_odd_days_pass_without_a_row_in_quarantine(flight_delay: Folder, key: str) -> None:
    validation = check(flight_delay, key)
    assert validation.success
    assert all(rows.height == 0 for rows in validation.quarantined.values())


def test_a_delivery_that_came_twice_or_lacks_an_airport_is_refused(flight_delay: Folder) -> None:
    schedule = flight_delay.source.read(flight_delay.config.calendar.partition("2013-05-06"))["schedule"]
    twice = check(flight_delay, "2013-05-06", schedule=pl.concat([schedule, schedule.head(5)]))
    assert {failure.column for failure in twice.failures} == {"flight_id", "flight_date+carrier+flight+origin"}
    partly = check(flight_delay, "2013-05-06", schedule=schedule.filter(pl.col("origin") != "JFK"))
    assert [failure.column for failure in partly.failures] == ["origin"]
