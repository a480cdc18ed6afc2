"""Why a model predicted what it did: one contribution for each input column, which together give the prediction.

Contributions are Shapley values (Shapley 1953; Lundberg & Lee 2017) of one game: ``v(S)`` is the mean margin over the
background where the columns of ``S`` have the explained row's values and the others the background's (interventional).
The margin is where a model adds up: log-odds for boosted trees and a logistic regression, the value or the probability
itself elsewhere, and the score before the map of a calibrated model. Columns that a step before the model encodes
(one-hot, ordinal) are put together again: contributions are those of the columns that a person knows.

Exact for linear models and for trees. The trees of scikit-learn's histogram gradient boosting are computed here: shap
reads neither their categorical splits nor their order of columns, and its sums are then wrong without a word. Other
models get an estimate by sampled orders. An exact way is used only where its sums give the model's own predictions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from include.contract.use_case import Task
from include.records import Record
from include.registry.artifacts import predict
from include.registry.model_input import Feature, is_missing, to_model_input
from include.training.leaves import Matrix
from include.training.shapley import TOLERANCE, Game, Link, agrees, evenly, exact, sampled

if TYPE_CHECKING:
    import pandas as pd

BACKGROUND = 100  # most rows of the background that are used, evenly spread
STEP = 1e-4  # of the margin, for the slope of a link


@dataclass(frozen=True)
class Contribution(Record):
    """What one column did. ``effect`` is in the prediction's unit, ``margin`` where the model adds up."""

    column: str
    value: float | str | bool | None
    effect: float
    margin: float

    def words(self, unit: str) -> str:
        """For example ``departure_minute = 1290: +0.08``."""
        shown = "missing" if self.value is None else self.value
        shown = str(shown).lower() if isinstance(shown, bool) else f"{shown:.6g}" if isinstance(shown, float) else shown
        return f"{self.column} = {shown}: {self.effect:{'+.2f' if unit == 'probability' else '+.3g'}}"


@dataclass(frozen=True)
class Explanation(Record):
    """One prediction: ``base`` plus all effects is ``prediction``, ``margin_base`` plus all margins is ``margin``.

    Where the link is not the identity the effects are the margins times one number that is not negative,
    ``(prediction - base) / (margin - margin_base)``: their order, signs and shares stay, and they add up. The base is
    then the prediction at the mean margin of the background, not the mean prediction. On a level step of an isotonic
    calibration that number is 0: nothing moved the probability.
    """

    prediction: float
    base: float
    unit: Literal["probability", "value"]
    margin: float
    margin_base: float
    link: Link
    method: str
    exact: bool
    contributions: tuple[Contribution, ...]  # every input column, the largest effect first

    def words(self, count: int = 3) -> tuple[str, ...]:
        """The ``count`` largest contributions in words."""
        return tuple(each.words(self.unit) for each in self.contributions[:count])


@dataclass(frozen=True)
class Explainer:
    """Explains the predictions of one model; threads may share it."""

    model: Any
    task: Task
    features: tuple[Feature, ...]
    game: Game
    estimate: Game

    @classmethod
    def of(
        cls, model: Any, task: Task, features: Sequence[Feature], background: pd.DataFrame, seed: int = 0
    ) -> Explainer:
        """Prepare for a fitted model. ``background``: rows to compare with, e.g. of the training set (100 are used).

        ``ValueError`` where the background is empty or lacks a column.
        """
        if background.empty:
            raise ValueError("the background has no rows; give rows of the training set")
        frame = to_model_input(background.iloc[evenly(len(background), BACKGROUND)], features)
        estimate = sampled(model, task, frame, seed)
        return cls(model, task, tuple(features), exact(model, task, frame) or estimate, estimate)

    def explain(self, rows: pd.DataFrame | Sequence[Mapping[str, Any]]) -> list[Explanation]:
        """One explanation a row; ``ValueError`` names a missing column or a value of a wrong type."""
        frame = to_model_input(rows, self.features)
        if frame.empty:
            return []
        predictions = predict(self.model, self.task, frame)
        game, margins = self.game, self.game.contributions(frame)
        if not agrees(game, margins, predictions):
            game, margins = self.estimate, self.estimate.contributions(frame)
        values = frame.to_dict("records")
        return [self._explanation(game, *row) for row in zip(margins, predictions, values, strict=True)]

    def _explanation(self, game: Game, margins: Matrix, prediction: float, values: Mapping[Any, Any]) -> Explanation:
        total = float(margins.sum())
        base = _at(game, game.base)
        # the difference quotient is 0/0 for a row like the base: there the slope, of which it is the limit
        scale = (float(prediction) - base) / total if abs(total) > TOLERANCE else _slope(game)
        found = [
            Contribution(feature.name, _shown(feature, values[feature.name]), float(margin * scale), float(margin))
            for feature, margin in zip(self.features, margins, strict=True)
        ]
        return Explanation(
            prediction=float(prediction),
            base=base,
            unit="probability" if self.task == "classification" else "value",
            margin=game.base + total,
            margin_base=game.base,
            link=game.link,
            method=game.method,
            exact=game.exact,
            contributions=tuple(sorted(found, key=lambda each: (-abs(each.margin), each.column))),
        )


def _shown(feature: Feature, value: Any) -> float | str | bool | None:
    if is_missing(value):
        return None
    return bool(value) if feature.kind == "boolean" else str(value) if feature.kind == "categorical" else float(value)


def _at(game: Game, margin: float) -> float:
    return float(game.inverse(np.array([margin]))[0])


def _slope(game: Game) -> float:
    return (_at(game, game.base + STEP) - _at(game, game.base - STEP)) / (2 * STEP)
