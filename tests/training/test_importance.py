"""Importance finds the columns that a model leans on, and says what it could not compute."""

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.neighbors import KNeighborsRegressor

from include.registry.model_input import features_of, to_model_input
from include.training.explanation import Explainer
from include.training.importance import Importance, importance
from tests.model_store import fit_classifier

GENERATOR = np.random.default_rng(0)
FRAME = pd.DataFrame({"useless": GENERATOR.normal(size=400), "useful": GENERATOR.normal(size=400)})
LABELS = FRAME["useful"].to_numpy() * 10
FEATURES = features_of(FRAME)
TREES = HistGradientBoostingRegressor(max_iter=20).fit(FRAME, LABELS)


def measured(model=TREES, **options):
    options = {"metric": "rmse", "explainer": Explainer.of(model, "regression", FEATURES, FRAME), **options}
    return importance(model, "regression", FEATURES, FRAME, LABELS, **options)


def test_what_the_labels_follow_comes_first():
    found = measured()
    assert [each.column for each in found.columns] == ["useful", "useless"]
    useful, useless = found.columns
    assert useful.permutation > 5
    assert abs(useless.permutation) < 0.5
    assert useful.shap > 10 * useless.shap
    assert "mean absolute contribution to the prediction over 200 rows" in found.shap


def test_measuring_twice_gives_the_same_and_it_survives_json():
    found = measured()
    assert found == measured()
    assert found != measured(seed=1)
    assert Importance.from_dict(found.to_dict()) == found


def test_a_score_that_is_better_when_higher_counts_its_fall():
    assert measured(metric="r2").columns[0].permutation > 0.5


def test_a_classifier_of_text_and_missing_values_is_measured():
    model, frame = fit_classifier()
    features = features_of(frame)
    labels = (frame["distance"].fillna(0) > 1000).astype(float)
    explainer = Explainer.of(model, "classification", features, frame)
    found = importance(model, "classification", features, frame, labels, metric="log_loss", explainer=explainer)
    assert found.columns[0].column == "distance"
    assert "log-odds" in found.shap


def test_a_model_that_cannot_be_read_has_no_shap_values():
    found = measured(KNeighborsRegressor().fit(FRAME, LABELS))
    assert found.columns[0].column == "useful"
    assert found.columns[0].shap is None
    assert found.shap == "not available: the model is neither linear nor made of trees that can be read"
    assert measured(explainer=None).shap == "not available: no explainer was given"


def test_of_many_rows_some_are_taken():
    many = pd.concat([FRAME] * 15)
    found = importance(TREES, "regression", FEATURES, many, np.tile(LABELS, 15), metric="mae", repeats=1)
    assert (found.rows, found.repeats) == (2000, 1)


def test_bad_input_is_named():
    broken = LABELS.copy()
    broken[3] = np.nan
    with pytest.raises(ValueError, match="1 of 400 labels are not finite"):
        importance(TREES, "regression", FEATURES, FRAME, broken, metric="rmse")
    with pytest.raises(ValueError, match="'log_loss' is no metric of a regression"):
        importance(TREES, "regression", FEATURES, FRAME, LABELS, metric="log_loss")
    with pytest.raises(ValueError, match="must be a vector of the 400 rows"):
        importance(TREES, "regression", FEATURES, FRAME, LABELS[:5], metric="rmse")
    with pytest.raises(ValueError, match="rmse of no rows is not defined"):
        importance(TREES, "regression", FEATURES, FRAME.head(0), [], metric="rmse")
    model, frame = fit_classifier()
    with pytest.raises(ValueError, match="only one class"):
        importance(model, "classification", features_of(frame), frame, np.zeros(len(frame)), metric="roc_auc")


def test_the_rows_are_left_as_they_were():
    before = to_model_input(FRAME, FEATURES)
    measured()
    pd.testing.assert_frame_equal(before, to_model_input(FRAME, FEATURES))
