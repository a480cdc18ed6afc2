"""Which columns a model leans on, by two measures that answer different questions.

Permutation importance (Breiman 2001; Fisher et al. 2019): by how much the loss on the test rows rises when a column's
values are shuffled among all of them. Not within a day: a column that is the same all day (weather, season) would then
seem useless. Columns that say the same share their importance, and either alone may look unimportant.

Mean absolute SHAP value: how far a column moves the predictions, whether or not that makes them better.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from include.contract.metrics import METRICS
from include.contract.use_case import Task
from include.records import Record
from include.registry.artifacts import predict
from include.registry.model_input import Feature, to_model_input
from include.training.explanation import Explainer
from include.training.shapley import evenly

if TYPE_CHECKING:
    import pandas as pd

ROWS = 2000  # most test rows that are shuffled and predicted
REPEATS = 3
EXPLAINED = 200  # most test rows that are explained


@dataclass(frozen=True)
class ColumnImportance(Record):
    """``permutation``: mean rise of the loss; ``spread``: its standard deviation over the shuffles (not over days)."""

    column: str
    permutation: float
    spread: float
    shap: float | None  # mean absolute contribution to the margin


@dataclass(frozen=True)
class Importance(Record):
    """The input columns, the most important first."""

    metric: str
    rows: int
    repeats: int
    seed: int
    columns: tuple[ColumnImportance, ...]
    shap: str  # how the SHAP values were had and in which unit, or "not available: why"


def importance(
    model: Any,
    task: Task,
    features: Sequence[Feature],
    rows: pd.DataFrame,
    labels: ArrayLike,
    *,
    metric: str,
    explainer: Explainer | None = None,
    seed: int = 0,
    repeats: int = REPEATS,
) -> Importance:
    """Measure on test rows with the features, ``labels`` (rows,); of many rows 2,000 are taken, evenly spread.

    ``explainer``: of the same model, for the SHAP values. ``ValueError`` where the metric is not of the task, a label
    is not finite, lengths differ, or the metric is not defined on the rows (one class).
    """
    from sklearn.inspection import permutation_importance

    judged, y = METRICS.get(metric), np.asarray(labels, dtype=np.float64)
    if judged is None or judged.task != task:
        raise ValueError(f"{metric!r} is no metric of a {task}")
    if y.shape != (len(rows),):
        raise ValueError(f"labels {y.shape} must be a vector of the {len(rows)} rows")
    if bad := int(np.count_nonzero(~np.isfinite(y))):
        raise ValueError(f"{bad} of {len(y)} labels are not finite numbers")
    if not len(y):
        raise ValueError(f"{metric} of no rows is not defined")
    chosen = evenly(len(y), ROWS)
    frame, y = to_model_input(rows.iloc[chosen].reset_index(drop=True), features), y[chosen]

    def score(fitted: Any, shuffled: pd.DataFrame, truth: NDArray[np.float64]) -> float:
        return -judged.loss(judged(truth, predict(fitted, task, shuffled)))

    score(model, frame, y)  # names the metric where it is not defined
    found = permutation_importance(model, frame, y, scoring=score, n_repeats=repeats, random_state=seed)
    shap, said = _shap(explainer, frame)
    columns = [
        ColumnImportance(feature.name, float(mean), float(spread), None if shap is None else float(shap[index]))
        for index, (feature, mean, spread) in enumerate(
            zip(features, found.importances_mean, found.importances_std, strict=True)
        )
    ]
    return Importance(
        metric=metric,
        rows=len(y),
        repeats=repeats,
        seed=seed,
        columns=tuple(sorted(columns, key=lambda each: (-each.permutation, each.column))),
        shap=said,
    )


def _shap(explainer: Explainer | None, frame: pd.DataFrame) -> tuple[NDArray[np.float64] | None, str]:
    if explainer is None:
        return None, "not available: no explainer was given"
    game = explainer.game
    if not game.exact:
        return None, "not available: the model is neither linear nor made of trees that can be read"
    rows = frame.iloc[evenly(len(frame), EXPLAINED)]
    unit = {
        "logit": "log-odds",
        "log": "the logarithm of the value",
        "identity": "the prediction",
        "calibrated": "the score",
    }[game.link]
    mean = np.abs(game.contributions(rows)).mean(axis=0)
    return np.asarray(mean), f"mean absolute contribution to {unit} over {len(rows)} rows ({game.method})"
