"""The training of a candidate in three steps that can be repeated: prepare the data, fit and log, register."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Mapping
from datetime import timedelta
from functools import partial
from typing import Any

import polars as pl

from include.contract.loading import Folder
from include.contract.schema import parse_duration
from include.files import replacing
from include.ingestion import versions
from include.registry import models
from include.registry.runs import logged_file
from include.settings import get_settings
from include.training import candidate, recording, runs, training_set
from include.training.assessment import assess
from include.training.candidate import Learned, Lesson
from include.training.evaluate import PREDICTION
from include.training.provenance import Provenance
from include.training.search import search as search_parameters
from include.training.training_set import Plan, TrainingSet

log = logging.getLogger(__name__)

MODEL = "model"


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


def fit(
    use_case: Folder,
    prepared: TrainingSet,
    overrides: Mapping[str, Any],
    *,
    reason: str,
    origin: str,
    search: bool = True,
) -> str:
    """Choose parameters, fit, assess and log to MLflow; the run's id.

    ``origin`` names the attempt: a retry leaves one run, and goes on with the search where it was. ``search``: look for
    parameters where the use case says how; else those of its file are taken. ``overrides`` hold in either case.
    """
    import mlflow

    name = use_case.config.name
    mlflow.set_tracking_uri(models.tracking_uri())
    mlflow.set_experiment(name)
    if (finished := runs.close_earlier(name, origin)) is not None:
        return finished
    with runs.attempt(f"{name} until {prepared.last}", origin) as run_id:
        lesson = Lesson.of(use_case, prepared)
        study = f"{origin}:{prepared.content_hash[:12]}"
        params, chosen = _choose(use_case, lesson, overrides, study if search else "")
        learned = candidate.learn(use_case, lesson, params)
        log.info(
            "fitted %s on %d rows in %.1f s", type(learned.model).__name__, len(lesson.examples), learned.fitted.seconds
        )
        provenance = Provenance.of(use_case, prepared, params, origin=origin, reason=reason)
        logged = models.log_model(
            learned.model,
            lesson.examples.frame,
            run_id=run_id,
            task=learned.task,
            features=learned.features,
            threshold=use_case.config.serving.threshold,
            metadata={"use_case": name, "data_revision": prepared.data_revision},
            name=MODEL,
        )
        scored = {split: _scored(learned, prepared.read(split)) for split in ("train", "test")}
        assessment, explainer = assess(use_case, learned, scored)
        mlflow.set_tags({**_identity(prepared), "code_revision": str(provenance.code)})
        mlflow.set_tags({"reason": reason, "digest": logged.digest, "chosen": chosen})
        recording.log_run(use_case, recording.Run(prepared, provenance, learned, scored, assessment, explainer, chosen))
    return run_id


def _choose(use_case: Folder, lesson: Lesson, overrides: Mapping[str, Any], study: str) -> tuple[dict[str, Any], str]:
    """The parameters to fit with, and how they were chosen. Without a study nothing is searched for."""
    import mlflow

    config = use_case.config
    given = {"seed": config.training.seed, **config.training.params, **overrides}
    if config.training.search is None or not study:
        return given, "as given"
    found = search_parameters(
        config,
        use_case.model.build,
        lesson.examples,
        lesson.folds(use_case),
        overrides=overrides,
        on_trial=partial(runs.log_trial, config.gate.champion.metric),
        storage=get_settings().training / config.name / "studies.db",
        study=study,
    )
    mlflow.log_metrics({"search.value": found.value, "search.trials": found.trials, "search.best": found.number})
    return found.params, f"trial {found.number} of {found.trials}, {found.reason}"


def _scored(learned: Learned, rows: pl.DataFrame) -> pl.DataFrame:
    return rows.with_columns(pl.Series(PREDICTION, learned.predict(rows)))


def register(use_case: Folder, mlflow_run_id: str) -> models.ModelVersion:
    """Register the run's model as a candidate; ``ValueError`` where the run did not finish."""
    import mlflow

    run = mlflow.MlflowClient(models.tracking_uri()).get_run(mlflow_run_id)
    if run.info.status != "FINISHED":
        raise ValueError(
            f"{use_case.config.name}: run {mlflow_run_id} is {run.info.status}, and only a finished one is registered; "
            f"run {use_case.config.name}.train again"
        )
    kept = ("data_revision", "definition_hash", "training_set", "code_revision", "first", "last", "test_start", "as_of")
    tags = {name: run.data.tags[name] for name in (*kept, "reason")}
    version = models.register(mlflow_run_id, use_case.config.name, MODEL, tags)
    _keep_card(version)
    models.set_alias(use_case.config.name, models.CANDIDATE, version.version)
    return version


def _keep_card(version: models.ModelVersion) -> None:
    """The card as a file, for pages that ask no server."""
    with replacing(get_settings().card(version.use_case, version.version)) as temporary:
        shutil.copyfile(logged_file(version, recording.CARD_FILES[1]), temporary)


def _identity(prepared: TrainingSet) -> dict[str, str]:
    return {
        "data_revision": prepared.data_revision,
        "definition_hash": prepared.definition_hash,
        "training_set": prepared.content_hash,
        "first": prepared.first,
        "last": prepared.last,
        "test_start": prepared.plan.test_start.isoformat(),
        "as_of": prepared.plan.as_of.isoformat(),
    }
