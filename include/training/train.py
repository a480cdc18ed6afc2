"""The training of a candidate in three steps that can be repeated: prepare the data, fit and log, register."""

from __future__ import annotations

import logging
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import polars as pl

from include.contract.loading import Folder
from include.contract.metrics import METRICS, evaluate
from include.contract.use_case import parse_duration
from include.features.compute import LABEL
from include.files import write_json
from include.ingestion import versions
from include.monitoring.drift import ReferenceProfile
from include.monitoring.quality import Promise
from include.registry import models
from include.registry.model_input import features_of, to_model_input
from include.settings import REPOSITORY
from include.training import card, training_set
from include.training.evaluate import PREDICTION, by_slice, constant
from include.training.training_set import BLOCK, Plan, TrainingSet

log = logging.getLogger(__name__)

MODEL = "model"
TEST_FILE = "evaluation/test.parquet"
REFERENCE_FILE = "monitoring/reference.json"
PROMISE_FILE = "monitoring/promise.json"
ORIGIN_TAG: Final = "evergreen.origin"


def prepare(use_case: Folder, until: str | None, window: str | None) -> TrainingSet:
    """Fix the data revision and write the training set.

    ``until`` is the key of the last partition (none: the newest), ``window`` the length of history to learn from.
    """
    config = use_case.config
    revision = versions.head()
    if until is None:
        published = versions.keys(config.name, revision)
        if not published:
            raise ValueError(f"{config.name}: nothing is published yet; run {config.name}.ingest first")
        until = published[-1]
    length = config.training.window if window is None else parse_duration(window)
    if length is not None and not isinstance(length, timedelta):
        raise TypeError(f"window: {window!r} is no duration")
    partition = config.calendar.parse(until)[-1]
    plan = Plan.until(partition, config.training.test, length)
    written = training_set.build(use_case, partition, plan, revision)
    if written.train_rows < config.training.minimum_rows:
        raise ValueError(
            f"{config.name}: {written.train_rows} labelled rows before {plan.test_start:%Y-%m-%d} are too few to learn "
            f"from; training.minimum_rows is {config.training.minimum_rows}"
        )
    if not written.test_rows:
        raise ValueError(f"{config.name}: no labelled rows from {plan.test_start:%Y-%m-%d} to {plan.as_of:%Y-%m-%d}")
    return written


def fit(use_case: Folder, prepared: TrainingSet, overrides: Mapping[str, Any], *, reason: str, origin: str) -> str:
    """Fit, evaluate and log to MLflow; the run's id. ``origin`` names the attempt, so that a retry leaves one run."""
    import mlflow

    config = use_case.config
    mlflow.set_tracking_uri(models.tracking_uri())
    mlflow.set_experiment(config.name)
    if (finished := _close_earlier(config.name, origin)) is not None:
        return finished
    params = {"seed": config.training.seed, **config.training.params, **overrides}
    with mlflow.start_run(run_name=f"{config.name} until {prepared.last}", tags={ORIGIN_TAG: origin}) as run:
        mlflow.log_params({**params, "window": prepared.plan.train_start or "all history"})
        train, test = prepared.read("train"), prepared.read("test")
        columns = list(prepared.features)
        raw = train.select(columns).to_pandas()
        features = features_of(raw)
        frame = to_model_input(raw, features)
        started = datetime.now().astimezone()
        model = use_case.model.build(dict(params))
        model.fit(frame, _target(config.task, train))
        log.info(
            "fitted %s on %d rows in %s", type(model).__name__, train.height, datetime.now().astimezone() - started
        )
        logged = models.log_model(
            model,
            frame,
            run_id=run.info.run_id,
            task=config.task,
            features=features,
            threshold=config.serving.threshold,
            metadata={"use_case": config.name, "data_revision": prepared.data_revision},
            name=MODEL,
        )
        predict = models.artifacts.predict
        scored = {
            "train": train.with_columns(pl.Series(PREDICTION, predict(model, config.task, frame))),
            "test": test.with_columns(
                pl.Series(
                    PREDICTION, predict(model, config.task, to_model_input(test.select(columns).to_pandas(), features))
                )
            ),
        }
        mlflow.set_tags({**_identity(prepared), "reason": reason, "digest": logged.digest})
        _log_evaluation(use_case, prepared, scored)
    return str(run.info.run_id)


def register(use_case: Folder, mlflow_run_id: str) -> models.ModelVersion:
    """Register the run's model as a candidate."""
    import mlflow

    run = mlflow.MlflowClient(models.tracking_uri()).get_run(mlflow_run_id)
    kept = ("data_revision", "definition_hash", "training_set", "code_revision", "first", "last", "as_of", "reason")
    tags = {name: run.data.tags[name] for name in kept}
    version = models.register(mlflow_run_id, use_case.config.name, MODEL, tags)
    models.set_alias(use_case.config.name, models.CANDIDATE, version.version)
    return version


def _target(task: str, rows: pl.DataFrame) -> Any:
    labels = rows[LABEL]
    return labels.cast(pl.Int64).to_numpy() if task == "classification" else labels.to_numpy()


def _close_earlier(experiment: str, origin: str) -> str | None:
    """The finished run of an earlier try of the same attempt, if there is one; tries that broke off are closed."""
    import mlflow

    runs = mlflow.search_runs(
        experiment_names=[experiment], filter_string=f"tags.`{ORIGIN_TAG}` = '{origin}'", output_format="list"
    )
    for run in runs:
        if run.info.status == "FINISHED":
            return str(run.info.run_id)
        if run.info.status == "RUNNING":
            mlflow.MlflowClient().set_terminated(run.info.run_id, status="KILLED")
    return None


def _identity(prepared: TrainingSet) -> dict[str, str]:
    return {
        "data_revision": prepared.data_revision,
        "definition_hash": prepared.definition_hash,
        "training_set": prepared.content_hash,
        "code_revision": code_revision(),
        "first": prepared.first,
        "last": prepared.last,
        "test_start": prepared.plan.test_start.isoformat(),
        "as_of": prepared.plan.as_of.isoformat(),
    }


def code_revision() -> str:
    """The commit of the project, with ``-dirty`` where files differ from it; ``unknown`` outside a checkout."""
    answer = subprocess.run(
        ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    return answer.stdout.strip() or "unknown"


def _reference(learned: pl.DataFrame, predicted: pl.DataFrame) -> ReferenceProfile:
    """The features as learned from, and the predictions as made for rows that were not learned from."""
    features = ReferenceProfile.of(learned)
    return replace(
        features,
        prediction_name=PREDICTION,
        prediction=ReferenceProfile.of(predicted, prediction=PREDICTION).prediction,
    )


def _log_evaluation(use_case: Folder, prepared: TrainingSet, scored: Mapping[str, pl.DataFrame]) -> None:
    """Log metrics, the model card, and what the gate and the monitor will need of this version."""
    import mlflow

    config = use_case.config
    train, test = scored["train"], scored["test"]
    labels, predictions = test[LABEL].to_numpy(), test[PREDICTION].to_numpy()
    metrics = {
        name: evaluate(config.task, rows[LABEL].to_numpy(), rows[PREDICTION].to_numpy())
        for name, rows in scored.items()
    }
    metrics["constant"] = evaluate(config.task, labels, constant(train[LABEL].to_numpy(), test.height))
    for split, values in metrics.items():
        mlflow.log_metrics({f"{split}.{name}": value for name, value in values.items()})
    mlflow.log_metrics({"train.rows": train.height, "test.rows": test.height})
    slices = by_slice(config.task, test, [name for name in config.slices if name in test.columns])
    facts = {**_identity(prepared), "run": mlflow.active_run().info.run_id}
    quality = METRICS[config.monitoring.quality.metric]
    promise = Promise.of(quality, labels, predictions, test[BLOCK].to_numpy(), config.training.seed)
    reference = _reference(train.select(prepared.features), test.select(PREDICTION))
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        for name in (TEST_FILE, REFERENCE_FILE):
            (root / name).parent.mkdir()
        test.write_parquet(root / TEST_FILE)
        write_json(root / REFERENCE_FILE, reference.to_dict())
        write_json(root / PROMISE_FILE, promise.to_dict())
        (root / "model_card.md").write_text(card.render(config, facts, metrics, slices), encoding="utf-8")
        mlflow.log_artifacts(str(root))
    log.info("test: %s; constant: %s", metrics["test"], metrics["constant"])
