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

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from include.contract.use_case import Task
from include.records import Record
from include.registry.artifacts import predict
from include.registry.model_input import Feature, is_missing, to_model_input

if TYPE_CHECKING:
    import pandas as pd

log = logging.getLogger(__name__)

Matrix = NDArray[np.float64]
Codes = NDArray[np.int64]
Link = Literal["identity", "logit", "log", "calibrated"]
Inverse = Callable[[Matrix], Matrix]

BACKGROUND = 100  # most rows of the background that are used, evenly spread
ANCHORS = 16  # of these, in the sampled estimate; each is walked from in an order and in its reverse
TOLERANCE = 1e-6
STEP = 1e-4  # of the margin, for the slope of a link
CHUNK = 8  # rows explained at a time by the trees: bounds the memory


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
class Game:
    """A way to contributions: frames as ``to_model_input`` makes them to margins (rows, columns) about ``base``."""

    method: str
    exact: bool
    base: float
    contributions: Callable[[pd.DataFrame], Matrix]
    link: Link = "identity"
    inverse: Inverse = np.asarray  # from margins to predictions


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
        estimate = _sampled(model, task, frame, seed)
        return cls(model, task, tuple(features), _exact(model, task, frame) or estimate, estimate)

    def explain(self, rows: pd.DataFrame | Sequence[Mapping[str, Any]]) -> list[Explanation]:
        """One explanation a row; ``ValueError`` names a missing column or a value of a wrong type."""
        frame = to_model_input(rows, self.features)
        if frame.empty:
            return []
        predictions = predict(self.model, self.task, frame)
        game, margins = self.game, self.game.contributions(frame)
        if not _agrees(game, margins, predictions):
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


def evenly(rows: int, count: int) -> Codes:
    """At most ``count`` positions of ``rows``, evenly spread and the same each time."""
    return np.unique(np.linspace(0, rows - 1, min(rows, count)).round().astype(np.int64))


def _shown(feature: Feature, value: Any) -> float | str | bool | None:
    if is_missing(value):
        return None
    return bool(value) if feature.kind == "boolean" else str(value) if feature.kind == "categorical" else float(value)


def _at(game: Game, margin: float) -> float:
    return float(game.inverse(np.array([margin]))[0])


def _slope(game: Game) -> float:
    return (_at(game, game.base + STEP) - _at(game, game.base - STEP)) / (2 * STEP)


def _agrees(game: Game, margins: Matrix, predictions: Matrix) -> bool:
    with np.errstate(over="ignore"):
        again = game.inverse(game.base + margins.sum(axis=1))
    return bool(np.allclose(again, predictions, rtol=TOLERANCE, atol=TOLERANCE))


def _exact(model: Any, task: Task, background: pd.DataFrame) -> Game | None:
    """The first exact way whose sums are the model's predictions under one of the links."""
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
            if _agrees(linked := replace(game, link=link, inverse=inverse), margins, predictions):
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


def _summed(values: Matrix, origins: Codes, columns: int) -> Matrix:
    """Contributions of encoded columns (rows, encoded), summed by input column (rows, columns)."""
    total = np.zeros((columns, len(values)))
    np.add.at(total, origins, values.T)
    return total.T


def _linear(last: Any, encode: Encode, origins: Codes, background: pd.DataFrame) -> Game:
    """Coefficient times distance from the background's mean: exact, since nothing interacts."""
    weights, mean = np.ravel(last.coef_), encode(background).mean(axis=0)
    base = float(np.ravel(last.intercept_)[0] + mean @ weights)

    def contributions(frame: pd.DataFrame) -> Matrix:
        return _summed((encode(frame) - mean) * weights, origins, background.shape[1])

    return Game("linear: coefficient times distance from the mean", True, base, contributions)


def _other_trees(last: Any, encode: Encode, origins: Codes, background: pd.DataFrame) -> Game:
    """What shap reads of other trees; the parts of a one-hot column are added up."""
    import shap  # type: ignore[import-untyped]

    def matrix(frame: pd.DataFrame) -> NDArray[np.float32]:
        return encode(frame).astype(np.float32)  # as scikit-learn's trees read it

    explainer = shap.TreeExplainer(last, matrix(background), feature_perturbation="interventional")

    def contributions(frame: pd.DataFrame) -> Matrix:
        values = np.asarray(explainer.shap_values(matrix(frame), check_additivity=False), dtype=np.float64)
        return _summed(values[..., -1] if values.ndim == 3 else values, origins, background.shape[1])

    return Game("trees: shap", True, float(np.ravel(explainer.expected_value)[-1]), contributions)


def _boosted(last: Any, encode: Encode, origins: Codes, background: pd.DataFrame) -> Game:
    """Histogram gradient boosting, with categorical splits and missing values."""
    leaves = _Leaves.of([predictor for (predictor,) in last._predictors], origins, background.shape[1])
    theirs = leaves.satisfied(encode(background))
    base = float(np.ravel(last._baseline_prediction)[0] + leaves.reached(theirs).mean())

    def contributions(frame: pd.DataFrame) -> Matrix:
        matrix = encode(frame)
        parts = [leaves.shapley(leaves.satisfied(part), theirs) for part in _chunks(matrix)]
        return np.concatenate(parts) if parts else np.zeros((0, background.shape[1]))

    return Game("trees: leaf by leaf", True, base, contributions)


def _chunks(matrix: Matrix) -> Iterator[Matrix]:
    return (matrix[start : start + CHUNK] for start in range(0, len(matrix), CHUNK))


@dataclass(frozen=True)
class _Leaves:
    """The leaves of an ensemble, each as the conditions of its path, grouped by input column into slots.

    A leaf is reached by a mixture of the row and a background row where for each slot the one that gives the column
    satisfies the conditions. With ``u`` slots that only the row satisfies and ``v`` that only the background row does,
    the leaf's Shapley value for a slot of the first kind is ``value / (u * binomial(u + v, u))``, for one of the second
    ``-value / (v * binomial(u + v, v))``, and nothing where neither satisfies one (Lundberg et al. 2020, "From local
    explanations to global understanding with explainable AI for trees", algorithm 3).
    """

    nodes: NDArray[Any]  # of all trees, as scikit-learn keeps them
    left: NDArray[np.bool_]  # (categorical splits, 256): which codes go left
    conditions: Codes  # (conditions, 4): leaf, slot, node, whether left; by leaf and slot
    values: Matrix  # (leaves,)
    columns: Codes  # (leaves, slots): input column; the number of columns where a leaf has no such slot
    width: int

    @classmethod
    def of(cls, predictors: Sequence[Any], origins: Codes, width: int) -> _Leaves:
        values: list[float] = []
        conditions: list[tuple[int, int, int, int]] = []
        columns: list[list[int]] = []
        shift = splits = 0
        nodes = [predictor.nodes.copy() for predictor in predictors]
        for tree in nodes:
            for value, path in _paths(tree):
                used = sorted({int(origins[tree["feature_idx"][node]]) for node, _ in path})
                for node, goes in path:
                    slot = used.index(int(origins[tree["feature_idx"][node]]))
                    conditions.append((len(values), slot, node + shift, goes))
                values.append(value)
                columns.append(used)
            tree["bitset_idx"] += splits
            shift, splits = shift + len(tree), splits + int(tree["is_categorical"].sum())
        slots = max(map(len, columns))
        words = np.concatenate([predictor.raw_left_cat_bitsets for predictor in predictors])
        return cls(
            nodes=np.concatenate(nodes),
            left=(words[:, :, None] >> np.arange(32, dtype=np.uint32) & 1).reshape(len(words), 256).astype(bool),
            conditions=np.array(sorted(conditions), dtype=np.int64).reshape(-1, 4),
            values=np.array(values),
            columns=np.array([used + [width] * (slots - len(used)) for used in columns], dtype=np.int64),
            width=width,
        )

    def satisfied(self, matrix: Matrix) -> NDArray[np.bool_]:
        """Whether each row satisfies each slot of each leaf: (leaves, rows, slots); true where there is no slot."""
        seen = matrix[:, self.nodes["feature_idx"]]
        goes_left = seen <= self.nodes["num_threshold"]
        categorical = np.flatnonzero(self.nodes["is_categorical"])
        codes = np.nan_to_num(seen[:, categorical]).astype(np.int64).clip(0, 255)
        goes_left[:, categorical] = self.left[self.nodes["bitset_idx"][categorical], codes]
        goes_left = np.where(np.isnan(seen), self.nodes["missing_go_to_left"] == 1, goes_left)
        met = np.ones((*self.columns.shape, len(matrix)), dtype=bool)
        if len(self.conditions):
            leaf, slot, node, goes = self.conditions.T
            first = np.flatnonzero(np.append(True, (np.diff(leaf) != 0) | (np.diff(slot) != 0)))
            met[leaf[first], slot[first]] = np.logical_and.reduceat(
                goes_left.T[node] == goes[:, None].astype(bool), first
            )
        return np.ascontiguousarray(met.transpose(0, 2, 1))

    def reached(self, satisfied: NDArray[np.bool_]) -> Matrix:
        """The sum of the leaves that each row reaches: (rows,)."""
        return np.asarray(self.values @ satisfied.all(axis=2))

    def shapley(self, ours: NDArray[np.bool_], theirs: NDArray[np.bool_]) -> Matrix:
        """Mean over the background ``theirs`` of the Shapley values of ``ours``: (rows, columns)."""
        bits = 1 << np.arange(self.columns.shape[1], dtype=np.int64)
        row, other = (ours @ bits)[:, :, None], (theirs @ bits)[:, None, :]
        possible = (row | other) == bits.sum()
        only_row, only_other = np.bitwise_count(row & ~other), np.bitwise_count(other & ~row)
        weight = _weights(len(bits))
        gains = np.where(possible, weight[only_row, only_other], 0.0)  # (leaves, rows, background)
        losses = np.where(possible, weight[only_other, only_row], 0.0)
        theirs_too = theirs.astype(np.float64)
        value = np.where(ours, gains.sum(axis=2)[:, :, None] - gains @ theirs_too, -(losses @ theirs_too))
        value *= self.values[:, None, None] / theirs.shape[1]
        flat = value.transpose(1, 0, 2).reshape(ours.shape[1], -1)
        return _summed(flat, self.columns.ravel(), self.width + 1)[:, : self.width]


def _weights(slots: int) -> Matrix:
    """``1 / (u * binomial(u + v, u))`` by ``u`` and ``v``; 0 for ``u`` of 0."""
    from scipy.special import binom

    u, v = np.ogrid[0 : slots + 1, 0 : slots + 1]
    return np.asarray(np.where(u > 0, 1 / (np.maximum(u, 1) * binom(u + v, u)), 0.0))


def _paths(tree: NDArray[Any]) -> Iterator[tuple[float, list[tuple[int, int]]]]:
    """Each leaf's value, and the nodes on the way to it with whether it is on their left."""
    todo: list[tuple[int, list[tuple[int, int]]]] = [(0, [])]
    while todo:
        node, path = todo.pop()
        if tree["is_leaf"][node]:
            yield float(tree["value"][node]), path
        else:
            todo += [(int(tree["right"][node]), [*path, (node, 0)]), (int(tree["left"][node]), [*path, (node, 1)])]


def _sampled(model: Any, task: Task, background: pd.DataFrame, seed: int) -> Game:
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
