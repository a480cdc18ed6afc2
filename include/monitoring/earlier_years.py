"""The same weeks of earlier years as the champion sees them: what moved is held against them, too.

Their rows are joined and predicted once and kept by partition, a sample of each day. A later look, whose window has
moved on by a partition, adds a partition of each year. Nothing is read where nothing has moved.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from include.contract.loading import Folder
from include.contract.partitions import Calendar, Partition
from include.features import compute, store
from include.features.compute import REVISION, view_file
from include.files import replacing
from include.monitoring import drift, seasonality
from include.monitoring.drift import DriftReport
from include.monitoring.reference import ReferenceProfile
from include.monitoring.seasonality import DAYS, Stretch
from include.registry import models
from include.settings import get_settings
from include.training.evaluate import PREDICTION
from include.training.training_set import BLOCK, block_of

if TYPE_CHECKING:
    from include.registry.models import ModelVersion

ROWS = 1_000  # of a day that are kept
VERSION = "model_version"  # in the metadata of each file, beside the data revision
PARTITION = "partition"  # a column of rows while they are predicted


def told_apart(
    use_case: Folder, champion: ModelVersion, profile: ReferenceProfile, drifted: DriftReport, current: pl.DataFrame
) -> DriftReport:
    """The report of the current rows, with what only the season moved marked as such; or why that cannot be told.

    ``profile``: the reference that ``drifted`` comes from; ``current`` has the column ``block``.
    """
    config = use_case.config
    period = config.monitoring.season
    if period is None:
        return replace(drifted, season="not told apart: monitoring.season is empty")
    computed = compute.computed(use_case, config.entity.view)
    first, last = (date.fromisoformat(str(day)) for day in (current[BLOCK].min(), current[BLOCK].max()))
    earliest = computed[0].day if computed else first
    stretches = seasonality.season(first, last, earliest, period)
    if not stretches:
        kept, needed = max(0, (first - earliest).days), seasonality.needed(period)
        return replace(drifted, season=f"not told apart: {kept} days of history, {needed} needed")
    moved = (*drifted.features, *filter(None, [drifted.prediction]))
    named = " and ".join(f"{start} to {end}" for start, end in stretches)
    if not any(each.drifted for each in moved):
        return replace(drifted, season=f"nothing moved that {named} could explain")
    rows = rows_of(use_case, champion, stretches, computed)
    if (days := rows[BLOCK].n_unique()) < DAYS:
        return replace(drifted, season=f"not told apart: {days} days with rows from {named}, {DAYS} needed")
    categorical = [name for name, each in profile.features.items() if each.kind == "categorical"]
    of_season = drift.compare(
        ReferenceProfile.of(rows, prediction=PREDICTION, categorical=categorical, blocks=BLOCK),
        current,
        config.monitoring.drift,
        blocks=BLOCK,
    )
    return replace(seasonality.told_apart(drifted, of_season), season=f"what moved was held against {named}, too")


def rows_of(
    use_case: Folder, champion: ModelVersion, stretches: Sequence[Stretch], computed: Sequence[Partition]
) -> pl.DataFrame:
    """A sample of the stretches' rows in those of the computed partitions: features, ``prediction`` and ``block``."""
    name, known = use_case.config.name, set(computed)
    partitions = [each for each in _partitions(use_case.config.calendar, stretches) if each in known]
    missing = [each for each in partitions if not _is_kept(use_case, champion, each)]
    if missing:
        _keep(use_case, champion, missing)
    frames = [pl.read_parquet(file(name, each.key)) for each in partitions]
    rows = pl.concat(frames, how="diagonal_relaxed") if frames else pl.DataFrame(schema={BLOCK: pl.String})
    within = (pl.col(BLOCK).is_between(pl.lit(str(start)), pl.lit(str(end))) for start, end in stretches)
    return rows.filter(pl.any_horizontal(within))


def file(use_case: str, partition: str) -> Path:
    return get_settings().monitoring / use_case / "season" / f"{partition}.parquet"


def _partitions(calendar: Calendar, stretches: Iterable[Stretch]) -> list[Partition]:
    """A partition earlier than the days ask for: an event at its very end is of the next day."""
    found: set[Partition] = set()
    for stretch in stretches:
        start, end = (calendar.containing(datetime.combine(day, time(), calendar.zone)) for day in stretch)
        found |= set(calendar.span(calendar.shift(start, -1), end))
    return sorted(found)


def _is_kept(use_case: Folder, champion: ModelVersion, partition: Partition) -> bool:
    """As this version sees it, from features that were not computed again since."""
    path = file(use_case.config.name, partition.key)
    known = pl.read_parquet_metadata(path) if path.is_file() else {}
    return all(known.get(key) == value for key, value in _source(use_case, champion, partition).items())


def _source(use_case: Folder, champion: ModelVersion, partition: Partition) -> dict[str, str]:
    config = use_case.config
    revision = pl.read_parquet_metadata(view_file(config.name, config.entity.view, partition.key))[REVISION]
    return {VERSION: str(champion.version), REVISION: revision}


def _keep(use_case: Folder, champion: ModelVersion, partitions: Sequence[Partition]) -> None:
    """Join and predict a sample of the partitions' rows, all of them at once: each join has its price."""
    config, seed = use_case.config, use_case.config.training.seed
    feature_store = store.open_store()
    request = store.request_columns(feature_store, config.name)
    samples = []
    for partition in partitions:
        entities = compute.read_entities(use_case, [partition.key], request)
        most = math.ceil(ROWS * (partition.end - partition.start) / timedelta(days=1))
        sample = entities.sample(min(most, entities.height), seed=seed)
        samples.append(sample.with_columns(pl.lit(partition.key).alias(PARTITION)))
    rows = pl.concat(samples, how="vertical")
    predictor = models.load(champion)
    columns = [feature.name for feature in predictor.features]
    asked = rows.drop(PARTITION).to_pandas()
    joined = store.historical(feature_store, config.name, asked)
    predictions: Any = predictor.predict(joined) if rows.height else []
    found = pl.concat(
        [
            rows.select(PARTITION, block_of(config.timezone)),
            pl.from_pandas(joined[columns]),
            pl.DataFrame({PREDICTION: pl.Series(predictions, dtype=pl.Float64)}),
        ],
        how="horizontal",
    )
    for partition in partitions:
        with replacing(file(config.name, partition.key)) as temporary:
            own = found.filter(pl.col(PARTITION) == partition.key).drop(PARTITION)
            own.write_parquet(temporary, metadata=_source(use_case, champion, partition))
