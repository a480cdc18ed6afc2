"""How good a candidate is: on each split, beside baselines, by group; what it looks at; what is remarkable about it."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import polars as pl

from include.contract.loading import Folder
from include.features.compute import LABEL
from include.records import Record
from include.training.baselines import baselines
from include.training.candidate import Learned
from include.training.evaluate import PREDICTION, Evaluation, Gain, compare, measure
from include.training.explanation import Explainer
from include.training.importance import Importance, importance
from include.training.slices import Sliced, by_slice
from include.training.training_set import BLOCK

log = logging.getLogger(__name__)

NAMES = {"constant": "a constant", "linear": "a linear model"}


@dataclass(frozen=True)
class Assessment(Record):
    """Evaluations by split and, of the test stretch, by baseline and by group; the gain over each baseline."""

    splits: dict[str, Evaluation]
    baselines: dict[str, Evaluation]
    gains: tuple[Gain, ...]
    slices: tuple[Sliced, ...]
    importance: Importance
    notes: tuple[str, ...]


def assess(use_case: Folder, learned: Learned, scored: dict[str, pl.DataFrame]) -> tuple[Assessment, Explainer]:
    """Assess predictions, ``scored`` by split (``train``, ``test``), with the explainer of the model."""
    config, test = use_case.config, scored["test"]
    seed, metric, task = config.training.seed, config.gate.champion.metric, config.task
    labels, blocks = test[LABEL].to_numpy(), test[BLOCK].to_numpy()
    frame = learned.frame(test)
    beside = baselines(learned.lesson.examples, {"test": frame})
    predicted = {name: found["test"] for name, found in beside.predictions.items()}
    explainer = Explainer.of(learned.model, task, learned.features, learned.lesson.examples.frame, seed)
    assessment = Assessment(
        splits={
            name: measure(task, rows[LABEL].to_numpy(), rows[PREDICTION].to_numpy(), rows[BLOCK].to_numpy(), seed=seed)
            for name, rows in scored.items()
        },
        baselines={name: measure(task, labels, values, blocks, seed=seed) for name, values in predicted.items()},
        gains=tuple(
            compare(
                task, metric, labels, test[PREDICTION].to_numpy(), values, blocks, name=NAMES.get(name, name), seed=seed
            )
            for name, values in predicted.items()
        ),
        slices=by_slice(task, test, [name for name in config.slices if name in test.columns], seed=seed),
        importance=importance(
            learned.model, task, learned.features, frame, labels, metric=metric, explainer=explainer, seed=seed
        ),
        notes=(*learned.fitted.warnings, *beside.notes),
    )
    for gain in assessment.gains:
        log.info("test: %s", gain.sentence)
    return assessment, explainer
