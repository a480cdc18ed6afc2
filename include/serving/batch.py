"""Batch scoring: the champion's predictions for every entity row of a run's partitions.

Features are joined and predicted in chunks, so that memory does not grow with the rows of a partition.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import polars as pl

from include.contract.loading import Folder
from include.contract.partitions import Partition
from include.deployment import published
from include.features import compute, store
from include.features.store import EVENT_TIMESTAMP
from include.registry import models
from include.registry.predictor import Predictor
from include.serving import batch_log
from include.serving.compiled.served import accelerate
from include.serving.samples import sample

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

log = logging.getLogger(__name__)

Engine = Callable[["pd.DataFrame"], "NDArray[np.float64]"]

CHUNK = 100_000  # rows that are joined and predicted at a time
PARTITION, NUMBER = "partition", "number"  # columns of entity rows while they are predicted
MANY = 200_000  # rows from which a compiled model, four times as fast, has won back the 2 s that its verification takes
VERIFIED = 500  # rows that a compiled model is held to its pipeline on


@dataclass(frozen=True)
class Chunk:
    """Entity rows of some partitions, each with its partition and its number in it."""

    partitions: tuple[str, ...]
    entities: pl.DataFrame

    @classmethod
    def of(cls, parts: Sequence[tuple[str, pl.DataFrame]]) -> Chunk:
        return cls(tuple(key for key, _ in parts), pl.concat([rows for _, rows in parts]))


@dataclass(frozen=True)
class Scored:
    """What a run predicted, and with which version."""

    model_version: int
    rows: int


def score(use_case: Folder, partitions: list[Partition], *, again: bool = False) -> Scored | None:
    """Predict and log each partition; None while there is no champion.

    What was predicted stays, also where data was corrected afterwards: a later champion may have learned from these
    very days, and a monitor that saw its predictions would think too well of it. ``again`` replaces them.
    """
    name = use_case.config.name
    champion = published.champion(name)
    if champion is None:
        return None
    if not again:
        partitions = [each for each in partitions if not batch_log.file(name, each.key).is_file()]
    if not partitions:
        return Scored(champion.version, 0)
    rows = 0
    predictor = models.load(champion)
    engine = _engine(predictor, _count(use_case, partitions))
    parts = (part for chunk in _chunks(use_case, partitions) for part in predict(use_case, predictor, engine, chunk))
    for key, own in groupby(parts, key=itemgetter(0)):
        written = batch_log.write_parts(name, key, (part for _, part in own))
        log.info("scored %s: %d rows with version %d", key, written, champion.version)
        rows += written
    return Scored(champion.version, rows)


def predict(use_case: Folder, predictor: Predictor, engine: Engine, chunk: Chunk) -> Iterator[tuple[str, pl.DataFrame]]:
    """By partition the rows of the prediction log: ids, prediction, and the features used."""
    config, version, entities = use_case.config, predictor.version, chunk.entities
    columns = [feature.name for feature in predictor.features]
    joined = store.historical(store.open_store(), config.name, entities.drop(PARTITION, NUMBER).to_pandas())
    values: Any = engine(joined) if entities.height else []
    ids = pl.format("{}/{}/v{}/{}", pl.lit(config.name), PARTITION, pl.lit(version.version), NUMBER)
    predicted = entities.select(
        PARTITION,
        ids.alias("request_id"),
        *config.entity.key,
        EVENT_TIMESTAMP,
        pl.Series("prediction", values, dtype=pl.Float64),
        pl.lit(version.version, dtype=pl.Int64).alias("model_version"),
        pl.lit(version.run_id).alias("run_id"),
    )
    rows = pl.concat([predicted, pl.from_pandas(joined[columns])], how="horizontal")
    for key in chunk.partitions:
        yield key, rows.filter(pl.col(PARTITION) == key).drop(PARTITION)


def _chunks(use_case: Folder, partitions: Sequence[Partition]) -> Iterator[Chunk]:
    """The entity rows of the partitions in their order: small ones together, since each join has its price."""
    request = store.request_columns(store.open_store(), use_case.config.name)
    waiting: list[tuple[str, pl.DataFrame]] = []
    for partition in partitions:
        entities = compute.read_entities(use_case, [partition.key], request)
        numbered = entities.with_row_index(NUMBER).with_columns(pl.lit(partition.key).alias(PARTITION))
        for start in range(0, max(numbered.height, 1), CHUNK):
            part = numbered.slice(start, CHUNK)
            if waiting and sum(each.height for _, each in waiting) + part.height > CHUNK:
                yield Chunk.of(waiting)
                waiting = []
            waiting.append((partition.key, part))
    yield Chunk.of(waiting)


def _count(use_case: Folder, partitions: Sequence[Partition]) -> int:
    """The entity rows of all partitions; one that was not computed is told when it is read."""
    config = use_case.config
    files = (compute.view_file(config.name, config.entity.view, partition.key) for partition in partitions)
    return sum(int(pl.scan_parquet(file).select(pl.len()).collect().item()) for file in files if file.is_file())


def _engine(predictor: Predictor, rows: int) -> Engine:
    """What predicts a frame of the joined features: the pipeline, or for many rows the compiled model."""
    if rows < MANY:
        return predictor.predict
    served = accelerate(predictor, sample(predictor, VERIFIED))
    log.info("%d rows are predicted by %s: %s", rows, served.engine, served.reason)
    compiled = served.compiled
    if compiled is None:
        return predictor.predict
    return lambda frame: compiled.predict_columns([frame[each.name].to_numpy() for each in predictor.features])
