"""Feature files of the station use case, written by hand: one row a station and hour, as few as a test needs."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import polars as pl

from include.contract.loading import Folder
from include.contract.partitions import Partition
from include.features.compute import INSTANT, view_file

TIMES = {"event_timestamp": INSTANT, "created_timestamp": INSTANT}
OBSERVATION = {
    "station": pl.String, "temp": pl.Float64, "dewp": pl.Float64, "pressure": pl.Float64, "hour": pl.Int64,
    "season": pl.String, **TIMES,
}  # fmt: skip
HISTORY = {"station": pl.String, "temp_mean": pl.Float64, **TIMES}


def observed(station: str | None, temp: float, at: datetime, created: datetime | None = None) -> tuple[Any, ...]:
    return station, temp, None, 1000.0, at.hour, "winter", at, created or at


def write(use_case: Folder, partition: Partition, *observations: tuple[Any, ...]) -> None:
    """The partition's observations, and the mean temperature of its stations at its end."""
    rows = pl.DataFrame(observations, OBSERVATION, orient="row")
    end = pl.lit(partition.cutoff, dtype=INSTANT)
    means = rows.drop_nulls("station").group_by("station").agg(temp_mean=pl.col("temp").mean())
    means = means.with_columns(event_timestamp=end, created_timestamp=end).match_to_schema(HISTORY)
    for view, frame in (("observation", rows), ("station_history", means)):
        file = view_file(use_case.config.name, view, partition.key)
        file.parent.mkdir(parents=True, exist_ok=True)
        frame.write_parquet(file)
