"""What a training run leaves in MLflow: metrics, pictures, the card, and what the gate and the monitor will need."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl

from include.contract.loading import Folder
from include.contract.metrics import METRICS
from include.contract.use_case import UseCase
from include.features.compute import LABEL
from include.files import write_json
from include.monitoring.quality import Promise
from include.monitoring.reference import ReferenceProfile
from include.registry.runs import TEST_FILE
from include.training import card, curves
from include.training.assessment import Assessment
from include.training.candidate import Learned
from include.training.card import Card
from include.training.evaluate import PREDICTION, Evaluation
from include.training.explanation import Explainer
from include.training.provenance import LOCK, Provenance
from include.training.training_set import BLOCK, TrainingSet

ASSESSMENT_FILE = "evaluation/assessment.json"
EXPLANATIONS_FILE = "evaluation/explanations.json"
REFERENCE_FILE = "monitoring/reference.json"
PROMISE_FILE = "monitoring/promise.json"
PROVENANCE_FILE = "provenance.json"
CARD_FILES = ("model_card.md", "model_card.html")
EXPLAINED = 5  # test rows that are explained as examples


@dataclass(frozen=True)
class Run:
    """All that came out of a training run. ``scored``: the rows of each split with their predictions."""

    prepared: TrainingSet
    provenance: Provenance
    learned: Learned
    scored: dict[str, pl.DataFrame]
    assessment: Assessment
    explainer: Explainer
    chosen: str


def log_run(use_case: Folder, run: Run) -> None:
    """Log everything to the run that is under way."""
    import mlflow

    mlflow.log_params({**run.provenance.params, "window": run.prepared.plan.train_start or "all history"})
    mlflow.log_metrics(dict(_metrics(use_case.config, run)))
    _log_dataset(run.prepared)
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        _write(use_case, run, root)
        mlflow.log_artifacts(str(root))


def _metrics(config: UseCase, run: Run) -> Iterator[tuple[str, float]]:
    """``<split>.<metric>`` with the ends of its interval, ``slice.<column>.<value>.<metric>``, and what it cost."""
    found = run.assessment
    for name, evaluation in {**found.splits, **found.baselines}.items():
        yield f"{name}.rows", evaluation.rows
        for metric, measured in evaluation.metrics.items():
            yield f"{name}.{metric}", measured.value
            if measured.interval is not None:
                yield f"{name}.{metric}.low", measured.interval[0]
                yield f"{name}.{metric}.high", measured.interval[1]
    yield from _calibration(found.splits["test"])
    metric = config.gate.champion.metric
    for sliced in found.slices:
        for each in sliced.slices:
            if metric in each.evaluation.metrics:
                value = re.sub(r"[^A-Za-z0-9_. -]", "_", str(each.value))[:100]
                yield f"slice.{sliced.column}.{value}.{metric}", each.evaluation.metrics[metric].value
    for name, gain in zip(found.baselines, found.gains, strict=True):
        yield f"gain.over_{name}", gain.gain
    yield "fit.seconds", run.learned.fitted.seconds
    yield "fit.peak_mib", run.learned.fitted.peak


def _calibration(test: Evaluation) -> Iterator[tuple[str, float]]:
    if test.calibration is not None:
        yield "test.calibration_error", test.calibration.error
        if test.calibration.slope is not None:
            yield "test.calibration_slope", test.calibration.slope


def _log_dataset(prepared: TrainingSet) -> None:
    """The training set as an input of the run, under its content hash, with the revision it was made of."""
    import mlflow
    from mlflow.data.code_dataset_source import CodeDatasetSource
    from mlflow.data.meta_dataset import MetaDataset

    source = CodeDatasetSource({"data_revision": prepared.data_revision, "training_set": prepared.content_hash})
    name = f"{prepared.first} to {prepared.last}"
    mlflow.log_input(MetaDataset(source, name=name, digest=prepared.content_hash[:32]), context="training")


def _write(use_case: Folder, run: Run, root: Path) -> None:
    config, test, found = use_case.config, run.scored["test"], run.assessment
    labels, predictions, blocks = (test[name].to_numpy() for name in (LABEL, PREDICTION, BLOCK))
    for folder in ("evaluation", "monitoring", curves.FOLDER, "environment"):
        (root / folder).mkdir()
    test.write_parquet(root / TEST_FILE)
    write_json(root / ASSESSMENT_FILE, found.to_dict())
    examples = run.explainer.explain(run.learned.frame(test.head(EXPLAINED)))
    write_json(root / EXPLANATIONS_FILE, {"examples": [each.to_dict() for each in examples]})
    promise = Promise.of(METRICS[config.monitoring.quality.metric], labels, predictions, blocks, config.training.seed)
    write_json(root / PROMISE_FILE, promise.to_dict())
    write_json(root / REFERENCE_FILE, _reference(config, run).to_dict())
    write_json(root / PROVENANCE_FILE, run.provenance.to_dict())
    if LOCK.is_file():
        (root / "environment" / LOCK.name).write_bytes(LOCK.read_bytes())
    pictures = curves.draw(
        config.task,
        labels,
        predictions,
        blocks,
        evaluation=found.splits["test"],
        metric=config.gate.champion.metric,
        importance=found.importance,
    )
    for name, content in pictures.items():
        (root / name).write_bytes(content)
    described = _card(config, run)
    (root / CARD_FILES[0]).write_text(card.markdown(described, list(pictures)), encoding="utf-8")
    (root / CARD_FILES[1]).write_text(card.page(described, pictures), encoding="utf-8")


def _reference(config: UseCase, run: Run) -> ReferenceProfile:
    """The features and labels as learned from, and the predictions as made for rows that were not learned from."""
    learned = ReferenceProfile.of(
        run.scored["train"].select(*run.prepared.features, LABEL, BLOCK),
        label=LABEL,
        categorical=[LABEL] if config.task == "classification" else [],
        blocks=BLOCK,
    )
    predicted = ReferenceProfile.of(run.scored["test"].select(PREDICTION, BLOCK), prediction=PREDICTION, blocks=BLOCK)
    return replace(learned, prediction_name=PREDICTION, prediction=predicted.prediction)


def _card(config: UseCase, run: Run) -> Card:
    prepared, provenance, found = run.prepared, run.provenance, run.assessment
    start = f"{prepared.plan.train_start:%Y-%m-%d}" if prepared.plan.train_start else prepared.first
    categorical = [feature.name for feature in run.learned.features if feature.kind == "categorical"]
    return Card.of(
        config,
        data={
            "learned from": f"{start} until {prepared.plan.test_start:%Y-%m-%d}, {prepared.train_rows} rows",
            "tested on": f"{prepared.plan.test_start:%Y-%m-%d} until {prepared.plan.as_of:%Y-%m-%d}, "
            f"{prepared.test_rows} rows",
            "data revision": prepared.data_revision,
            "training set": prepared.content_hash,
            "feature definitions": prepared.definition_hash,
        },
        parameters={name: str(value) for name, value in provenance.params.items()},
        chosen=run.chosen,
        splits=found.splits,
        baselines=found.baselines,
        gains=found.gains,
        slices=found.slices,
        unsliced=tuple(name for name in categorical if name not in config.slices),
        importance=found.importance,
        reproduce={
            "DAG": f"{config.name}.reproduce",
            "commit": str(provenance.code),
            "data revision": provenance.data_revision,
            "seed": str(provenance.params.get("seed", "")),
            "lock": provenance.environment.lock,
        },
        notes=found.notes,
    )
