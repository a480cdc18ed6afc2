"""A use case run in memory, without stores: its partitions, its features and a point-in-time join."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

import polars as pl

from include.contract.authoring import Features, Source, Window
from include.contract.partitions import Partition

Tables = Mapping[str, pl.DataFrame]


@dataclass(frozen=True)
class MemoryWindow:
    """The raw tables of consecutive partitions as a window on the one at ``position``."""

    partitions: Sequence[Partition]
    tables: Sequence[Tables]
    position: int

    @property
    def partition(self) -> Partition:
        return self.partitions[self.position]

    def table(self, name: str, *, partitions: int = 1) -> pl.DataFrame:
        first = max(0, self.position - partitions + 1)
        return pl.concat([tables[name] for tables in self.tables[first : self.position + 1]])


@dataclass(frozen=True)
class History:
    """All rows of each feature view, and all labels with the partition in which they became known."""

    views: dict[str, pl.DataFrame]
    labels: pl.DataFrame


def read_all(
    source: Source, partitions: Sequence[Partition], accept: Callable[[str, pl.DataFrame], pl.DataFrame]
) -> list[MemoryWindow]:
    """A window on each partition; ``accept`` is given each raw table's name and rows and returns those it accepts."""
    tables = [
        {name: accept(name, rows.lazy().collect()) for name, rows in source.read(one).items()} for one in partitions
    ]
    return [MemoryWindow(partitions, tables, position) for position in range(len(partitions))]


def compute(features: Features, windows: Sequence[Window]) -> History:
    """The features and labels of every window; rows without ``event_timestamp`` get their partition's cut-off."""
    views: dict[str, list[pl.DataFrame]] = {}
    labels = []
    for window in windows:
        cutoff = pl.lit(window.partition.cutoff).dt.cast_time_unit("us")
        for name, rows in features.views(window).items():
            timed = rows if "event_timestamp" in rows.columns else rows.with_columns(event_timestamp=cutoff)
            views.setdefault(name, []).append(timed)
        labels.append(features.labels(window).with_columns(known=cutoff))
    return History({name: pl.concat(rows) for name, rows in views.items()}, pl.concat(labels))


def point_in_time(
    rows: pl.DataFrame,
    view: pl.DataFrame,
    keys: Mapping[str, str],
    ttl: timedelta,
    features: Sequence[str] | None = None,
) -> pl.DataFrame:
    """``rows`` with the view's latest values at or before their ``event_timestamp``, at most ``ttl`` old.

    ``keys``: the view's join keys, and the column of ``rows`` that holds each. Rows stay in their order.
    """
    wanted = [c for c in view.columns if c not in keys and c != "event_timestamp"] if features is None else features
    renamed = view.select(*(pl.col(key).alias(column) for key, column in keys.items()), *wanted, "event_timestamp")
    return (
        rows.with_row_index("_row")
        .sort("event_timestamp")
        .join_asof(
            renamed.sort("event_timestamp"),
            on="event_timestamp",
            by=list(keys.values()),
            strategy="backward",
            tolerance=ttl,
            check_sortedness=False,
        )
        .sort("_row")
        .drop("_row")
    )
