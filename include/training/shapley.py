"""Ways to Shapley values (Shapley 1953; Lundberg & Lee 2017) of the input columns of a model.

Of one game: ``v(S)`` is the mean margin over the background where the columns of ``S`` have the explained row's values
and the others the background's (interventional). Exact for linear models and for trees; other models get an estimate
by sampled orders. An exact way is used only where its sums give the model's own predictions.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from include.contract.use_case import Task
from include.registry.artifacts import predict
from include.training.leaves import Codes, Leaves, Matrix, summed

if TYPE_CHECKING:
    import pandas as pd

log = logging.getLogger(__name__)

Link = Literal["identity", "logit", "log", "calibrated"]
Inverse = Callable[[Matrix], Matrix]

ANCHORS = 16  # rows of the background in the sampled estimate; each is walked from in an order and in its reverse
TOLERANCE = 1e-6
CHUNK = 8  # rows explained at a time by the trees: bounds the memory


@dataclass(frozen=True)
class Game:
    """A way to contributions: frames as ``to_model_input`` makes them to margins (rows, columns) about ``base``."""

    method: str
    exact: bool
    base: float
    contributions: Callable[[pd.DataFrame], Matrix]
    link: Link = "identity"
    inverse: Inverse = np.asarray  # from margins to predictions


def evenly(rows: int, count: int) -> Codes:
    """At most ``count`` positions of ``rows``, evenly spread and the same each time."""
    return np.unique(np.linspace(0, rows - 1, min(rows, count)).round().astype(np.int64))


def agrees(game: Game, margins: Matrix, predictions: Matrix) -> bool:
    """Whether base and contributions (rows, columns) give the predictions (rows,)."""
    with np.errstate(over="ignore"):
        again = game.inverse(game.base + margins.sum(axis=1))
    return bool(np.allclose(again, predictions, rtol=TOLERANCE, atol=TOLERANCE))


def exact(model: Any, task: Task, background: pd.DataFrame) -> Game | None:
    """The first exact way whose sums are the model's predictions under one of the links; None where there is none."""
    predictions = predict(model, task, background)
    scored, links = _scored(model)
    for way in (_linear, _boosted, _other_trees):
        try:
            game = way(*_last_step(scored, background), background)
            margins = game.contributions(background)
        except Exception as error:  # noqa: BLE001 - foreign estimators differ in many ways; each means another way
            log.debug("%s: %s: %s", way.__name__, type(error).__name__, error)
            continue
        for link, inverse in links.items():
            if agrees(linked := replace(game, link=link, inverse=inverse), margins, predictions):
                return linked
    return None


def _scored(model: Any) -> tuple[Any, dict[Link, Inverse]]:
    """The model whose score adds up, and the ways from its score to predictions; the map of a calibrated one."""
    from scipy.special import expit
    from sklearn.calibration import CalibratedClassifierCV
    from sklearn.frozen import FrozenEstimator

    if not isinstance(model, CalibratedClassifierCV):
        return model, {"identity": np.asarray, "logit": expit, "log": np.exp}
    if len(model.calibrated_classifiers_) > 1:
        return model, {}
    (calibrated,) = model.calibrated_classifiers_
    inner = calibrated.estimator
    return inner.estimator if isinstance(inner, FrozenEstimator) else inner, {
        "calibrated": calibrated.calibrators[0].predict
    }


Encode = Callable[["pd.DataFrame"], Matrix]


def _last_step(model: Any, background: pd.DataFrame) -> tuple[Any, Encode, Codes]:
    """The estimator that predicts, what it sees of a frame, and the input column behind each column that it sees."""
    from scipy.sparse import issparse
    from sklearn.pipeline import Pipeline

    steps, last = (model[:-1], model[-1]) if isinstance(model, Pipeline) else (None, model)

    def encode(frame: pd.DataFrame) -> Matrix:
        seen: Any = frame if steps is None else steps.transform(frame)
        if getattr(last, "_preprocessor", None) is not None:  # of histogram gradient boosting with categories
            seen = last._preprocessor.transform(seen)
        return np.asarray(seen.toarray() if issparse(seen) else seen, dtype=np.float64)

    names = list(background.columns if steps is None else steps.get_feature_names_out())
    if getattr(last, "_preprocessor", None) is not None:
        names = [*np.array(names)[last.is_categorical_], *np.array(names)[~last.is_categorical_]]
    return last, encode, _origins(encode, [str(name) for name in names], background)


def _origins(encode: Encode, names: Sequence[str], background: pd.DataFrame) -> Codes:
    """By trying: what changes when one input column is shuffled; by name where nothing in the background does."""
    before, order = encode(background), np.random.default_rng(0).permutation(len(background))
    depends = np.zeros((before.shape[1], background.shape[1]), dtype=bool)
    for index in range(background.shape[1]):
        shuffled = background.copy(deep=False)
        shuffled.isetitem(index, background.iloc[order, index].to_numpy())
        after = encode(shuffled)
        depends[:, index] = ~np.isclose(before, after, rtol=0, atol=0, equal_nan=True).all(axis=0)
    if (depends.sum(axis=1) > 1).any():
        raise ValueError("a step before the model mixes columns")
    return np.array(
        [row.argmax() if row.any() else _by_name(name, background) for row, name in zip(depends, names, strict=True)]
    )


def _by_name(encoded: str, background: pd.DataFrame) -> int:
    """``season_winter`` and ``onehot__season_winter`` are of ``season``; ``ValueError`` where no name fits."""
    plain = encoded.rpartition("__")[2]
    fits = [name for name in background.columns if name in (encoded, plain) or plain.startswith(f"{name}_")]
    return list(background.columns).index(max(fits, key=len))


def _linear(last: Any, encode: Encode, origins: Codes, background: pd.DataFrame) -> Game:
    """Coefficient times distance from the background's mean: exact, since nothing interacts."""
    weights, mean = np.ravel(last.coef_), encode(background).mean(axis=0)
    base = float(np.ravel(last.intercept_)[0] + mean @ weights)

    def contributions(frame: pd.DataFrame) -> Matrix:
        return summed((encode(frame) - mean) * weights, origins, background.shape[1])

    return Game("linear: coefficient times distance from the mean", True, base, contributions)


def _other_trees(last: Any, encode: Encode, origins: Codes, background: pd.DataFrame) -> Game:
    """What shap reads of other trees; the parts of a one-hot column are added up."""
    import shap  # type: ignore[import-untyped]

    def matrix(frame: pd.DataFrame) -> NDArray[np.float32]:
        return encode(frame).astype(np.float32)  # as scikit-learn's trees read it

    explainer = shap.TreeExplainer(last, matrix(background), feature_perturbation="interventional")

    def contributions(frame: pd.DataFrame) -> Matrix:
        values = np.asarray(explainer.shap_values(matrix(frame), check_additivity=False), dtype=np.float64)
        return summed(values[..., -1] if values.ndim == 3 else values, origins, background.shape[1])

    return Game("trees: shap", True, float(np.ravel(explainer.expected_value)[-1]), contributions)


def _boosted(last: Any, encode: Encode, origins: Codes, background: pd.DataFrame) -> Game:
    """Histogram gradient boosting, with categorical splits and missing values."""
    leaves = Leaves.of([predictor for (predictor,) in last._predictors], origins, background.shape[1])
    theirs = leaves.satisfied(encode(background))
    base = float(np.ravel(last._baseline_prediction)[0] + leaves.reached(theirs).mean())

    def contributions(frame: pd.DataFrame) -> Matrix:
        matrix = encode(frame)
        parts = [leaves.shapley(leaves.satisfied(part), theirs) for part in _chunks(matrix)]
        return np.concatenate(parts) if parts else np.zeros((0, background.shape[1]))

    return Game("trees: leaf by leaf", True, base, contributions)


def _chunks(matrix: Matrix) -> Iterator[Matrix]:
    return (matrix[start : start + CHUNK] for start in range(0, len(matrix), CHUNK))


def sampled(model: Any, task: Task, background: pd.DataFrame, seed: int) -> Game:
    """An estimate for any model: columns switch to the row's values one by one, in random orders.

    From ``ANCHORS`` background rows, each in an order and its reverse (Castro et al. 2009; antithetic: Mitchell et al.
    2022, "Sampling Permutations for Shapley Value Estimation"). One call of ``2 * ANCHORS * (columns + 1)`` rows for
    each row. The sums are exact, how they are shared is not.
    """
    import pandas as pd

    anchors = background.iloc[evenly(len(background), ANCHORS)]
    width = background.shape[1]
    orders = np.random.default_rng(seed).permuted(np.tile(np.arange(width), (len(anchors), 1)), axis=1)
    orders = np.concatenate([orders, orders[:, ::-1]])
    switched = np.argsort(orders, axis=1)[:, None, :] < np.arange(width + 1)[None, :, None]  # (walks, steps, columns)
    starts = pd.concat([anchors, anchors])

    def one(row: Sequence[Any]) -> Matrix:
        mixed = {
            name: np.where(switched[:, :, index], row[index], starts[name].to_numpy()[:, None]).ravel()
            for index, name in enumerate(background.columns)
        }
        walked = predict(model, task, pd.DataFrame(mixed)).reshape(len(orders), width + 1)
        return np.asarray(np.take_along_axis(np.diff(walked, axis=1), np.argsort(orders, axis=1), axis=1).mean(axis=0))

    def contributions(frame: pd.DataFrame) -> Matrix:
        return np.array([one(row) for row in frame.itertuples(index=False, name=None)]).reshape(len(frame), width)

    return Game("estimate: sampled orders", False, float(predict(model, task, anchors).mean()), contributions)
