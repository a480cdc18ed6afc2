"""Computes the features and labels of a run's partitions and writes them to the offline store, one by one."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import polars as pl

from include.contract.loading import Folder
from include.contract.partitions import Partition
from include.features import store
from include.features.store import CREATED_TIMESTAMP, EVENT_TIMESTAMP
from include.features.window import History
from include.files import replacing
from include.settings import get_settings

log = logging.getLogger(__name__)

LABEL = "label"
KNOWN_AT = "known_at"
INSTANT = pl.Datetime("us", "UTC")
APPENDED = "batch-"  # files of rows that were pushed to the offline store
# Writes a partition as of a revision: the number of rows by view, and that of labels.
Write = Callable[[Partition, str], tuple[dict[str, int], int]]
REVISION = "data_revision"  # in the metadata of each file: the raw data that it was computed from


@dataclass(frozen=True)
class Computed:
    """What a run wrote."""

    revision: str
    definition_hash: str
    views: dict[str, int]
    labels: int


def view_file(use_case: str, view: str, partition: str) -> Path:
    return get_settings().offline_store / use_case / view / f"{partition}.parquet"


def label_file(use_case: str, partition: str) -> Path:
    return get_settings().labels / use_case / f"{partition}.parquet"


def compute(use_case: Folder, partitions: list[Partition], revision: str) -> Computed:
    """Compute every view and the labels of each partition as known at its cut-off."""
    config = use_case.config
    definition = store.ensure_applied(use_case)
    history = History(config.name, config.calendar, revision, partitions, past=config.history - 1)
    written: Counter[str] = Counter()
    labels = 0
    with _engine(use_case, history) as write:
        for number, partition in enumerate(partitions, 1):
            rows, known = write(partition, revision)
            written.update(rows)
            labels += known
            log.info("computed %s (%d of %d): %d labels", partition.key, number, len(partitions), known)
    return Computed(revision, definition, dict(written), labels)


def _engine(use_case: Folder, history: History) -> AbstractContextManager[Write]:
    """What computes and writes a partition, by ``engine.features`` of the use case."""
    if use_case.config.engine.features == "spark":
        from include.features import parted

        return parted.on_spark(use_case, history)
    return nullcontext(partial(_write_whole, use_case, history))


def _write_whole(use_case: Folder, history: History, partition: Partition, revision: str) -> tuple[dict[str, int], int]:
    """Everything at once, in this process."""
    config, window = use_case.config, history.window(partition)
    views = use_case.features.views(window)
    if config.entity.view not in views:
        raise ValueError(
            f"{use_case.path / 'features.py'}: views() returned {sorted(views)} without {config.entity.view!r}"
        )
    rows = {}
    for view, frame in views.items():
        stamped_rows = stamped(frame, partition)
        _write(stamped_rows, view_file(config.name, view, partition.key), revision)
        rows[view] = stamped_rows.height
    labels = labelled(use_case, use_case.features.labels(window), partition)
    _write(labels, label_file(config.name, partition.key), revision)
    return rows, labels.height


def computed(use_case: Folder, view: str) -> list[Partition]:
    """The partitions whose rows of a view are in the offline store, in order."""
    config = use_case.config
    names = sorted(path.stem for path in view_file(config.name, view, "any").parent.glob("[!.]*.parquet"))
    return [config.calendar.partition(name) for name in names if not name.startswith(APPENDED)]


def read_labels(use_case: str, keys: Iterable[str]) -> pl.DataFrame:
    """The labels that became known in these partitions; a label that was corrected later counts as corrected."""
    paths = [path for path in (label_file(use_case, key) for key in keys) if path.is_file()]
    if not paths:
        raise FileNotFoundError(f"{label_file(use_case, '*')}: no labels yet; `{use_case}.features` writes them")
    frame = pl.concat([pl.read_parquet(path) for path in paths], how="vertical")
    keys_of_a_label = [name for name in frame.columns if name not in (LABEL, KNOWN_AT)]
    return frame.sort(KNOWN_AT, maintain_order=True).unique(keys_of_a_label, keep="last", maintain_order=True)


def read_entities(use_case: Folder, keys: Iterable[str], extra: Iterable[str] = ()) -> pl.DataFrame:
    """The rows to predict in these partitions: the entity's key, all join keys, ``event_timestamp``, more columns."""
    config = use_case.config
    columns = [*(pl.col(column).alias(key) for key, column in config.join_keys.items()), *map(pl.col, extra)]
    paths = [view_file(config.name, config.entity.view, key) for key in keys]
    missing = [path for path in paths if not path.is_file()]
    if missing:
        raise FileNotFoundError(f"{missing[0]}: not computed; `{config.name}.features` writes it")
    return pl.concat([pl.read_parquet(path).select(*columns, EVENT_TIMESTAMP) for path in paths], how="vertical")


def stamped(frame: pl.DataFrame, partition: Partition) -> pl.DataFrame:
    """Add the times at which the rows hold and were known, where the author gives none: the cut-off, at once known."""
    cutoff = pl.lit(partition.cutoff, dtype=INSTANT)
    event = pl.col(EVENT_TIMESTAMP).cast(INSTANT) if EVENT_TIMESTAMP in frame.columns else cutoff
    created = pl.col(CREATED_TIMESTAMP).cast(INSTANT) if CREATED_TIMESTAMP in frame.columns else event
    stamped = frame.with_columns(event.alias(EVENT_TIMESTAMP), created.alias(CREATED_TIMESTAMP))
    if stamped.height and stamped[EVENT_TIMESTAMP].max() > partition.cutoff:  # type: ignore[operator]
        raise ValueError(f"features of partition {partition.key} are dated later than its cut-off")
    return stamped


def labelled(use_case: Folder, frame: pl.DataFrame, partition: Partition) -> pl.DataFrame:
    config = use_case.config
    columns = [*config.entity.key, EVENT_TIMESTAMP, config.label.name]
    missing = [name for name in columns if name not in frame.columns]
    if missing:
        raise ValueError(f"{use_case.path / 'features.py'}: labels() lacks the columns {missing}")
    return frame.select(
        *config.entity.key,
        pl.col(EVENT_TIMESTAMP).cast(INSTANT),
        pl.col(config.label.name).cast(pl.Float64).alias(LABEL),
        pl.lit(partition.cutoff, dtype=INSTANT).alias(KNOWN_AT),
    ).filter(pl.col(LABEL).is_not_null() & pl.col(LABEL).is_not_nan())


def _write(frame: pl.DataFrame, path: Path, revision: str) -> None:
    with replacing(path) as temporary:
        frame.write_parquet(temporary, metadata={REVISION: revision})
