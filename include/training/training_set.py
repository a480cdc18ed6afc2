"""The training set: label events joined with what was known at their time, split by time, written once.

The test stretch is the latest part of the history. What is learned from is only what was known before the test
stretch began: a label that came later, be it of an earlier event, is in neither part.
"""

from __future__ import annotations

import hashlib
import io
import logging
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import polars as pl

from include.contract.loading import Folder
from include.contract.partitions import Partition
from include.features import compute, store
from include.features.compute import INSTANT, KNOWN_AT, LABEL
from include.features.stale import stale
from include.features.store import EVENT_TIMESTAMP
from include.files import replacing
from include.ingestion import versions
from include.records import Record
from include.settings import get_settings

log = logging.getLogger(__name__)

SPLIT = "split"
BLOCK = "block"


@dataclass(frozen=True)
class Plan:
    """Which labelled rows are learned from and which are kept for the test. All bounds are instants."""

    train_start: datetime | None
    test_start: datetime
    as_of: datetime

    @classmethod
    def until(cls, partition: Partition, test: timedelta, window: timedelta | None) -> Plan:
        """What is known at the cut-off of ``partition``. Lengths are counted on the local clock (DST days too)."""
        end = partition.end
        test_start = _back(end, test)
        return cls(None if window is None else _back(test_start, window), test_start, end)


@dataclass(frozen=True)
class TrainingSet(Record):
    """A written training set, as it travels from the task that wrote it to the one that fits."""

    path: Path
    content_hash: str
    data_revision: str
    definition_hash: str
    first: str
    last: str
    plan: Plan
    features: tuple[str, ...]
    train_rows: int
    test_rows: int

    def read(self, split: str) -> pl.DataFrame:
        return pl.read_parquet(self.path).filter(pl.col(SPLIT) == split)


def build(use_case: Folder, until: Partition, plan: Plan, revision: str) -> TrainingSet:
    """Join, split and write the training set as of a data revision.

    Same inputs give the same bytes. Refuses features that were computed from other data than the revision holds.
    """
    config = use_case.config
    keys = [key for key in versions.keys(config.name, revision) if key <= until.key]
    if not keys:
        raise versions.VersionError(f"{config.name}: revision {revision[:12]} holds nothing until {until.key}")
    _refuse_stale(use_case, keys, revision)
    feature_store = store.open_store()
    request = store.request_columns(feature_store, config.name)
    events = split(_label_events(use_case, keys, request), plan)
    features = store.feature_names(feature_store.get_feature_service(config.name))
    entity_columns = [*config.join_keys, EVENT_TIMESTAMP]
    joined = store.historical(feature_store, config.name, events.select(*entity_columns, *request).to_pandas())
    labelled = events.select(*entity_columns, LABEL, KNOWN_AT, SPLIT, BLOCK)
    frame = pl.concat([labelled, pl.from_pandas(joined[features])], how="horizontal")
    path, digest = _write(config.name, frame)
    counts = dict(frame[SPLIT].value_counts().iter_rows())
    log.info("training set %s: %s rows, %d features", digest[:12], counts, len(features))
    return TrainingSet(
        path=path,
        content_hash=digest,
        data_revision=revision,
        definition_hash=store.definition_hash(use_case),
        first=keys[0],
        last=keys[-1],
        plan=plan,
        features=tuple(features),
        train_rows=counts.get("train", 0),
        test_rows=counts.get("test", 0),
    )


def split(events: pl.DataFrame, plan: Plan) -> pl.DataFrame:
    """Mark each label event as ``train`` or ``test``; events of neither part are left out. Order: time, then key."""
    when, known = pl.col(EVENT_TIMESTAMP), pl.col(KNOWN_AT)
    test_start = pl.lit(plan.test_start).cast(INSTANT)
    as_of = pl.lit(plan.as_of).cast(INSTANT)
    train = known <= test_start
    if plan.train_start is not None:
        train &= when >= pl.lit(plan.train_start).cast(INSTANT)
    part = pl.when(train).then(pl.lit("train")).when((when >= test_start) & (known <= as_of)).then(pl.lit("test"))
    ordered = [EVENT_TIMESTAMP, *[name for name in events.columns if name not in (EVENT_TIMESTAMP, LABEL, KNOWN_AT)]]
    return events.with_columns(part.alias(SPLIT)).filter(pl.col(SPLIT).is_not_null()).sort(ordered)


def block_of(timezone: str) -> pl.Expr:
    """The local day of an event: rows of one day hang together, so that uncertainty is counted in days."""
    return pl.col(EVENT_TIMESTAMP).dt.convert_time_zone(timezone).dt.strftime("%Y-%m-%d").alias(BLOCK)


def _label_events(use_case: Folder, keys: list[str], request: list[str]) -> pl.DataFrame:
    """Labels with the join keys of their entity rows, and what requests would bring.

    A label without its entity row is dropped and counted.
    """
    config = use_case.config
    labels = compute.read_labels(config.name, keys)
    entities = compute.read_entities(use_case, keys, request).unique([*config.entity.key, EVENT_TIMESTAMP], keep="last")
    events = labels.join(entities, on=[*config.entity.key, EVENT_TIMESTAMP], how="inner", nulls_equal=False)
    if lost := labels.height - events.height:
        log.warning(
            "%d of %d labels have no entity row (before the first partition, or quarantined)", lost, labels.height
        )
    return events.with_columns(block_of(config.timezone))


def _refuse_stale(use_case: Folder, keys: list[str], revision: str) -> None:
    """The offline store must hold what this revision's data gives."""
    config = use_case.config
    for key in keys:
        file = compute.view_file(config.name, config.entity.view, key)
        if not file.is_file():
            raise FileNotFoundError(f"{file}: partition {key} has no features; run {config.name}.features for it")
    of_other_data = stale(use_case, [config.calendar.partition(key) for key in keys], revision)
    if of_other_data:
        partition, source = next(iter(of_other_data.items()))
        raise RuntimeError(
            f"the features of {len(of_other_data)} partitions are not of this data: those of {partition.key} come from "
            f"revision {source[:12]}, whose data differs from {revision[:12]}; run {config.name}.features for "
            f"{partition.key}"
        )


def _write(use_case: str, frame: pl.DataFrame) -> tuple[Path, str]:
    """Write the frame under the hash of its bytes."""
    buffer = io.BytesIO()
    frame.write_parquet(buffer)
    content = buffer.getvalue()
    digest = hashlib.sha256(content).hexdigest()
    path = get_settings().training / use_case / f"{digest}.parquet"
    with replacing(path) as temporary:
        temporary.write_bytes(content)
    return path, digest


def _back(moment: datetime, length: timedelta) -> datetime:
    return (moment.replace(tzinfo=None) - length).replace(tzinfo=moment.tzinfo)
