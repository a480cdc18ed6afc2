"""scikit-learn's estimators as a score of encoded columns, and the way from the score to a prediction."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import expit
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.linear_model import ElasticNet, Lasso, LinearRegression, LogisticRegression, Ridge
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor, ExtraTreeClassifier, ExtraTreeRegressor
from sklearn.utils import get_tags

from include.packaging.runtime.model import Constant, Linear
from include.serving.compiled.columns import Column, Encoded, NotCompilable, Op
from include.serving.compiled.encoders import encoded
from include.serving.compiled.kernels import Code
from include.serving.compiled.trees import Trees

Inverse = Callable[[Any], Any]  # of a vector, or of one number


@dataclass(frozen=True)
class Scored:
    """A score of columns: the decision function where the estimator has one, else its prediction."""

    columns: tuple[Column, ...]
    score: Trees | Linear | Constant
    inverse: Inverse | None = None  # from the score to the prediction; None: they are the same


def scored(estimator: Any, given: Encoded) -> Scored:
    """The compiled form of a fitted estimator of one output or two classes, or ``NotCompilable``."""
    name = type(estimator).__name__
    compiler = _ESTIMATORS.get(type(estimator))
    if compiler is None:
        raise NotCompilable(f"{name}: no compiled form is known")
    if len(classes := getattr(estimator, "classes_", (0, 1))) != 2:
        raise NotCompilable(f"{name}: {len(classes)} classes, not two")
    if getattr(estimator, "n_outputs_", 1) != 1:
        raise NotCompilable(f"{name}: {estimator.n_outputs_} outputs, not one")
    if (seen := getattr(estimator, "n_features_in_", len(given.columns))) != len(given.columns):
        raise NotCompilable(f"{name}: fitted on {seen} columns, given {len(given.columns)}")
    return compiler(estimator, given)


def _histograms(estimator: Any, given: Encoded) -> Scored:
    name = type(estimator).__name__
    if estimator._preprocessor is not None:  # of the categories, which it puts in front
        (_, encoder, _), *_ = estimator._preprocessor.transformers_
        categorical = np.flatnonzero(estimator.is_categorical_)
        columns = [each for at, index in enumerate(categorical) for each in encoded(encoder, at, given.columns[index])]
        others = tuple(given.columns[index] for index in np.flatnonzero(~estimator.is_categorical_))
        given = Encoded((*columns, *others))
    elif estimator.is_categorical_ is not None:
        raise NotCompilable(f"{name}: categories that it does not encode itself, of another scikit-learn")
    trees = Trees.of_histograms(
        [predictor for (predictor,) in estimator._predictors], float(np.ravel(estimator._baseline_prediction)[0])
    )
    return Scored(given.numbers(name), trees, _inverse(estimator._loss.link))


def _inverse(link: Any) -> Inverse | None:
    """The link's inverse; what the loss of two classes gives as the probability of the second is the same."""
    known: Mapping[str, Inverse | None] = {"IdentityLink": None, "LogitLink": expit, "LogLink": np.exp}
    return known.get(type(link).__name__, link.inverse)


def _single(estimator: Any, given: Encoded, *, missing: bool) -> tuple[Column, ...]:
    """The columns in single precision, refused where scikit-learn's check refuses them."""
    name = type(estimator).__name__
    check = Op(Code.NO_INFINITY if missing and not given.sparse else Code.FINITE, who=name)
    return tuple(column.then(Op(Code.SINGLE), check) for column in given.numbers(name))


def _tree(estimator: Any, given: Encoded) -> Scored:
    columns = _single(estimator, given, missing=get_tags(estimator).input_tags.allow_nan)
    return Scored(columns, Trees.of_trees([estimator.tree_]))


def _forest(estimator: Any, given: Encoded) -> Scored:
    trees = estimator.estimators_
    columns = _single(estimator, given, missing=get_tags(trees[0]).input_tags.allow_nan)
    return Scored(columns, Trees.of_trees([each.tree_ for each in trees], divisor=float(len(trees))))


def _boosted(estimator: Any, given: Encoded) -> Scored:
    first = estimator.init_
    if first != "zero" and type(first) not in (DummyClassifier, DummyRegressor):
        raise NotCompilable(f"{type(estimator).__name__}: init={type(first).__name__}")
    base = float(estimator._raw_predict_init(np.zeros((1, len(given.columns)), dtype=np.float32))[0, 0])
    trees = Trees.of_trees([each.tree_ for each in estimator.estimators_[:, 0]], base, estimator.learning_rate)
    inverse = _inverse(estimator._loss.link) if hasattr(estimator, "classes_") else None
    return Scored(_single(estimator, given, missing=False), trees, inverse)


def _linear(estimator: Any, given: Encoded) -> Scored:
    name = type(estimator).__name__
    weights = np.atleast_2d(estimator.coef_)
    if len(weights) != 1:
        raise NotCompilable(f"{name}: {len(weights)} outputs, not one")
    columns = tuple(column.then(Op(Code.FINITE, who=name)) for column in given.numbers(name))
    intercept = float(np.ravel(estimator.intercept_)[0])
    inverse = expit if hasattr(estimator, "classes_") else None
    return Scored(columns, Linear(np.array(weights[0], dtype=np.float64), intercept), inverse)


def _dummy(estimator: Any, given: Encoded) -> Scored:
    if getattr(estimator, "strategy", None) == "stratified":
        raise NotCompilable("DummyClassifier: strategy='stratified' is random")
    nothing = np.zeros((1, len(given.columns)))
    found = estimator.predict_proba(nothing)[0, 1] if hasattr(estimator, "classes_") else estimator.predict(nothing)[0]
    return Scored((), Constant(float(found)))


_ESTIMATORS: Mapping[type, Callable[[Any, Encoded], Scored]] = {
    **dict.fromkeys((HistGradientBoostingClassifier, HistGradientBoostingRegressor), _histograms),
    **dict.fromkeys((DecisionTreeClassifier, DecisionTreeRegressor, ExtraTreeClassifier, ExtraTreeRegressor), _tree),
    **dict.fromkeys(
        (RandomForestClassifier, RandomForestRegressor, ExtraTreesClassifier, ExtraTreesRegressor), _forest
    ),
    **dict.fromkeys((GradientBoostingClassifier, GradientBoostingRegressor), _boosted),
    **dict.fromkeys((LogisticRegression, LinearRegression, Ridge, Lasso, ElasticNet), _linear),
    **dict.fromkeys((DummyClassifier, DummyRegressor), _dummy),
}
