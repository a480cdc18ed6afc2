"""Brings computed partitions into the online store.

What is online follows from the offline store alone: whatever the order in which partitions are written, and however
often, a key has the value of the newest partition that holds it. Partitions that are older than a view's time to live,
seen from the newest that was computed, would not be served and are not written.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import polars as pl

from include.contract.loading import Folder
from include.contract.partitions import Partition
from include.features import store
from include.features.compute import computed, view_file
from include.features.moments import microseconds
from include.features.online.rows import Row, RowStore, alive, encoder, key_of
from include.features.store import CREATED_TIMESTAMP, EVENT_TIMESTAMP

if TYPE_CHECKING:
    from feast import FeatureView

log = logging.getLogger(__name__)


def materialize(use_case: Folder, partitions: Sequence[Partition]) -> dict[str, int]:
    """Write the rows of these partitions to the online store; how many keys were written of each view."""
    from include.features.online.store import kept_for, rows_of, view_name

    feature_store = store.open_store()
    rows = rows_of(feature_store)
    written: dict[str, int] = {}
    for view in store.batch_views(feature_store, use_case):
        live = _live(use_case, view)
        target = _Target(use_case, view, rows, view_name(feature_store.config, view), kept_for(view))
        written[view.name] = target.bring(live, [partition for partition in partitions if partition in live])
    return written


@dataclass(frozen=True)
class _Target:
    """A view online."""

    use_case: Folder
    view: FeatureView
    rows: RowStore
    name: str
    keep: timedelta | None

    def bring(self, live: Sequence[Partition], changed: Sequence[Partition]) -> int:
        """Write the partitions that changed; how many keys these were."""
        written = forgotten = 0
        if not changed:
            log.info("%s: no partition of these is within its time to live", self.view.name)
        for number, partition in enumerate(changed, 1):
            found = _rows(self.use_case, self.view, partition)
            forgotten += self.rows.forget(self.name, partition.key, {row.key for row in found})
            self.rows.write(self.name, found, source=partition.key, keep=self.keep)
            written += len(found)
            log.info("%s %s (%d of %d): %d keys", self.view.name, partition.key, number, len(changed), len(found))
        if forgotten:
            log.info("%s: %d keys are in these partitions no more; older partitions count", self.view.name, forgotten)
            for partition in live:
                found = _rows(self.use_case, self.view, partition)
                self.rows.write(self.name, found, source=partition.key, keep=self.keep)
        return written


def _live(use_case: Folder, view: FeatureView) -> list[Partition]:
    """The computed partitions that are within the view's time to live at the cut-off of the newest, in order."""
    known = computed(use_case, view.name)
    if not known:
        raise FileNotFoundError(
            f"{view_file(use_case.config.name, view.name, '*')}: not computed; views() in "
            f"{use_case.path / 'features.py'} must return {view.name!r}, which feature_definitions.py defines"
        )
    as_of = microseconds(known[-1].cutoff)
    return [partition for partition in known if alive(microseconds(partition.cutoff), view.ttl, as_of)]


def _rows(use_case: Folder, view: FeatureView, partition: Partition) -> list[Row]:
    """The newest row of each key in a partition."""
    keys, features = sorted(view.join_keys), [feature.name for feature in view.features]
    times = [EVENT_TIMESTAMP, CREATED_TIMESTAMP]
    file = view_file(use_case.config.name, view.name, partition.key)
    if missing := [name for name in [*keys, *features, *times] if name not in pl.read_parquet_schema(file)]:
        raise ValueError(f"{file}: no column {', '.join(missing)}; feature_definitions.py says that {view.name} has it")
    frame = pl.read_parquet(file, columns=[*keys, *features, *times])
    ordered = frame.drop_nulls(keys).sort(times, maintain_order=True)
    newest = ordered.unique(keys, keep="last", maintain_order=True)
    encode = encoder(features)
    columns: list[Any] = [
        newest.select(keys).rows(),
        *(newest[time].to_physical().to_list() for time in times),
        newest.select(features).rows(),
    ]
    return [
        Row(key_of(key), event, created, encode(values)) for key, event, created, values in zip(*columns, strict=True)
    ]
