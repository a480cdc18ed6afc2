"""The watch over the champion: what it predicted, what came true, what has moved, and what to do about it."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import polars as pl

from include.contract.loading import Folder
from include.contract.partitions import Partition
from include.features import compute
from include.features.compute import INSTANT, LABEL
from include.features.store import EVENT_TIMESTAMP
from include.files import read_json
from include.history import log as history
from include.history.log import Decision
from include.ingestion import versions
from include.ingestion.batch import RECORD
from include.monitoring import drift, policy, quality
from include.monitoring.drift import DriftReport, ReferenceProfile
from include.monitoring.observation import Observation, keep
from include.monitoring.policy import RetrainingDecision
from include.monitoring.quality import Promise, Quality
from include.registry import models
from include.registry.runs import logged_file
from include.serving import prediction_log
from include.training.evaluate import PREDICTION
from include.training.recording import PROMISE_FILE, REFERENCE_FILE
from include.training.training_set import BLOCK, block_of

if TYPE_CHECKING:
    from include.registry.models import ModelVersion

log = logging.getLogger(__name__)


def observe(use_case: Folder, partitions: list[Partition], origin: str) -> Observation | None:
    """Measure, decide, keep and draw; None while there is no champion. Running it again gives the same."""
    config = use_case.config
    champion = models.by_alias(config.name, models.CHAMPION)
    if champion is None:
        return None
    last = partitions[-1]
    window = config.monitoring.window
    made = predictions(use_case, last, window + config.label.delay)
    current = made.filter(pl.col(EVENT_TIMESTAMP) > _instant(_back(last.end, window)))
    settled = made.filter(pl.col(EVENT_TIMESTAMP) <= _instant(_back(last.end, config.label.delay)))
    measured = realized(use_case, champion, settled, last)
    drifted = _drift(use_case, champion, current)
    revision = versions.head()
    landed, quarantined = _volume(use_case, partitions, revision)
    decision = policy.decide(
        policy.Evidence(
            use_case=config.name,
            partition=last.key,
            as_of=last.cutoff,
            champion=str(champion.version),
            trained_until=datetime.fromisoformat(champion.tags["as_of"]),
            quality=measured,
            prediction_drift=drifted.prediction if drifted else None,
            drifted_features=drifted.drifted if drifted else (),
            data_incident=landed > 0 and quarantined / landed > config.monitoring.incident,
        ),
        config.retraining,
        [RetrainingDecision.from_dict(each.details) for each in history.read(config.name) if each.kind == "retraining"],
    )
    observation = Observation(
        use_case=config.name,
        first=partitions[0].key,
        last=last.key,
        model_version=champion.version,
        run_id=champion.run_id,
        data_revision=revision,
        quality=measured,
        drift=drifted,
        landed=landed,
        quarantined=quarantined,
        decision=decision,
    )
    _keep(use_case, observation, origin)
    return observation


def predictions(use_case: Folder, last: Partition, length: timedelta) -> pl.DataFrame:
    """The batch predictions for events of the stretch ``length`` that ends with a partition."""
    config = use_case.config
    start = _back(last.end, length)
    span = config.calendar.span(config.calendar.shift(config.calendar.containing(start), -1), last)
    made = prediction_log.read_batch(config.name, [partition.key for partition in span])
    return made.filter((pl.col(EVENT_TIMESTAMP) > _instant(start)) & (pl.col(EVENT_TIMESTAMP) <= _instant(last.end)))


def realized(use_case: Folder, champion: ModelVersion, made: pl.DataFrame, last: Partition) -> Quality:
    """The champion's predictions against the labels that are known at the cut-off of ``last``."""
    config = use_case.config
    own = made.filter(pl.col("model_version") == champion.version)
    event = [*config.entity.key, EVENT_TIMESTAMP]
    if own.height:
        earliest = config.calendar.containing(own[EVENT_TIMESTAMP].min())  # type: ignore[arg-type]
        keys = [partition.key for partition in config.calendar.span(min(earliest, last), last)]
        labels = compute.read_labels(config.name, keys)
        known = own.join(labels, on=event, how="inner").with_columns(block_of(config.timezone))
    else:
        known = own.with_columns(pl.lit(None, dtype=pl.Float64).alias(LABEL), pl.lit("").alias(BLOCK))
    return quality.measure(
        known[LABEL].to_numpy(),
        known[PREDICTION].to_numpy(),
        known[BLOCK].to_numpy(),
        predicted=own.height,
        config=config.monitoring.quality,
        task=config.task,
        promise=Promise.from_dict(read_json(logged_file(champion, PROMISE_FILE))),
        seed=config.training.seed,
    )


def _drift(use_case: Folder, champion: ModelVersion, current: pl.DataFrame) -> DriftReport | None:
    if current.height == 0:
        return None
    profile = ReferenceProfile.from_dict(read_json(logged_file(champion, REFERENCE_FILE)))
    own = current.filter(pl.col("model_version") == champion.version)
    # Predictions of another version are not the champion's to be judged by; the features are.
    return drift.compare(profile, own if own.height else current, use_case.config.monitoring.drift)


def _volume(use_case: Folder, partitions: list[Partition], revision: str) -> tuple[int, int]:
    """Rows landed and quarantined in the partitions."""
    name = use_case.config.name
    known = versions.pointers(name, revision, [partition.key for partition in partitions])
    found = versions.files(name, revision, list(known))
    counts = [table for files in found.values() for table in read_json(files[RECORD])["counts"].values()]
    return sum(table["landed"] for table in counts), sum(table["quarantined"] for table in counts)


def _keep(use_case: Folder, observation: Observation, origin: str) -> None:
    name, decision = use_case.config.name, observation.decision
    history.append(
        Decision(
            use_case=name,
            kind="retraining",
            origin=origin,
            outcome=decision.action,
            version=observation.model_version,
            previous=None,
            reasons=decision.reasons,
            actor="monitor",
            evidence=(decision.evidence_id,),
            details=decision.to_dict(),
        )
    )
    keep(observation, use_case.config.title)
    log.info("%s until %s: %s: %s", name, observation.last, decision.action, "; ".join(decision.reasons))


def _instant(moment: datetime) -> pl.Expr:
    return pl.lit(moment).cast(INSTANT)


def _back(moment: datetime, length: timedelta) -> datetime:
    """Earlier by a length on the local clock, so that days of 23 and 25 hours count as days."""
    return (moment.replace(tzinfo=None) - length).replace(tzinfo=moment.tzinfo)
