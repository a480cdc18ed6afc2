"""From a fitted scikit-learn model to a predictor of rows, without pandas."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import is_classifier
from sklearn.calibration import CalibratedClassifierCV
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline

from include.contract.use_case import Task
from include.packaging.runtime.model import Constant, Linear
from include.registry.model_input import Feature
from include.serving.compiled.calibration import calibrator
from include.serving.compiled.columns import Column, Encoded, Matrix, NotCompilable, Program, TextColumn, Vector
from include.serving.compiled.estimators import Inverse, scored
from include.serving.compiled.kernels import Code
from include.serving.compiled.preprocessing import transformed
from include.serving.compiled.reading import Packer, Value, packer, read_columns, read_rows
from include.serving.compiled.trees import Trees

FEW = 4  # rows that are predicted one by one
UNCHANGING = frozenset({Code.SINGLE, Code.NO_INFINITY, Code.FINITE})


@dataclass(frozen=True)
class Part:
    """One model of a mean: how it reads rows, scores them, and maps the scores."""

    program: Program
    score: Trees | Linear | Constant
    inverse: Inverse | None
    direct: bool = False  # trees that find what was read where it was read, without operations between

    @cached_property
    def packed(self) -> Packer:
        return packer(self.program.readers)

    @cached_property
    def predict_row(self) -> Callable[[Sequence[Value]], float]:
        """The prediction of one row of values, without an array wherever there is a way."""
        # A function that knew its part would be a cycle, which outlives the model where collections are put off.
        packed, score, inverse = self.packed, self.score, self.inverse
        quick = score.quick if self.direct and isinstance(score, Trees) else None
        if quick is None or not isinstance(score, Trees):
            part = replace(self)
            return lambda row: float(part.predict(read_rows(packed, [row]))[0])
        quickly, divisor = quick.score, score.divisor
        if inverse is None:
            return lambda row: quickly(packed(row)) / divisor
        return lambda row: float(inverse(quickly(packed(row)) / divisor))

    def predict(self, values: Matrix) -> Vector:
        """From features as read, (rows, features)."""
        matrix = values if self.direct else self.program.encode(values)
        score = self.score(matrix)
        return score if self.inverse is None else self.inverse(score)


@dataclass(frozen=True)
class Compiled:
    """A compiled model; threads may share it."""

    features: tuple[Feature, ...]
    parts: tuple[Part, ...]  # the prediction is their mean

    def predict(self, rows: Sequence[Sequence[Value]]) -> list[float]:
        """The probability of the second class, or the value, for each row of values in the order of ``features``.

        ``None`` and NaN are missing. ``ValueError`` names the feature whose value is of a wrong type or refused.
        """
        if len(rows) <= FEW:
            return [self._predict_row(row) for row in rows]
        found = [part.predict(read_rows(part.packed, rows)) for part in self.parts]
        return _mean(found).tolist()  # type: ignore[no-any-return]

    @cached_property
    def _predict_row(self) -> Callable[[Sequence[Value]], float]:
        predictors = [part.predict_row for part in self.parts]
        if len(predictors) == 1:
            return predictors[0]
        return lambda row: sum(predict(row) for predict in predictors) / len(predictors)

    def predict_columns(self, columns: Sequence[NDArray[Any] | Sequence[Value]]) -> Vector:
        """The same from one array or sequence a feature: (rows,)."""
        return _mean([part.predict(read_columns(part.program.readers, columns)) for part in self.parts])

    @cached_property
    def thresholds(self) -> Mapping[str, Vector]:
        """By feature, the numbers at which trees divide it, where they see them as they are."""
        found: dict[str, list[Vector]] = {}
        for part in self.parts:
            for at, column in enumerate(part.program.columns):
                numeric = self.features[column.feature].kind != "categorical"
                if isinstance(part.score, Trees) and numeric and all(op.code in UNCHANGING for op in column.ops):
                    seen = column.feature if part.direct else at
                    found.setdefault(self.features[column.feature].name, []).append(part.score.thresholds(seen))
        return {name: np.unique(np.concatenate(each)) for name, each in found.items()}

    @cached_property
    def categories(self) -> Mapping[str, tuple[str, ...]]:
        """By feature, the texts that the model tells apart."""
        found: dict[str, set[str]] = {}
        for part in self.parts:
            for reader in part.program.readers:
                if reader.codes is not None:
                    found.setdefault(reader.name, set()).update(text for text in reader.codes if text is not None)
        return {name: tuple(sorted(texts)) for name, texts in found.items()}


def compile_model(model: Any, task: Task, features: Sequence[Feature]) -> Compiled:
    """The compiled form of a fitted model of two classes or one value.

    ``NotCompilable`` names the class and the parameter that has none. What is compiled is meant to predict what
    ``registry.artifacts.predict`` does; ``verification.verify`` holds it to that.
    """
    if is_classifier(model) != (task == "classification"):
        raise NotCompilable(f"{type(model).__name__}: not a {task} model")
    names = getattr(model, "feature_names_in_", None)
    if names is not None and list(names) != [feature.name for feature in features]:
        raise NotCompilable(f"{type(model).__name__}: fitted on other columns, or in another order, than the features")
    if type(model) is not CalibratedClassifierCV:
        return Compiled(tuple(features), (_part(model, features),))
    if len(model.classes_) != 2:
        raise NotCompilable(f"CalibratedClassifierCV: {len(model.classes_)} classes, not two")
    parts = [_part(each.estimator, features, calibrator(each)) for each in model.calibrated_classifiers_]
    return Compiled(tuple(features), tuple(parts))


def _part(model: Any, features: Sequence[Feature], calibrated: Inverse | None = None) -> Part:
    while type(model) is FrozenEstimator:
        model = model.estimator
    steps, estimator = (model.steps[:-1], model.steps[-1][1]) if type(model) is Pipeline else ([], model)
    given = Encoded(
        tuple(TextColumn(at) if each.kind == "categorical" else Column(at) for at, each in enumerate(features))
    )
    for _, step in steps:
        given = transformed(step, given)
    found = scored(estimator, given)
    program = Program.of(features, found.columns)
    inverse = calibrated or found.inverse
    if isinstance(found.score, Trees) and not len(program.ops):
        return Part(program, found.score.reading(program.sources), inverse, direct=True)
    return Part(program, found.score, inverse)


def _mean(found: Sequence[Vector]) -> Vector:
    return found[0] if len(found) == 1 else np.asarray(sum(found) / len(found))
