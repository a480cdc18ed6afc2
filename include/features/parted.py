"""Computes features apart: the raw rows are parted by key, a use case's own functions run on each part.

No step holds more than a part at a time; the results go from task to task as files, and take their place whole.
"""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl

from include.contract.engine import LABELS
from include.contract.loading import FILE, Folder
from include.contract.partitions import Partition
from include.features import catalogue, piecework
from include.features.compute import REVISION, Write, label_file, view_file
from include.features.piecework import Bucket, PartedTables, Piece, Slice, Split, Types, bucket_file
from include.features.raw_tables import Key, RawTables, slices
from include.features.split import Output, outputs
from include.features.window import History
from include.files import remove_older, replacing
from include.ingestion.scratch import DAY
from include.settings import get_settings

Each = Callable[[Callable[[Any], Any], Sequence[Any]], list[Any]]  # runs a function on every task, anywhere


@contextmanager
def on_spark(use_case: Folder, history: History) -> Iterator[Write]:
    """On the cluster of EVERGREEN_SPARK. Errors are those of the declarations first: they cost no cluster."""
    from include import spark

    applied = catalogue.read(use_case.config.name)
    if applied is None:
        raise FileNotFoundError(f"{catalogue.file(use_case.config.name)}: missing; the definitions are not applied")
    tables = RawTables(history)
    wanted = outputs(use_case, applied, tables.columns)
    with scratch() as folder, spark.session(use_case.config.name, "features") as session:
        yield Parted(use_case, tables, wanted, folder, partial(spark.each, session)).write


@contextmanager
def scratch() -> Iterator[Path]:
    """A folder for what the tasks pass on, on the file system that they share."""
    parent = get_settings().work / "parted"
    remove_older(parent, DAY)
    folder = parent / uuid.uuid4().hex
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)  # a task that was given up may still write


class Parted:
    """The features of a run's partitions, computed part by part."""

    def __init__(self, use_case: Folder, tables: RawTables, wanted: Sequence[Output], folder: Path, each: Each) -> None:
        """Parts the raw rows of all partitions by every set of columns that ``wanted`` names."""
        self._use_case = use_case
        self._outputs = tuple(wanted)
        self._folder = folder
        self._each = each
        self._buckets = use_case.config.engine.parts
        self._keys: tuple[Key, ...] = tuple(dict.fromkeys(output.by for output in wanted))
        self._types = {key: tables.types(key, f"{use_case.path / FILE}: engine.split") for key in self._keys}
        self._tables = {key: self._parted(tables, key) for key in self._keys}
        stretches = [
            Slice(path, start, rows, self._targets(tables, partition, table, start))
            for partition, files in tables.files.items()
            for table, path in files.items()
            for start, rows in slices(path)
        ]
        parted = [stretch for stretch in stretches if stretch.targets]
        tasks = [Split(tuple(parted[first :: self._buckets]), self._buckets) for first in range(self._buckets)]
        each(piecework.split, [task for task in tasks if task.slices])

    def _parted(self, tables: RawTables, key: Key) -> PartedTables:
        """Where the rows of each table are when they are parted by a key."""
        parted = tables.parted(key)
        files = {
            partition: {
                table: tuple(self._file(key, partition, table, start) for start, _ in slices(path))
                if table in parted
                else (path,)
                for table, path in named.items()
            }
            for partition, named in tables.files.items()
        }
        return PartedTables(tables.calendar, files, parted)

    def _targets(self, tables: RawTables, partition: str, table: str, start: int) -> tuple[tuple[Types, Path], ...]:
        """Into what a stretch of a table is parted."""
        keys = [key for key in self._keys if table in tables.parted(key)]
        return tuple((self._types[key], self._file(key, partition, table, start)) for key in keys)

    def _file(self, key: Key, partition: str, table: str, start: int) -> Path:
        return self._folder / f"{self._keys.index(key)}" / partition / table / f"{start:012}.parquet"

    def write(self, partition: Partition, revision: str) -> tuple[dict[str, int], int]:
        """Compute all views and the labels of a partition and write their files; as ``Write``."""
        name, rows = self._use_case.config.name, {}
        for view, (files, rows[view]) in self.compute(partition).items():
            file = label_file(name, partition.key) if view == LABELS else view_file(name, view, partition.key)
            with replacing(file) as temporary:
                together(files).sink_parquet(temporary, metadata={REVISION: revision})
        shutil.rmtree(self._computed(partition))
        labels = rows.pop(LABELS)
        return rows, labels

    def compute(self, partition: Partition) -> dict[str, tuple[list[Path], int]]:
        """The files that hold the rows of each view and of the labels, and how many there are."""
        folder = self._computed(partition)
        self._each(piecework.compute, self._pieces(partition, folder))
        parts = {
            output.name: tuple(folder / output.name / f"{part}.parquet" for part in range(self._parts(output.by)))
            for output in self._outputs
        }
        numbers = range(self._buckets)
        buckets = [Bucket(self._use_case.path, number, self._outputs, parts, folder) for number in numbers]
        counted = self._each(piecework.merge, buckets)
        return {
            view: ([bucket_file(folder, view, number) for number in numbers], sum(each[view] for each in counted))
            for view in counted[0]
        }

    def _computed(self, partition: Partition) -> Path:
        return self._folder / "computed" / partition.key

    def _pieces(self, partition: Partition, folder: Path) -> list[Piece]:
        views = frozenset(output.view for output in self._outputs)
        return [
            Piece(
                use_case=self._use_case,
                partition=partition,
                tables=self._tables[key],
                part=part,
                outputs=tuple(output for output in self._outputs if output.by == key),
                views=views,
                buckets=self._buckets,
                folder=folder,
            )
            for key in self._keys
            for part in range(self._parts(key))
        ]

    def _parts(self, key: Key) -> int:
        return self._buckets if key else 1


def together(files: Sequence[Path]) -> pl.LazyFrame:
    """The rows of several files, one after the other."""
    return pl.concat([pl.scan_parquet(path) for path in files], how="vertical_relaxed")
