"""Contributions add up to the prediction, and are the Shapley values of the game that is named."""

from functools import cache
from itertools import combinations
from math import factorial

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, logit
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import make_column_transformer
from sklearn.decomposition import PCA
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.frozen import FrozenEstimator
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, PoissonRegressor, Ridge
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

from include.registry.artifacts import predict
from include.registry.model_input import features_of, to_model_input
from include.training.explanation import Explainer, Explanation
from include.training.shapley import Game
from include.use_cases.flight_delay import model as flight_delay
from tests.model_store import constant

AIRPORTS = ["EWR", "JFK", "LGA"]


def rows(count=600, seed=0):
    generator = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "departure_minute": generator.integers(300, 1400, count).astype(float),
            "airline": generator.choice(np.array(["AA", "B6", "UA", None], dtype=object), count),
            "origin_airport": generator.choice(np.array(AIRPORTS, dtype=object), count),
            "holiday": generator.random(count) < 0.2,
            "destination": generator.choice(np.array([f"D{i}" for i in range(40)], dtype=object), count),
        }
    )
    frame.loc[::9, "departure_minute"] = np.nan
    return frame


FRAME = rows()
FEATURES = features_of(FRAME)
INPUT = to_model_input(FRAME, FEATURES)
SCORE = (
    FRAME["departure_minute"].fillna(900).to_numpy() / 400
    + 2.0 * (FRAME["airline"] == "B6").to_numpy()
    + 1.5 * FRAME["destination"].isin(["D3", "D9", "D21"]).to_numpy() * FRAME["holiday"].to_numpy()
    + np.random.default_rng(1).normal(0, 0.5, len(FRAME))
)
LATE = (SCORE > 2.7).astype(int)


def encoded(last, *, one_hot=False):
    kinds = ["airline", "origin_airport", "destination"]
    encoder = (
        OneHotEncoder(handle_unknown="ignore")
        if one_hot
        else OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1, encoded_missing_value=-1)
    )
    numbers = make_pipeline(SimpleImputer(), StandardScaler())
    return make_pipeline(make_column_transformer((encoder, kinds), (numbers, ["departure_minute", "holiday"])), last)


def flights():
    params = {"max_iter": 40, "min_samples_leaf": 10, "l2_regularization": 1.0, "learning_rate": 0.1, "seed": 3}
    return flight_delay.build(params).fit(INPUT, LATE)


def calibrated(method):
    return CalibratedClassifierCV(FrozenEstimator(flights()), method=method).fit(INPUT, LATE)


def from_dtypes():
    """Categories in the middle of the columns, which the trees move to the front."""
    plain = make_column_transformer(
        ("passthrough", ["departure_minute"]), (OrdinalEncoder(), ["airline"]), ("passthrough", ["holiday"])
    )
    return make_pipeline(plain, HistGradientBoostingRegressor(categorical_features=[1], max_iter=20)).fit(INPUT, SCORE)


MODELS = {
    "flights": (flights, "classification", "logit", True),
    "sigmoid": (lambda: calibrated("sigmoid"), "classification", "calibrated", True),
    "isotonic": (lambda: calibrated("isotonic"), "classification", "calibrated", True),
    "reordered": (from_dtypes, "regression", "identity", True),
    "poisson trees": (
        lambda: encoded(HistGradientBoostingRegressor(loss="poisson", max_iter=15)).fit(INPUT, SCORE.clip(0)),
        "regression", "log", True,
    ),
    "one-hot trees": (
        lambda: encoded(HistGradientBoostingClassifier(max_iter=15), one_hot=True).set_params(
            columntransformer__sparse_threshold=0).fit(INPUT, LATE),
        "classification", "logit", True,
    ),
    "forest": (
        lambda: encoded(RandomForestClassifier(8, max_depth=5, random_state=0)).fit(INPUT, LATE),
        "classification", "identity", True,
    ),
    "regression forest": (
        lambda: encoded(RandomForestRegressor(8, max_depth=5, random_state=0)).fit(INPUT, SCORE),
        "regression", "identity", True,
    ),
    "ridge": (lambda: encoded(Ridge(), one_hot=True).fit(INPUT, SCORE), "regression", "identity", True),
    "logistic": (lambda: encoded(LogisticRegression(), one_hot=True).fit(INPUT, LATE), "classification", "logit", True),
    "poisson": (lambda: encoded(PoissonRegressor(), one_hot=True).fit(INPUT, SCORE.clip(0)), "regression", "log", True),
    "neighbours": (lambda: encoded(KNeighborsClassifier()).fit(INPUT, LATE), "classification", "identity", False),
    "mixed columns": (
        lambda: make_pipeline(encoded(None)[0], PCA(3), Ridge()).fit(INPUT, SCORE),
        "regression", "identity", False,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", MODELS)
def test_contributions_and_base_are_the_prediction(name):
    build, task, link, exact = MODELS[name]
    model = build()
    explainer = Explainer.of(model, task, FEATURES, FRAME)
    fresh = rows(30, seed=5)
    fresh.loc[3, "destination"] = "never seen"
    found = explainer.explain(fresh)
    expected = predict(model, task, to_model_input(fresh, FEATURES))
    assert {(each.link, each.exact) for each in found} == {(link, exact)}
    for each, prediction in zip(found, expected, strict=True):
        assert each.prediction == prediction
        assert each.base + sum(part.effect for part in each.contributions) == pytest.approx(prediction, abs=1e-9)
        assert each.margin == pytest.approx(each.margin_base + sum(part.margin for part in each.contributions))
        if link == "logit":
            assert each.margin == pytest.approx(logit(prediction), abs=1e-6)
        if link == "log":
            assert each.margin == pytest.approx(np.log(prediction), abs=1e-6)
        if link == "identity":
            assert each.margin == pytest.approx(prediction, abs=1e-6)
        if name != "isotonic":  # a level step has no effects
            assert all(np.sign(part.effect) == np.sign(part.margin) for part in each.contributions)


def shapley(margin, row, background):
    """By the definition: all subsets of columns."""
    columns = list(row.index)

    @cache
    def value(known):
        mixed = background.copy()
        for name in known:
            mixed[name] = np.array([row[name]] * len(mixed), dtype=mixed[name].dtype)
        return margin(mixed).mean()

    total = dict.fromkeys(columns, 0.0)
    for name in columns:
        others = [other for other in columns if other != name]
        for size in range(len(others) + 1):
            weight = factorial(size) * factorial(len(columns) - size - 1) / factorial(len(columns))
            for known in combinations(others, size):
                total[name] += weight * (value(frozenset({*known, name})) - value(frozenset(known)))
    return total


@pytest.mark.parametrize("name", ["flights", "one-hot trees", "forest", "ridge"])
def test_exact_contributions_are_shapley_values_by_their_definition(name):
    build, task, link, _ = MODELS[name]
    model, background = build(), FRAME.head(12)
    explainer = Explainer.of(model, task, FEATURES, background)

    def margin(frame):
        predictions = predict(model, task, frame)
        return logit(predictions) if link == "logit" else predictions

    for index in (1, 9):
        (found,) = explainer.explain(FRAME.iloc[[index]])
        expected = shapley(margin, INPUT.iloc[index], INPUT.head(12))
        assert {part.column: part.margin for part in found.contributions} == pytest.approx(expected, abs=1e-6)


def test_trees_without_categorical_splits_agree_with_shap():
    import shap

    generator = np.random.default_rng(0)
    # few levels, so that no split is at a value: shap rounds to 32 bits there
    frame = pd.DataFrame(generator.integers(0, 40, size=(400, 4)).astype(float), columns=list("abcd")) - 20
    trees = HistGradientBoostingClassifier(max_iter=20).fit(frame, frame["a"] * frame["b"] + frame["c"] > 0)
    explainer = shap.TreeExplainer(trees, frame.head(50), feature_perturbation="interventional")
    game = Explainer.of(trees, "classification", features_of(frame), frame.head(50)).game
    assert game.method == "trees: leaf by leaf"
    expected = explainer.shap_values(frame.tail(9), check_additivity=False)
    np.testing.assert_allclose(game.contributions(frame.tail(9)), expected, atol=1e-6)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 1000), leaves=st.integers(2, 20), missing=st.floats(0, 0.5))
def test_leaf_by_leaf_adds_up_for_any_trees_and_missing_values(seed, leaves, missing):
    generator = np.random.default_rng(seed)
    frame = pd.DataFrame(generator.normal(size=(120, 4)), columns=list("abcd"))
    frame["c"] = generator.integers(0, 5, 120).astype(float)
    target = frame["a"] * frame["b"] + frame["c"] ** 2
    frame = frame.mask(generator.random(frame.shape) < missing)
    model = HistGradientBoostingRegressor(
        max_iter=5, max_leaf_nodes=leaves, min_samples_leaf=3, categorical_features=[2], random_state=seed
    ).fit(frame, target)
    explainer = Explainer.of(model, "regression", features_of(frame), frame)
    assert explainer.game.method == "trees: leaf by leaf"
    margins = explainer.game.contributions(frame)
    np.testing.assert_allclose(explainer.game.base + margins.sum(axis=1), model.predict(frame), atol=1e-6)


def test_a_column_that_no_tree_uses_contributes_nothing():
    frame = pd.DataFrame({"used": np.arange(200.0), "unused": np.zeros(200)})
    model = HistGradientBoostingRegressor(max_iter=5).fit(frame, frame["used"])
    (found,) = Explainer.of(model, "regression", features_of(frame), frame).explain(frame.head(1))
    assert {part.column: part.effect for part in found.contributions}["unused"] == 0


def test_a_model_that_always_says_the_same_has_no_contributions():
    model = constant(4.0)
    frame = pd.DataFrame({"distance": [1.0, 2.0], "carrier": ["AA", None], "night": [True, False]})
    (found,) = Explainer.of(model, "regression", features_of(frame), frame).explain(frame.head(1))
    assert (found.prediction, found.base) == (4.0, 4.0)
    assert [part.effect for part in found.contributions] == [0, 0, 0]
    assert not found.exact


def test_an_estimate_is_near_the_exact_values():
    explainer = Explainer.of(flights(), "classification", FEATURES, FRAME)
    exact, estimate = explainer.game, explainer.estimate
    np.testing.assert_allclose(
        estimate.base + estimate.contributions(INPUT.head(20)).sum(axis=1),
        expit(exact.base + exact.contributions(INPUT.head(20)).sum(axis=1)),
        atol=1e-9,
    )
    largest = np.abs(estimate.contributions(INPUT.head(20))).mean(axis=0).argmax()
    assert largest == np.abs(exact.contributions(INPUT.head(20))).mean(axis=0).argmax()


def test_sums_that_are_not_the_prediction_are_replaced_by_the_estimate():
    explainer = Explainer.of(flights(), "classification", FEATURES, FRAME)
    wrong = Game("wrong", True, 0.0, lambda frame: np.zeros(frame.shape))
    broken = Explainer(explainer.model, explainer.task, explainer.features, wrong, explainer.estimate)
    (found,) = broken.explain(FRAME.head(1))
    assert (found.method, found.exact) == ("estimate: sampled orders", False)


def test_contributions_are_said_in_words():
    explainer = Explainer.of(flights(), "classification", FEATURES, FRAME)
    row = {"departure_minute": 1290.0, "airline": "B6", "origin_airport": None, "holiday": True, "destination": "D3"}
    (found,) = explainer.explain([row])
    words = dict(line.split(" = ") for line in found.words(5))
    assert words["departure_minute"].startswith("1290: +0.")
    assert words["airline"].startswith("B6: +0.")
    assert words["holiday"].startswith("true: ")
    assert words["origin_airport"].startswith("missing: ")
    assert len(found.words(2)) == 2
    assert abs(found.contributions[0].effect) >= abs(found.contributions[1].effect)
    assert Explanation.from_dict(found.to_dict()) == found


def test_no_rows_have_no_explanations():
    assert Explainer.of(flights(), "classification", FEATURES, FRAME).explain(FRAME.head(0)) == []


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="the background has no rows"):
        Explainer.of(flights(), "classification", FEATURES, FRAME.head(0))
    with pytest.raises(ValueError, match="missing columns: airline"):
        Explainer.of(flights(), "classification", FEATURES, FRAME).explain(FRAME.drop(columns="airline"))
