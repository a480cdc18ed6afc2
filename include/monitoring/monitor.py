"""The watch over the champion: what it predicted, what came true, what has moved, and what to do about it."""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import polars as pl

from include.contract.loading import Folder
from include.contract.partitions import Partition
from include.contract.use_case import UseCase
from include.deployment import arms, published
from include.features import compute
from include.features.compute import INSTANT, LABEL
from include.features.store import EVENT_TIMESTAMP
from include.files import read_json
from include.history import log as history
from include.history.log import Decision
from include.ingestion import versions
from include.ingestion.batch import RECORD
from include.monitoring import alarms, answers, drift, earlier_years, numbers, policy, quality, service
from include.monitoring.drift import DriftReport
from include.monitoring.findings import Seen, find
from include.monitoring.observation import Observation, keep, log_run
from include.monitoring.policy import RetrainingDecision
from include.monitoring.quality import Promise, Quality
from include.monitoring.reference import ReferenceProfile
from include.monitoring.service import Service
from include.registry import models
from include.registry.runs import TEST_FILE, logged_file
from include.serving import batch_log, prediction_log
from include.settings import get_settings
from include.training.evaluate import PREDICTION
from include.training.recording import PROMISE_FILE, REFERENCE_FILE
from include.training.training_set import BLOCK, block_of

if TYPE_CHECKING:
    from include.registry.models import ModelVersion

log = logging.getLogger(__name__)


def observe(use_case: Folder, partitions: list[Partition], origin: str) -> Observation | None:
    """Measure, decide, keep and draw; None while there is no champion. Running it again gives the same."""
    config = use_case.config
    champion = published.champion(config.name)
    if champion is None:
        return None
    last = partitions[-1]
    window, delay = config.monitoring.window, config.label.delay
    made = predictions(use_case, last, window + delay)
    # Predictions of another version are not the champion's to be judged by; their features are.
    own = made.filter(pl.col("model_version") == champion.version)
    settled = own.filter(_between(_back(last.end, window + delay), _back(last.end, delay)))
    measured = realized(config, champion, settled)
    current = looked_at(config, made, champion.version, last)
    profile = ReferenceProfile.from_dict(read_json(logged_file(champion, REFERENCE_FILE)))
    drifted = _drift(use_case, champion, profile, current) if current.height else None
    seen = Seen(
        version=champion.version,
        rows=own,
        window=_back(last.end, window),
        settled=_back(last.end, delay),
        gate=pl.read_parquet(logged_file(champion, TEST_FILE)),
        earlier=numbers.read(config.name, before=last.key),
    )
    found = find(config, seen, profile, drifted)
    found = replace(found, service=_service(config.name, partitions), arms=arms.table(use_case))
    revision = versions.head()
    volumes = _volumes(config.name, _window(config, partitions), revision)
    own_volumes = [volumes[each.key] for each in partitions if each.key in volumes]
    landed, quarantined = (sum(side) for side in zip(*own_volumes, strict=True)) if own_volumes else (0, 0)
    incident = any(bad > config.monitoring.incident * rows for rows, bad in volumes.values())
    evidence = _evidence(config, champion, last, measured, drifted, incident=incident)
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
        decision=policy.decide(evidence, config.retraining, _decided(config.name)),
        findings=found,
    )
    _keep(use_case, observation, seen.earlier, origin)
    return observation


def predictions(use_case: Folder, last: Partition, length: timedelta) -> pl.DataFrame:
    """The batch predictions for events of at least the stretch ``length`` that ends with a partition.

    Whole local days, with the columns ``block`` and ``label``: what is known at the partition's cut-off, null where no
    label has come.
    """
    config = use_case.config
    start = _back(last.end, length).replace(hour=0, minute=0, second=0, microsecond=0)
    span = config.calendar.span(config.calendar.shift(config.calendar.containing(start), -1), last)
    made = (
        batch_log.read(config.name, [partition.key for partition in span])
        .filter((pl.col(EVENT_TIMESTAMP) >= _instant(start)) & (pl.col(EVENT_TIMESTAMP) <= _instant(last.end)))
        .with_columns(block_of(config.timezone))
    )
    if not made.height:
        return made.with_columns(pl.lit(None, pl.Float64).alias(LABEL))
    earliest = config.calendar.containing(made[EVENT_TIMESTAMP].min())  # type: ignore[arg-type]
    keys = [partition.key for partition in config.calendar.span(min(earliest, last), last)]
    event = [*config.entity.key, EVENT_TIMESTAMP]
    labels = compute.read_labels(config.name, keys).select(*event, LABEL)
    return made.join(labels, on=event, how="left", maintain_order="left")


def realized(config: UseCase, champion: ModelVersion, made: pl.DataFrame) -> Quality:
    """The quality of predictions whose labels should have come, against the gate's promise."""
    known = made.filter(pl.col(LABEL).is_not_null())
    return quality.measure(
        known[LABEL].to_numpy(),
        known[PREDICTION].to_numpy(),
        known[BLOCK].to_numpy(),
        predicted=made.height,
        config=config.monitoring.quality,
        task=config.task,
        promise=Promise.from_dict(read_json(logged_file(champion, PROMISE_FILE))),
        seed=config.training.seed,
    )


def _drift(use_case: Folder, champion: ModelVersion, profile: ReferenceProfile, current: pl.DataFrame) -> DriftReport:
    """Against what the champion learned from; what moved also against the same season of earlier years."""
    drifted = drift.compare(profile, current, use_case.config.monitoring.drift, blocks=BLOCK)
    return earlier_years.told_apart(use_case, champion, profile, drifted, current)


def _service(use_case: str, partitions: list[Partition]) -> Service:
    """The online service in the time of the partitions, and what its replicas say now."""
    start, end = partitions[0].start, partitions[-1].end
    lines = prediction_log.online_lines(use_case, start.astimezone(UTC).date(), end.astimezone(UTC).date())
    settings = get_settings()
    measured = service.measure(lines, start, end, settings.home)
    return replace(measured, answers=answers.ask(use_case, settings.replicas, settings.serving_headers))


def _evidence(
    config: UseCase,
    champion: ModelVersion,
    last: Partition,
    measured: Quality,
    drifted: DriftReport | None,
    *,
    incident: bool,
) -> policy.Evidence:
    """What the decision to retrain is made on."""
    return policy.Evidence(
        use_case=config.name,
        partition=last.key,
        as_of=last.cutoff,
        champion=str(champion.version),
        trained_until=datetime.fromisoformat(champion.tags["as_of"]),
        quality=measured,
        prediction_drift=drifted.prediction if drifted else None,
        drifted_features=drifted.drifted if drifted else (),
        seasonal_features=drifted.seasonal if drifted else (),
        data_incident=incident,
        labelled_since=_labelled_since(config, champion, last),
        last_training=_last_training(config.name),
    )


def _decided(use_case: str) -> list[RetrainingDecision]:
    """The decisions until now."""
    return [RetrainingDecision.from_dict(each.details) for each in history.read(use_case) if each.kind == "retraining"]


def _labelled_since(config: UseCase, champion: ModelVersion, last: Partition) -> int | None:
    """Labels that became known after those that the champion learned from or was judged by; None if nobody asks."""
    if config.retraining.on_new_rows is None:
        return None
    learned = config.calendar.partition(champion.tags["last"])
    if last <= learned:
        return 0
    later = config.calendar.span(learned, last)[1:]
    files = (compute.label_file(config.name, partition.key) for partition in later)
    return sum(int(pl.scan_parquet(file).select(pl.len()).collect().item()) for file in files if file.is_file())


def _last_training(use_case: str) -> datetime | None:
    """The cut-off of the newest registered version."""
    learned = (datetime.fromisoformat(each.tags["as_of"]) for each in models.versions(use_case) if "as_of" in each.tags)
    return max(learned, default=None)


def _window(config: UseCase, partitions: list[Partition]) -> list[Partition]:
    """The partitions of the window that ends with the last one, and those of the run: bad data stays in the window."""
    last = partitions[-1]
    first = config.calendar.containing(_back(last.end, config.monitoring.window))
    return config.calendar.span(min(first, partitions[0]), last)


def _volumes(use_case: str, partitions: list[Partition], revision: str) -> dict[str, tuple[int, int]]:
    """Rows landed, and of these quarantined, by the key of each partition that was ingested."""
    known = versions.pointers(use_case, revision, [partition.key for partition in partitions])
    found = {}
    for key, files in versions.files(use_case, revision, list(known)).items():
        counts = read_json(files[RECORD])["counts"].values()
        found[key] = sum(table["landed"] for table in counts), sum(table["quarantined"] for table in counts)
    return found


def _keep(use_case: Folder, observation: Observation, earlier: pl.DataFrame, origin: str) -> None:
    """The decision and the record first, MLflow last: where it fails the task fails, and what was found is kept."""
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
    keep(observation, earlier, use_case.config.title)
    alarms.tell(observation)
    log_run(observation)
    log.info("%s until %s: %s: %s", name, observation.last, decision.action, "; ".join(decision.reasons))


def looked_at(config: UseCase, made: pl.DataFrame, version: int, last: Partition) -> pl.DataFrame:
    """The window's rows that a look holds against the reference: the version's, or all where it has predicted none."""
    recent = made.filter(_between(_back(last.end, config.monitoring.window), last.end))
    own = recent.filter(pl.col("model_version") == version)
    return own if own.height else recent


def _instant(moment: datetime) -> pl.Expr:
    return pl.lit(moment).cast(INSTANT)


def _between(start: datetime, end: datetime) -> pl.Expr:
    """Events later than ``start``, until ``end``."""
    return (pl.col(EVENT_TIMESTAMP) > _instant(start)) & (pl.col(EVENT_TIMESTAMP) <= _instant(end))


def _back(moment: datetime, length: timedelta) -> datetime:
    """Earlier by a length on the local clock, so that days of 23 and 25 hours count as days."""
    return (moment.replace(tzinfo=None) - length).replace(tzinfo=moment.tzinfo)
