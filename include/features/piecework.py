"""The tasks of computing features apart: each reads files, writes whole files, and may run again anywhere.

``split``    parts a slice of a raw table by the values of its keys.
``compute``  runs a use case's own functions on one part of the raw rows.
``merge``    puts one bucket of entities together, and refuses what was torn apart.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from include.contract.loading import FILE, Folder
from include.contract.partitions import Calendar, Partition
from include.features import pieces
from include.features.compute import labelled, stamped
from include.features.split import Output, SplitError
from include.features.store import EVENT_TIMESTAMP
from include.features.window import LakeWindow
from include.files import replacing

PIECE = "__piece"
Types = Mapping[str, pl.DataType]


@dataclass(frozen=True)
class Slice:
    """Some rows of a raw file, and for each set of key columns the file that they are parted into."""

    path: Path
    start: int
    rows: int
    targets: tuple[tuple[Types, Path], ...]


@dataclass(frozen=True)
class Split:
    slices: tuple[Slice, ...]
    parts: int


@dataclass(frozen=True)
class PartedTables:
    """Raw tables whose rows are parted by key; those that are not ``parted`` are seen whole by every part."""

    calendar: Calendar
    files: Mapping[str, Mapping[str, tuple[Path, ...]]]
    parted: frozenset[str]


@dataclass(frozen=True)
class PartOfTables:
    """The raw tables as of one part."""

    tables: PartedTables
    part: int

    @property
    def calendar(self) -> Calendar:
        return self.tables.calendar

    def frame(self, partition: Partition, table: str) -> pl.DataFrame | None:
        listing = self.tables.files.get(partition.key)
        if listing is None:
            return None
        if table not in listing:
            raise KeyError(f"partition {partition.key} has no table {table!r}; it has {sorted(listing)}")
        if table in self.tables.parted:
            return pieces.read(listing[table], self.part)
        return pl.read_parquet(listing[table][0])


@dataclass(frozen=True)
class Piece:
    """One part of a partition's raw rows, and what is to be computed of it into ``buckets`` of entities."""

    use_case: Folder
    partition: Partition
    tables: PartedTables
    part: int
    outputs: tuple[Output, ...]
    views: frozenset[str]
    buckets: int
    folder: Path


@dataclass(frozen=True)
class Bucket:
    """The entities that are put together; ``parts``: of each output, the files that have some of its rows."""

    use_case: Path
    number: int
    outputs: tuple[Output, ...]
    parts: Mapping[str, tuple[Path, ...]]
    folder: Path


def split(task: Split) -> int:
    """The number of rows that were read."""
    for piece in task.slices:
        frame = pl.scan_parquet(piece.path).slice(piece.start, piece.rows).collect()
        for types, target in piece.targets:
            pieces.write(frame, types, task.parts, target)
    return sum(piece.rows for piece in task.slices)


def compute(task: Piece) -> None:
    """Writes the rows of every output that this part of the raw rows gives."""
    use_case, window = task.use_case, LakeWindow(PartOfTables(task.tables, task.part), task.partition)
    views = use_case.features.views(window) if any(not output.is_labels for output in task.outputs) else {}
    if unknown := sorted({*views} - task.views):
        raise SplitError(
            f"{use_case.path / FILE}: engine.split.{unknown[0]}: missing, and views() returns it; give it to "
            "feature_definitions.py and to engine.split"
        )
    for output in task.outputs:
        if output.is_labels:
            frame = labelled(use_case, use_case.features.labels(window), task.partition)
        else:
            frame = stamped(_view(use_case, views, output), task.partition)
        if output.feature is not None:
            frame = frame.select(*output.keys, EVENT_TIMESTAMP, output.feature)
        types = pieces.common_types([frame.schema], output.keys)
        pieces.write(frame, types, task.buckets, task.folder / output.name / f"{task.part}.parquet")


def _view(use_case: Folder, views: Mapping[str, pl.DataFrame], output: Output) -> pl.DataFrame:
    file = use_case.path / "features.py"
    if output.view not in views:
        raise ValueError(f"{file}: views() returned {sorted(views)} without {output.view!r}")
    frame = views[output.view]
    needed = [*output.keys, *([output.feature] if output.feature else [])]
    if missing := [name for name in needed if name not in frame.columns]:
        raise ValueError(f"{file}: views() returned {output.view!r} without the columns {', '.join(missing)}")
    return frame


def merge(task: Bucket) -> dict[str, int]:
    """The number of rows in the bucket, by view."""
    counts = {}
    for output in (each for each in task.outputs if each.feature is None):
        rows = _together(task, output)
        for feature in (each for each in task.outputs if each.view == output.view and each.feature is not None):
            rows = _with_feature(task, rows, feature)
        with replacing(bucket_file(task.folder, output.view, task.number)) as temporary:
            rows.write_parquet(temporary)
        counts[output.view] = rows.height
    return counts


def bucket_file(folder: Path, view: str, number: int) -> Path:
    return folder / "merged" / view / f"{number:06}.parquet"


def _together(task: Bucket, output: Output) -> pl.DataFrame:
    """The bucket's rows of all parts; ``SplitError`` where an entity has rows of several, and so was torn apart."""
    frames = [
        pieces.read([path], task.number).with_columns(pl.lit(number, pl.UInt32).alias(PIECE))
        for number, path in enumerate(task.parts[output.name])
    ]
    rows = pl.concat(frames, how="vertical_relaxed")
    if output.keys:
        torn = rows.group_by(output.keys).agg(pl.col(PIECE).n_unique()).filter(pl.col(PIECE) > 1).drop(PIECE)
        if torn.height:
            raise SplitError(
                f"{task.use_case / FILE}: engine.split.{output.name}: {list(output.by)}: {torn.row(0, named=True)} has "
                "rows from several parts, so more makes them than raw rows with the same values in these columns; "
                "name other columns, or [] for one piece"
            )
    return rows.drop(PIECE)


def _with_feature(task: Bucket, rows: pl.DataFrame, output: Output) -> pl.DataFrame:
    """The feature as computed by its own columns in place of that by the view's."""
    row = [*output.keys, EVENT_TIMESTAMP]
    own = _together(task, output)
    columns = rows.columns
    joined = rows.drop(output.feature or "").join(own, on=row, nulls_equal=True, maintain_order="left")
    if not rows.height == own.height == joined.height:
        raise SplitError(
            f"{task.use_case / FILE}: engine.split.{output.name}: {list(output.by)}: gives {own.height} rows where the "
            f"view has {rows.height}, {joined.height} of them the same by {', '.join(row)}; a feature can have columns "
            "of its own only where these tell the rows of the view apart"
        )
    return joined.select(columns)
