"""The candidate: what is learned from a training set with given parameters. The same inputs give the same model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import polars as pl

from include.contract.loading import Folder
from include.contract.use_case import Task
from include.features.compute import KNOWN_AT, LABEL
from include.features.store import EVENT_TIMESTAMP
from include.registry.artifacts import predict
from include.registry.model_input import Feature, features_of, to_model_input
from include.training import fitting
from include.training.calibration import calibrate, out_of_fold
from include.training.fitting import Examples, Fitted
from include.training.folds import Fold, rolling_origin
from include.training.training_set import SPLIT, TrainingSet

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray
    from sklearn.base import BaseEstimator

FOLDS = 3  # for a calibration without a search


@dataclass(frozen=True)
class Lesson:
    """What is learned from: the rows of the training stretch, as they are stored and as an estimator takes them."""

    rows: pl.DataFrame
    features: tuple[Feature, ...]
    examples: Examples

    @classmethod
    def of(cls, use_case: Folder, prepared: TrainingSet) -> Lesson:
        """Checked: ``FitError`` where nothing can be learned from these rows."""
        rows = prepared.read("train")
        raw = rows.select(prepared.features).to_pandas()
        features = features_of(raw)
        examples = Examples(
            task=use_case.config.task,
            frame=to_model_input(raw, features),
            labels=rows[LABEL].cast(pl.Float64).to_numpy(),
            weights=fitting.weights_of(use_case.model, rows.drop(KNOWN_AT, SPLIT)),
        )
        fitting.check(examples)
        return cls(rows, features, examples)

    def folds(self, use_case: Folder) -> list[Fold]:
        """Rolling-origin folds of the length of the test stretch."""
        config = use_case.config.training
        count = config.search.folds if config.search else FOLDS
        classes = self.rows[LABEL] if use_case.config.task == "classification" else None
        return rolling_origin(self.rows[EVENT_TIMESTAMP], self.rows[KNOWN_AT], count, config.test, classes=classes)


@dataclass(frozen=True)
class Learned:
    """A fitted model, calibrated where the use case asks for it."""

    model: BaseEstimator
    task: Task
    lesson: Lesson
    fitted: Fitted

    @property
    def features(self) -> tuple[Feature, ...]:
        return self.lesson.features

    def frame(self, rows: pl.DataFrame) -> pd.DataFrame:
        """Rows of a training set as the model takes them."""
        return to_model_input(rows.select([feature.name for feature in self.features]).to_pandas(), self.features)

    def predict(self, rows: pl.DataFrame) -> NDArray[np.float64]:
        return predict(self.model, self.task, self.frame(rows))


def learn(use_case: Folder, lesson: Lesson, params: Mapping[str, Any]) -> Learned:
    """Fit with these parameters; ``FitError`` where that is not possible, with the cause and the cure."""
    build, method = use_case.model.build, use_case.config.training.calibration
    fitted = fitting.fit(build, params, lesson.examples)
    model = fitted.model
    if method != "none":
        model = calibrate(model, method, out_of_fold(build, params, lesson.examples, lesson.folds(use_case)))
    return Learned(model, use_case.config.task, lesson, fitted)
