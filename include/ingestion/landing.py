"""Landing: what the source says about a partition is kept as it came, before anything is decided about it.

Only two things are made uniform: instants are UTC with microseconds, and a NaN is a missing value.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import polars as pl

from include import alerts
from include.contract.authoring import NotThereYet
from include.contract.loading import Folder
from include.contract.partitions import Partition
from include.contract.use_case import IngestionConfig
from include.files import replacing
from include.settings import get_settings

log = logging.getLogger(__name__)


def arrived(use_case: Folder, partitions: list[Partition]) -> bool:
    """Land the partitions if the source has them all; an alert is open while a delivery is late."""
    name = use_case.config.name
    try:
        land(use_case, partitions)
    except NotThereYet as reason:
        late = lateness(partitions[-1], datetime.now(UTC), use_case.config.ingestion)
        if late:
            alerts.raise_alert(name, "late data", partitions[-1].key, f"{late} ({reason})")
        log.info("the source has not delivered: %s", reason)
        return False
    for partition in partitions:
        alerts.resolve(name, "late data", partition.key)
    return True


def lateness(partition: Partition, now: datetime, config: IngestionConfig) -> str | None:
    """Since when a delivery is overdue, in words; None while it is in time."""
    due = partition.cutoff + config.late_after
    return f"was due {due.isoformat(timespec='minutes')}" if now > due else None


def land(use_case: Folder, partitions: Sequence[Partition]) -> None:
    """Read the raw tables of each partition and keep them.

    Raises what the source raises; ``ValueError`` naming table and column where it delivers what cannot be kept.
    """
    source = use_case.path / "source.py"
    for number, partition in enumerate(partitions, 1):
        tables = use_case.source.read(partition)
        if not tables:
            raise ValueError(f"{source}: read() returned no table for {partition.key}")
        with replacing(folder(use_case, partition)) as landed:
            landed.mkdir()
            for name, frame in tables.items():
                if not isinstance(frame, pl.DataFrame | pl.LazyFrame):
                    raise TypeError(f"{source}: read() returned a {type(frame).__name__} for {name!r}, not a frame")
                path = landed / f"{name}.parquet"
                _uniform(frame.lazy()).sink_parquet(path)
                _refuse_giants(source, partition, path, use_case.config.ingestion.largest_value)
        log.info("landed %s (%d of %d): %s", partition.key, number, len(partitions), ", ".join(sorted(tables)))


def folder(use_case: Folder, partition: Partition) -> Path:
    return get_settings().work / "landed" / use_case.config.name / partition.key


def tables(use_case: Folder, partition: Partition) -> dict[str, Path]:
    """The files of a landed partition by table."""
    found = {path.stem: path for path in sorted(folder(use_case, partition).glob("*.parquet"))}
    if not found:
        raise FileNotFoundError(f"{folder(use_case, partition)}: not landed; the task `land` comes first")
    return found


def _uniform(frame: pl.LazyFrame) -> pl.LazyFrame:
    instants = [
        pl.col(name).dt.convert_time_zone("UTC").dt.cast_time_unit("us")
        for name, kind in frame.collect_schema().items()
        if isinstance(kind, pl.Datetime) and kind.time_zone is not None
    ]
    return frame.with_columns(instants).fill_nan(None)


def _refuse_giants(source: Path, partition: Partition, path: Path, largest: int) -> None:
    """One broken value of a gigabyte would fill the memory of every later step."""
    schema = pl.read_parquet_schema(path)
    lengths = [
        (pl.col(name).str.len_bytes() if kind == pl.String else pl.col(name).bin.size()).max().alias(name)
        for name, kind in schema.items()
        if kind in (pl.String, pl.Binary)
    ]
    if not lengths:
        return
    found = pl.scan_parquet(path).select(lengths).collect(engine="streaming").row(0, named=True)
    for column, size in found.items():
        if size is not None and size > largest:
            raise ValueError(
                f"{source}: {partition.key}: a value of {path.stem}.{column} has {size:,} bytes; "
                f"ingestion.largest_value in use_case.yaml allows {largest:,}"
            )
