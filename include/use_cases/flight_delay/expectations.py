"""What must hold of the raw rows.

``batch``: the delivery itself is wrong, and nothing of the day is taken. ``row``: single rows are wrong and are put
aside. ``warn``: odd, and known to happen. Bounds are those of the subject (a hurricane, a flight around the country)
and not those of the year that was looked at.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from include.contract.authoring import Batch
from include.ingestion import expect

ORIGINS = ["EWR", "JFK", "LGA"]
CARRIERS = ["9E", "AA", "AS", "B6", "DL", "EV", "F9", "FL", "HA", "MQ", "OO", "UA", "US", "VX", "WN", "YV"]
BATCH, ROW, WARN = ({"severity": severity} for severity in ("batch", "row", "warn"))


def suites(batch: Batch) -> dict[str, list[Any]]:
    """The expectations of each raw table."""
    return {
        "schedule": _schedule(batch),
        "departures": _departures(batch),
        "arrivals": _arrivals(batch),
        "weather": _weather(batch),
    }


def _schedule(batch: Batch) -> list[Any]:
    import great_expectations.expectations as gxe

    return [
        gxe.ExpectTableRowCountToBeBetween(min_value=300, max_value=1500, meta=BATCH),
        gxe.ExpectColumnValuesToBeUnique(column="flight_id", meta=BATCH),
        gxe.ExpectCompoundColumnsToBeUnique(column_list=["flight_date", "carrier", "flight", "origin"], meta=BATCH),
        gxe.ExpectColumnValuesToNotBeNull(column="flight_id", meta=BATCH),
        gxe.ExpectColumnValuesToNotBeNull(column="scheduled_departure", meta=BATCH),
        gxe.ExpectColumnValuesToNotBeNull(column="scheduled_arrival", meta=BATCH),
        gxe.ExpectColumnUniqueValueCountToBeBetween(column="flight_date", min_value=1, max_value=1, meta=BATCH),
        gxe.ExpectColumnDistinctValuesToEqualSet(column="origin", value_set=ORIGINS, meta=BATCH),
        gxe.ExpectColumnValuesToMatchRegex(column="dest", regex=r"^[A-Z]{3}$", meta=ROW),
        gxe.ExpectColumnValuesToMatchRegex(column="carrier", regex=r"^[A-Z0-9]{2}$", meta=ROW),
        gxe.ExpectColumnValuesToBeInSet(column="carrier", value_set=CARRIERS, meta=WARN),
        gxe.ExpectColumnValuesToBeBetween(column="sched_dep_time", min_value=0, max_value=2400, meta=ROW),
        gxe.ExpectColumnValuesToBeBetween(column="sched_arr_time", min_value=0, max_value=2400, meta=ROW),
        gxe.ExpectColumnValuesToBeBetween(column="distance", min_value=50, max_value=6000, meta=ROW),
        gxe.ExpectColumnPairValuesAToBeGreaterThanB(
            column_A="scheduled_arrival", column_B="scheduled_departure", meta=ROW
        ),
        gxe.ExpectColumnValuesToNotBeNull(column="tailnum", mostly=0.9, meta=WARN),
        gxe.ExpectColumnValuesToNotBeNull(column="plane_year", mostly=0.7, meta=WARN),
        expect.usual_row_count(batch, "schedule", tolerance=0.35),
        expect.usual_mean(batch, "schedule", "distance"),
    ]


def _departures(batch: Batch) -> list[Any]:
    import great_expectations.expectations as gxe

    return [
        gxe.ExpectTableRowCountToBeBetween(min_value=100, max_value=1500, meta=WARN),
        gxe.ExpectColumnValuesToBeUnique(column="flight_id", meta=BATCH),
        gxe.ExpectColumnValuesToNotBeNull(column="departed_at", meta=BATCH),
        gxe.ExpectColumnValuesToNotBeNull(column="dep_delay", meta=ROW),
        gxe.ExpectColumnValuesToBeInSet(column="origin", value_set=ORIGINS, meta=ROW),
        gxe.ExpectColumnValuesToBeBetween(column="dep_delay", min_value=-120, max_value=2880, meta=ROW),
        gxe.ExpectColumnValuesToNotBeNull(column="tailnum", mostly=0.9, meta=WARN),
        expect.fresh(batch, "departed_at", within=timedelta(hours=6)),
        expect.known_in(batch, "flight_id", "schedule", "flight_id", partitions=3),
    ]


def _arrivals(batch: Batch) -> list[Any]:
    import great_expectations.expectations as gxe

    return [
        gxe.ExpectTableRowCountToBeBetween(min_value=100, max_value=1500, meta=WARN),
        gxe.ExpectColumnValuesToBeUnique(column="flight_id", meta=BATCH),
        gxe.ExpectColumnValuesToNotBeNull(column="landed_at", meta=BATCH),
        gxe.ExpectColumnValuesToNotBeNull(column="arr_delay", meta=ROW),
        gxe.ExpectColumnValuesToNotBeNull(column="dep_delay", meta=ROW),
        gxe.ExpectColumnValuesToBeInSet(column="origin", value_set=ORIGINS, meta=ROW),
        gxe.ExpectColumnValuesToBeBetween(column="arr_delay", min_value=-180, max_value=2880, meta=ROW),
        gxe.ExpectColumnValuesToBeBetween(column="dep_delay", min_value=-120, max_value=2880, meta=ROW),
        gxe.ExpectColumnValuesToBeBetween(column="air_time", min_value=10, max_value=900, meta=ROW),
        gxe.ExpectColumnPairValuesAToBeGreaterThanB(column_A="landed_at", column_B="scheduled_departure", meta=WARN),
        expect.fresh(batch, "landed_at", within=timedelta(hours=6)),
        expect.known_in(batch, "flight_id", "schedule", "flight_id", partitions=4),
    ]


def _weather(batch: Batch) -> list[Any]:
    import great_expectations.expectations as gxe

    return [
        gxe.ExpectTableRowCountToBeBetween(min_value=60, max_value=75, meta=WARN),
        gxe.ExpectCompoundColumnsToBeUnique(column_list=["origin", "observed_at"], meta=BATCH),
        gxe.ExpectColumnValuesToNotBeNull(column="observed_at", meta=BATCH),
        gxe.ExpectColumnValuesToBeInSet(column="origin", value_set=ORIGINS, meta=BATCH),
        gxe.ExpectColumnValuesToBeBetween(column="wind_speed", min_value=0, max_value=200, meta=ROW),
        gxe.ExpectColumnValuesToBeBetween(column="wind_gust", min_value=0, max_value=250, meta=ROW),
        gxe.ExpectColumnValuesToBeBetween(column="wind_dir", min_value=0, max_value=360, meta=ROW),
        gxe.ExpectColumnValuesToBeBetween(column="temp", min_value=-40, max_value=130, meta=ROW),
        gxe.ExpectColumnValuesToBeBetween(column="humid", min_value=0, max_value=100, meta=ROW),
        gxe.ExpectColumnValuesToBeBetween(column="visib", min_value=0, max_value=10, meta=ROW),
        gxe.ExpectColumnValuesToBeBetween(column="precip", min_value=0, max_value=10, meta=ROW),
        gxe.ExpectColumnValuesToBeBetween(column="pressure", min_value=900, max_value=1080, meta=ROW),
        gxe.ExpectColumnValuesToNotBeNull(column="pressure", mostly=0.5, meta=WARN),
        expect.fresh(batch, "observed_at", within=timedelta(hours=3)),
    ]
