"""QuickScorer adds up to the last bit what walking the trees does."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor, RandomForestRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OrdinalEncoder

from include.registry.model_input import features_of, to_model_input
from include.serving.compiled.columns import Matrix, Vector
from include.serving.compiled.compile import compile_model
from include.serving.compiled.kernels import sum_of_trees
from include.serving.compiled.quickscorer import LEAVES, QuickScorer
from include.serving.compiled.trees import Trees
from tests.serving.compiled.examples import rows

RANDOM = np.random.default_rng(0)
SEEN = RANDOM.normal(size=(800, 3))
SEEN[:, 0] = RANDOM.integers(0, 12, 800)  # categories, which scikit-learn puts in front
SEEN[RANDOM.random(SEEN.shape) < 0.1] = np.nan
TARGET = np.nan_to_num(SEEN[:, 1]) * np.nan_to_num(SEEN[:, 2]) + np.nan_to_num(SEEN[:, 0]) % 5


def trees(leaves: int = 15) -> Trees:
    model = HistGradientBoostingRegressor(
        max_iter=40, max_leaf_nodes=leaves, min_samples_leaf=5, categorical_features=[0], early_stopping=False
    ).fit(SEEN, TARGET)
    return Trees.of_histograms([one for (one,) in model._predictors], float(model._baseline_prediction[0, 0]))


TREES = trees()
THRESHOLDS = [float(each) for column in (1, 2) for each in TREES.thresholds(column)]
numbers = st.one_of(st.floats(allow_nan=True, allow_infinity=True), st.sampled_from(THRESHOLDS))
codes = st.one_of(st.integers(0, 255).map(float), st.just(float("nan")))


def walked(one: Trees, matrix: Matrix) -> Vector:
    return np.asarray(sum_of_trees(one.nodes, one.roots, one.left, matrix, one.base))


@settings(deadline=None, max_examples=300)
@given(st.lists(st.tuples(codes, numbers, numbers), min_size=1, max_size=5))
def test_it_adds_what_walking_adds(given_rows: list[tuple[float, float, float]]) -> None:
    quick = TREES.quick
    assert quick is not None
    matrix = np.array(given_rows)
    expected = walked(TREES, matrix)
    assert quick.scores(matrix).tolist() == expected.tolist()
    assert [quick.score(struct.pack("3d", *row)) for row in given_rows] == expected.tolist()


@pytest.mark.parametrize("leaves", [2, LEAVES - 1, LEAVES])
def test_trees_of_as_many_leaves_as_a_set_has_bits(leaves: int) -> None:
    one = trees(leaves)
    assert one.quick is not None
    assert one.quick.scores(SEEN).tolist() == walked(one, SEEN).tolist()


def test_trees_with_more_leaves_are_walked() -> None:
    one = trees(LEAVES + 8)
    assert one.quick is None
    assert one(SEEN).tolist() == walked(one, SEEN).tolist()


def test_without_a_split_there_is_only_the_leaf() -> None:
    one = Trees.of_trees([RandomForestRegressor(1, max_depth=1).fit([[0.0], [0.0]], [2.0, 2.0]).estimators_[0].tree_])
    assert isinstance(one.quick, QuickScorer)
    assert one(np.zeros((3, 1))).tolist() == [2.0, 2.0, 2.0]


def test_one_row_and_many_rows_are_predicted_the_same() -> None:
    frame = rows()[["speed", "height", "whole"]].astype(float)
    frame["carrier"] = rows()["carrier"]
    encoder = make_column_transformer((OrdinalEncoder(), ["carrier"]), remainder="passthrough")
    model = make_pipeline(encoder, HistGradientBoostingClassifier(max_iter=20, categorical_features=[0]))
    features = features_of(frame)
    compiled = compile_model(
        model.fit(to_model_input(frame, features), np.arange(len(frame)) % 2), "classification", features
    )
    asked = list(frame.itertuples(index=False, name=None))
    assert compiled.predict(asked) == [compiled.predict([row])[0] for row in asked]
