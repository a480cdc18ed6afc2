"""Batch scoring: the champion's predictions for every entity row of a run's partitions."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

import polars as pl

from include.contract.loading import Folder
from include.contract.partitions import Partition
from include.features import compute, store
from include.features.store import EVENT_TIMESTAMP
from include.registry import models
from include.registry.predictor import Predictor
from include.serving import prediction_log

log = logging.getLogger(__name__)

PARTITION = "partition"


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
    champion = models.by_alias(name, models.CHAMPION)
    if champion is None:
        return None
    if not again:
        partitions = [each for each in partitions if not prediction_log.batch_file(name, each.key).is_file()]
    if not partitions:
        return Scored(champion.version, 0)
    request = store.request_columns(store.open_store(), name)
    entities = pl.concat(
        [
            compute.read_entities(use_case, [partition.key], request).with_columns(
                pl.lit(partition.key).alias(PARTITION)
            )
            for partition in partitions
        ]
    )
    predicted = predict(use_case, models.load(champion), entities)
    for partition in partitions:
        rows = predicted.filter(pl.col(PARTITION) == partition.key).drop(PARTITION)
        prediction_log.write_batch(name, partition.key, rows)
        log.info("scored %s: %d rows with version %d", partition.key, rows.height, champion.version)
    return Scored(champion.version, predicted.height)


def predict(use_case: Folder, predictor: Predictor, entities: pl.DataFrame) -> pl.DataFrame:
    """The rows of the prediction log for entity rows with their partition: ids, prediction, and the features used."""
    config, version = use_case.config, predictor.version
    columns = [feature.name for feature in predictor.features]
    asked = entities.drop(PARTITION).to_pandas()
    joined = store.historical(store.open_store(), config.name, asked)
    values: Any = predictor.predict(joined) if entities.height else []
    request_id = pl.format(
        "{}/{}/v{}/{}", pl.lit(config.name), PARTITION, pl.lit(version.version), pl.int_range(pl.len()).over(PARTITION)
    )
    ids = entities.select(
        PARTITION,
        request_id.alias("request_id"),
        *config.entity.key,
        EVENT_TIMESTAMP,
        pl.Series("prediction", values, dtype=pl.Float64),
        pl.lit(version.version, dtype=pl.Int64).alias("model_version"),
        pl.lit(version.run_id).alias("run_id"),
    )
    return pl.concat([ids, pl.from_pandas(joined[columns])], how="horizontal")
