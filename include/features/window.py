"""The accepted raw rows of a partition and its past, read from the data revision of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import polars as pl

from include.contract.partitions import Calendar, Partition
from include.ingestion import versions


class Tables(Protocol):
    """Raw tables by partition."""

    @property
    def calendar(self) -> Calendar: ...

    def frame(self, partition: Partition, table: str) -> pl.DataFrame | None:
        """The accepted rows of one table in one partition; None where the partition was never published."""
        ...


class History:
    """The raw tables of a use case as of one data revision. Frames are kept while a run walks over its partitions."""

    def __init__(self, use_case: str, calendar: Calendar, revision: str, wanted: list[Partition], past: int) -> None:
        """Reads the partitions ``wanted`` and the ``past`` ones before the first of them."""
        self.calendar = calendar
        self.revision = revision
        first = calendar.shift(wanted[0], -past)
        span = [partition.key for partition in calendar.span(first, wanted[-1])]
        keys = list(versions.pointers(use_case, revision, span))
        self.files = versions.files(use_case, revision, keys)
        self._frames: dict[Path, pl.DataFrame] = {}
        missing = [partition.key for partition in wanted if partition.key not in self.files]
        if missing:
            raise versions.VersionError(
                f"{use_case}: revision {revision[:12]} holds no partition {', '.join(missing)}; ingest it first"
            )

    def window(self, partition: Partition) -> LakeWindow:
        return LakeWindow(self, partition)

    def frame(self, partition: Partition, table: str) -> pl.DataFrame | None:
        listing = self.files.get(partition.key)
        if listing is None:
            return None
        path = listing.get(f"{table}.parquet")
        if path is None:
            raise KeyError(f"partition {partition.key} has no table {table!r}; it has {sorted(listing)}")
        if path not in self._frames:
            self._frames[path] = pl.read_parquet(path)
        return self._frames[path]


class LakeWindow:
    """What a use case's ``features.py`` reads: see :class:`include.contract.authoring.Window`."""

    def __init__(self, tables: Tables, partition: Partition) -> None:
        self._tables = tables
        self._partition = partition

    @property
    def partition(self) -> Partition:
        return self._partition

    def table(self, name: str, *, partitions: int = 1) -> pl.DataFrame:
        calendar = self._tables.calendar
        first = calendar.shift(self._partition, 1 - partitions)
        frames = [self._tables.frame(each, name) for each in calendar.span(first, self._partition)]
        # A column that the source has gained, or whose type it has changed, is not in all of them alike.
        return pl.concat([frame for frame in frames if frame is not None], how="diagonal_relaxed")
