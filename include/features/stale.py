"""Which features no longer follow from the raw data: those whose window holds a partition that has changed since.

What counts is not what changed just now but what the features were computed from: a run that was killed before it
passed a change on is caught up.
"""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from include.contract.loading import Folder
from include.contract.partitions import Partition
from include.features.compute import REVISION, view_file
from include.ingestion import versions


def stale(use_case: Folder, partitions: Sequence[Partition], revision: str) -> dict[Partition, str]:
    """Those of the computed partitions whose features are of other data than the revision's: what they were made of.

    A feature looks back on ``history`` partitions, its own included. Partitions without features are left out.
    """
    config = use_case.config
    changed: dict[str, set[str]] = {}
    found = {}
    for partition in partitions:
        file = view_file(config.name, config.entity.view, partition.key)
        if not file.is_file():
            continue
        source = pl.read_parquet_metadata(file)[REVISION]
        if source not in changed:
            changed[source] = set(versions.changed(config.name, source, revision))
        if changed[source]:
            window = config.calendar.span(config.calendar.shift(partition, 1 - config.history), partition)
            if any(each.key in changed[source] for each in window):
                found[partition] = source
    return found


def affected(use_case: Folder, partitions: Sequence[Partition], revision: str) -> list[Partition]:
    """The partitions whose features a change of these raw partitions has made stale, in order."""
    calendar = use_case.config.calendar
    last = calendar.shift(max(partitions), use_case.config.history - 1)
    return list(stale(use_case, calendar.span(min(partitions), last), revision))
