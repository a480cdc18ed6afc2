"""Every supported estimator against scikit-learn, on rows that it was not fitted on."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import TransformedTargetRegressor, make_column_transformer
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.ensemble import (
    AdaBoostClassifier,
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.frozen import FrozenEstimator
from sklearn.impute import SimpleImputer
from sklearn.linear_model import ElasticNet, Lasso, LinearRegression, LogisticRegression, Ridge, SGDClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor, ExtraTreeClassifier, ExtraTreeRegressor

from include.registry.model_input import features_of, to_model_input
from include.serving.compiled.columns import NotCompilable
from include.serving.compiled.compile import compile_model
from include.training.calibration import Scores, calibrate, score
from tests.serving.compiled.examples import NUMBERS, TEXTS, fitted, held, labels, rows

CODES = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=float("nan"))


def trees(last: Any) -> Any:
    """An estimator that takes missing values."""
    columns = make_column_transformer((CODES, TEXTS), remainder="passthrough", verbose_feature_names_out=False)
    return make_pipeline(columns, last)


def complete(last: Any) -> Any:
    """An estimator that does not, on scaled numbers."""
    columns = make_column_transformer(
        (make_pipeline(SimpleImputer(), StandardScaler()), NUMBERS), (OneHotEncoder(handle_unknown="ignore"), TEXTS)
    )
    return make_pipeline(columns, last)


@pytest.mark.parametrize(
    "last",
    [
        HistGradientBoostingClassifier(max_iter=20, min_samples_leaf=3, categorical_features=[0, 1]),
        HistGradientBoostingClassifier(max_iter=1, max_leaf_nodes=2),
        HistGradientBoostingClassifier(max_iter=5, min_samples_leaf=400),  # no split at all
        HistGradientBoostingClassifier(max_iter=5, early_stopping=True, categorical_features=[1, 4]),
        RandomForestClassifier(7, random_state=0),
        RandomForestClassifier(3, max_depth=1, class_weight="balanced", random_state=0),
        ExtraTreesClassifier(5, random_state=0),
        DecisionTreeClassifier(random_state=0),
        DecisionTreeClassifier(criterion="log_loss", max_leaf_nodes=4),
        ExtraTreeClassifier(random_state=0),
    ],
    ids=repr,
)
def test_trees_classify_with_missing_values(last: Any) -> None:
    model = trees(last)
    if getattr(last, "min_samples_leaf", 1) == 400:
        frame = rows()
        compiled = compile_model(fitted(model), "classification", features_of(frame))
        assert compiled.predict([[None] * 6])[0] == pytest.approx(labels(frame).mean(), abs=1e-9)
    else:
        held(fitted(model))


@pytest.mark.parametrize(
    "last",
    [
        HistGradientBoostingRegressor(max_iter=15, min_samples_leaf=3, categorical_features=[0, 1]),
        HistGradientBoostingRegressor(max_iter=15, loss="poisson"),
        HistGradientBoostingRegressor(max_iter=15, loss="gamma"),
        HistGradientBoostingRegressor(max_iter=15, loss="absolute_error"),
        HistGradientBoostingRegressor(max_iter=15, loss="quantile", quantile=0.8),
        RandomForestRegressor(6, random_state=0),
        ExtraTreesRegressor(6, random_state=0),
        DecisionTreeRegressor(max_depth=9),
        ExtraTreeRegressor(max_depth=9, random_state=0),
    ],
    ids=repr,
)
def test_trees_regress_with_missing_values(last: Any) -> None:
    held(fitted(trees(last), "regression"), "regression")


@pytest.mark.parametrize(
    "last",
    [
        GradientBoostingClassifier(n_estimators=12, random_state=0),
        GradientBoostingClassifier(n_estimators=12, loss="exponential", learning_rate=0.3, random_state=0),
        GradientBoostingClassifier(n_estimators=4, init="zero", subsample=0.5, random_state=0),
        LogisticRegression(),
        LogisticRegression(solver="liblinear", fit_intercept=False),
        DecisionTreeClassifier(max_depth=5),
        DummyClassifier(),
        DummyClassifier(strategy="uniform"),
        DummyClassifier(strategy="constant", constant=1),
    ],
    ids=repr,
)
def test_estimators_classify_complete_rows(last: Any) -> None:
    held(fitted(complete(last)))


@pytest.mark.parametrize(
    "last",
    [
        GradientBoostingRegressor(n_estimators=12, random_state=0),
        GradientBoostingRegressor(n_estimators=12, loss="huber", random_state=0),
        GradientBoostingRegressor(n_estimators=5, loss="quantile", init="zero"),
        LinearRegression(),
        Ridge(fit_intercept=False),
        Lasso(alpha=0.01),
        ElasticNet(alpha=0.01),
        RandomForestRegressor(4, criterion="absolute_error", random_state=0),
        DummyRegressor(strategy="median"),
    ],
    ids=repr,
)
def test_estimators_regress_complete_rows(last: Any) -> None:
    held(fitted(complete(last), "regression"), "regression")


def test_histograms_take_texts_and_numbers_as_categories_themselves() -> None:
    last = HistGradientBoostingClassifier(max_iter=15, min_samples_leaf=3, categorical_features=["whole", *TEXTS])
    held(fitted(last))


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    depth=st.integers(1, 12),
    count=st.integers(1, 4),
    scale=st.sampled_from([1e-30, 1e-3, 1.0, 16777217.0, 1e30]),
)
def test_forests_read_single_precision(seed: int, depth: int, count: int, scale: float) -> None:
    """Rows at the thresholds, where rounding decides the side."""
    random = np.random.default_rng(seed)
    frame = pd.DataFrame(random.integers(0, 50, size=(120, 2)) / 7 * scale, columns=["a", "b"])
    model = RandomForestRegressor(count, max_depth=depth, random_state=seed).fit(frame, random.normal(size=120))
    compiled = compile_model(model, "regression", features_of(frame))
    limits = np.concatenate([tree.tree_.threshold[tree.tree_.feature == 0] for tree in model.estimators_])
    near = np.concatenate([limits, np.nextafter(limits, np.inf), np.nextafter(limits, -np.inf), frame["a"]])
    rows_there = pd.DataFrame({"a": near, "b": random.choice(frame["b"], len(near))})
    assert np.array_equal(compiled.predict(rows_there.to_numpy().tolist()), model.predict(rows_there))


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), leaves=st.integers(2, 40), categories=st.integers(1, 200))
def test_histograms_are_the_same_to_the_bit(seed: int, leaves: int, categories: int) -> None:
    random = np.random.default_rng(seed)
    frame = pd.DataFrame({"kind": random.integers(0, categories, 300).astype(float), "x": random.normal(size=300)})
    frame = frame.mask(random.random(frame.shape) < 0.1)
    target = np.sin(frame["kind"].fillna(3) * 5) + frame["x"].fillna(0)
    model = HistGradientBoostingRegressor(
        max_iter=6, max_leaf_nodes=leaves, min_samples_leaf=2, categorical_features=["kind"]
    ).fit(frame, target)
    new = pd.DataFrame({"kind": random.integers(-3, categories + 60, 300) / 1.0, "x": random.normal(size=300)})
    new = pd.concat([new.mask(random.random(new.shape) < 0.2), frame])
    compiled = compile_model(model, "regression", features_of(frame))
    assert np.array_equal(compiled.predict(new.to_numpy().tolist()), model.predict(new))


@pytest.mark.parametrize("method", ["sigmoid", "isotonic"])
@pytest.mark.parametrize(
    "inner",
    [
        trees(HistGradientBoostingClassifier(max_iter=10, min_samples_leaf=3)),
        trees(RandomForestClassifier(5, max_depth=4, random_state=0)),
        complete(LogisticRegression()),
    ],
    ids=["histograms", "forest", "logistic"],
)
def test_our_calibration_is_compiled(inner: Any, method: Any) -> None:
    frame = rows()
    model = fitted(inner)
    seen = to_model_input(frame, features_of(frame))
    held(calibrate(model, method, Scores(score(model, seen), labels(frame), None)))


@pytest.mark.parametrize("ensemble", [True, False])
@pytest.mark.parametrize("method", ["sigmoid", "isotonic"])
def test_calibration_by_cross_validation_is_compiled(method: str, ensemble: bool) -> None:
    held(fitted(CalibratedClassifierCV(complete(LogisticRegression()), method=method, ensemble=ensemble, cv=3)))


def test_a_frozen_calibrated_estimator_is_compiled() -> None:
    inner = fitted(trees(HistGradientBoostingClassifier(max_iter=5)))
    held(fitted(CalibratedClassifierCV(FrozenEstimator(inner))))


def test_what_a_linear_model_and_a_forest_refuse_is_refused_by_name() -> None:
    columns = make_column_transformer((StandardScaler(), ["speed"]), ("passthrough", ["height"]))
    frame = rows(missing=0.0)
    compiled = held(fitted(make_pipeline(columns, Ridge()), "regression", frame), "regression", frame)
    with pytest.raises(ValueError, match="feature speed: a value is missing, infinite or too large, which Ridge"):
        compiled.predict([[None, "AA", 1.0, 1.0, "P1", True]])
    forest = held(fitted(trees(RandomForestClassifier(2))))
    with pytest.raises(ValueError, match="feature height: a value is infinite or too large, which RandomForest"):
        forest.predict([[1.0, "AA", 1e39, 1.0, "P1", True]])


class OwnForest(RandomForestClassifier):  # type: ignore[misc]
    """Not its parent."""


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (trees(OwnForest(2)), "OwnForest: no compiled form"),
        (complete(AdaBoostClassifier(n_estimators=2)), "AdaBoostClassifier: no compiled form"),
        (complete(SGDClassifier(loss="log_loss")), "SGDClassifier: no compiled form"),
        (complete(DummyClassifier(strategy="stratified")), "strategy='stratified' is random"),
        (complete(GradientBoostingClassifier(n_estimators=2, init=LogisticRegression())), "init=LogisticRegression"),
        (CalibratedClassifierCV(complete(LogisticRegression()), method="temperature"), "method='temperature'"),
        (trees(DecisionTreeRegressor()), "Pipeline: not a classification model"),
    ],
    ids=lambda each: str(each)[:30],
)
def test_other_estimators_are_not_compilable(model: Any, reason: str) -> None:
    with pytest.raises(NotCompilable, match=reason):
        compile_model(fitted(model), "classification", features_of(rows()))


def test_more_than_two_classes_or_one_output_are_not_compilable() -> None:
    frame = rows(missing=0.0)[["speed", "height"]]
    kinds = np.arange(len(frame)) % 3
    several = np.column_stack([frame["speed"], frame["height"]])
    calibrated = CalibratedClassifierCV(LogisticRegression(), cv=2).fit(frame, kinds)
    for model, reason in [
        (LogisticRegression().fit(frame, kinds), "LogisticRegression: 3 classes"),
        (HistGradientBoostingClassifier(max_iter=2).fit(frame, kinds), "3 classes"),
        (DecisionTreeClassifier().fit(frame, np.zeros(len(frame))), "DecisionTreeClassifier: 1 classes"),
        (calibrated, "CalibratedClassifierCV: 3 classes"),
    ]:
        with pytest.raises(NotCompilable, match=reason):
            compile_model(model, "classification", features_of(frame))
    for model, reason in [
        (DecisionTreeRegressor().fit(frame, several), "2 outputs"),
        (Ridge().fit(frame, several), "Ridge: 2 outputs"),
        (TransformedTargetRegressor(Ridge()).fit(frame, frame["speed"]), "TransformedTargetRegressor"),
        (LogisticRegression().fit(frame, kinds > 0), "not a regression model"),
    ]:
        with pytest.raises(NotCompilable, match=reason):
            compile_model(model, "regression", features_of(frame))


def test_other_columns_than_those_of_the_fit_are_not_compilable() -> None:
    frame = rows(missing=0.0)[["speed", "height"]]
    model = Ridge().fit(frame, frame["speed"])
    with pytest.raises(NotCompilable, match="fitted on other columns"):
        compile_model(model, "regression", features_of(frame[["height", "speed"]]))
