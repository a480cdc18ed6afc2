"""Landing: what the source says about a partition is kept as it came, before anything is decided about it.

Only two things are made uniform: instants are UTC with microseconds, and a NaN is a missing value.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import polars as pl

from include import alerts
from include.contract.authoring import NotThereYet
from include.contract.loading import Folder
from include.contract.partitions import Partition
from include.contract.use_case import IngestionConfig
from include.files import replacing
from include.ingestion.quarantine import REASON, ROW, VALUE
from include.settings import get_settings

log = logging.getLogger(__name__)

RESERVED = (ROW, REASON, VALUE, "file_row_number")


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
    rules = use_case.config.ingestion
    for number, partition in enumerate(partitions, 1):
        where = f"{use_case.path / 'source.py'}: {partition.key}"
        tables = _read(use_case, partition, where)
        with replacing(folder(use_case, partition)) as landed:
            landed.mkdir()
            for name, frame in tables.items():
                with _named(f"{where}: {name}"):
                    _keep(frame, landed / f"{name}.parquet", f"{where}: {name}", rules.largest_value)
        log.info("landed %s (%d of %d): %s", partition.key, number, len(partitions), ", ".join(sorted(tables)))


def folder(use_case: Folder, partition: Partition) -> Path:
    return get_settings().work / "landed" / use_case.config.name / partition.key


def tables(landed: Path) -> dict[str, Path]:
    """The files of a landed partition by table."""
    return {path.stem: path for path in sorted(landed.glob("*.parquet"))}


def _read(use_case: Folder, partition: Partition, where: str) -> Mapping[str, pl.DataFrame | pl.LazyFrame]:
    with _named(where):
        tables = use_case.source.read(partition)
    if not tables:
        raise ValueError(f"{where}: read() returned no table")
    for name, frame in tables.items():
        if not isinstance(frame, pl.DataFrame | pl.LazyFrame):
            raise TypeError(f"{where}: read() returned a {type(frame).__name__} for {name!r}, not a frame")
    return tables


@contextmanager
def _named(where: str) -> Iterator[None]:
    """Errors of reading a file say what was read."""
    try:
        yield
    except pl.exceptions.PolarsError as error:
        raise type(error)(f"{where}: {error}") from error


def _keep(frame: pl.DataFrame | pl.LazyFrame, path: Path, where: str, largest: int) -> None:
    lazy = frame.lazy()
    schema = lazy.collect_schema()
    _refuse_names(schema.names(), where)
    _refuse_giants(lazy, schema, where, largest)
    instants = [
        pl.col(name).dt.convert_time_zone("UTC").dt.cast_time_unit("us")
        for name, kind in schema.items()
        if isinstance(kind, pl.Datetime) and kind.time_zone is not None
    ]
    lazy.with_columns(instants).fill_nan(None).sink_parquet(path)


def _refuse_names(names: Sequence[str], where: str) -> None:
    """Names that SQL takes for one another, and those that the checks and the quarantine give."""
    seen: dict[str, str] = {}
    for name in names:
        if name.lower() in seen:
            raise ValueError(f"{where}: the columns {seen[name.lower()]!r} and {name!r} differ in capitals only")
        if name.lower() in RESERVED:
            raise ValueError(f"{where}: a column may not be called {name!r}: rows in quarantine carry that name")
        seen[name.lower()] = name


def _refuse_giants(frame: pl.LazyFrame, schema: pl.Schema, where: str, largest: int) -> None:
    """One broken value of a gigabyte would fill the memory of every later step."""
    lengths = [
        (pl.col(name).str.len_bytes() if kind == pl.String else pl.col(name).bin.size()).max().alias(name)
        for name, kind in schema.items()
        if kind in (pl.String, pl.Binary)
    ]
    if not lengths:
        return
    found = frame.select(lengths).collect(engine="streaming").row(0, named=True)
    for column, size in found.items():
        if size is not None and size > largest:
            raise ValueError(
                f"{where}: a value of {column!r} has {size:,} bytes; "
                f"ingestion.largest_value in use_case.yaml allows {largest:,}"
            )
