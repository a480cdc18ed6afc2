"""A calibrated model says probabilities that hold, and is saved and read like any other."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import PredefinedSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OrdinalEncoder, StandardScaler
from sklearn.svm import LinearSVC

from include.registry import artifacts, canonical
from include.registry.model_input import features_of, to_model_input
from include.training.calibration import Method, Scores, calibrate, out_of_fold, score
from include.training.fitting import Examples, FitError
from include.training.folds import Fold, rolling_origin

METHODS: list[Method] = ["sigmoid", "isotonic"]
DAY = timedelta(days=1)


class Odd(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Has a probability as its only feature, and answers with a power of it: the order is right, the values are not."""

    def __init__(self, power: float = 2.0) -> None:
        self.power = power

    def fit(self, X: Any, y: Any) -> Odd:
        self.classes_ = np.unique(y)
        return self

    def predict_proba(self, X: Any) -> Any:
        answered = np.asarray(X)[:, 0] ** self.power
        return np.column_stack([1 - answered, answered])


def history(seed: int = 0, count: int = 3000) -> tuple[Examples, list[Fold]]:
    """Labels that happen with the probability that is the feature."""
    generator = np.random.default_rng(seed)
    days = np.sort(generator.integers(0, 60, count))
    start = datetime(2013, 1, 1, tzinfo=UTC)
    times = pl.Series([start + int(day) * DAY for day in days], dtype=pl.Datetime("us", "UTC"))
    frame = pd.DataFrame({"chance": generator.random(count), "kind": generator.choice(["a", "b"], count)})
    labels = (generator.random(count) < frame["chance"]).astype(float).to_numpy()
    return Examples("classification", frame, labels), rolling_origin(times, times + DAY, 3, 10 * DAY)


def trees(params: dict[str, Any]) -> Any:
    encoder = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    columns = make_column_transformer((encoder, ["kind"]), remainder="passthrough")
    return make_pipeline(columns, HistGradientBoostingClassifier(max_iter=20, random_state=0))


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), method=st.sampled_from(METHODS), scale=st.sampled_from([0.01, 1.0, 1000.0]))
def test_the_higher_the_score_the_higher_the_probability(seed: int, method: Method, scale: float) -> None:
    generator = np.random.default_rng(seed)
    values = generator.normal(size=80) * scale
    labels = (values / scale + generator.normal(size=80) > 0).astype(float)
    model = LogisticRegression().fit(values[:, None], labels)
    calibrated = calibrate(model, method, Scores(score(model, values[:, None]), labels, None))
    anything = np.sort(generator.normal(size=200) * scale * 5)[:, None]
    probabilities = calibrated.predict_proba(anything)
    assert np.all(np.diff(probabilities[:, 1]) >= 0)
    assert np.all((probabilities >= 0) & (probabilities <= 1))
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 10_000), power=st.sampled_from([0.3, 2.0, 4.0]), method=st.sampled_from(METHODS))
def test_wrong_probabilities_are_put_right_on_later_data(seed: int, power: float, method: Method) -> None:
    examples, folds = history(seed)
    later, _ = history(seed + 1)
    build = lambda params: Odd(params["power"])  # noqa: E731
    scores = out_of_fold(build, {"power": power}, examples, folds)
    model = Odd(power).fit(examples.frame[["chance"]], examples.target)
    calibrated = calibrate(model, method, scores)
    losses = [log_loss(later.labels, each.predict_proba(later.frame[["chance"]])) for each in (model, calibrated)]
    assert losses[1] < losses[0]


def test_scores_are_of_rows_that_their_model_had_not_learned_from() -> None:
    class Remembers(Odd):
        def fit(self, X: Any, y: Any) -> Remembers:
            self.learned_ = set(X.index)
            return super().fit(X, y)  # type: ignore[return-value]

        def predict_proba(self, X: Any) -> Any:
            assert not self.learned_ & set(X.index)
            return super().predict_proba(X)

    examples, folds = history()
    weights = np.arange(len(examples), dtype=float)
    examples = Examples("classification", examples.frame, examples.labels, weights)
    plain = Examples("classification", examples.frame, examples.labels)
    scores = out_of_fold(lambda params: Remembers(), {}, plain, folds)
    judged = np.concatenate([fold.judge for fold in folds])
    np.testing.assert_allclose(scores.values, examples.frame["chance"].to_numpy()[judged] ** 2)
    np.testing.assert_array_equal(scores.labels, examples.labels[judged])
    assert scores.weights is None
    weighted = out_of_fold(lambda params: LogisticRegression(), {}, _numeric(examples), folds).weights
    assert weighted is not None
    np.testing.assert_array_equal(weighted, weights[judged])


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("build", [trees, lambda params: make_pipeline(StandardScaler(), LogisticRegression())])
def test_a_calibrated_model_is_saved_as_skops_and_predicts_the_same(tmp_path: Path, method: Method, build: Any) -> None:
    examples, folds = history()
    if build is not trees:
        examples = _numeric(examples)
    features = features_of(examples.frame)
    frame = to_model_input(examples.frame, features)
    models = [
        calibrate(build({}).fit(frame, examples.target), method, out_of_fold(build, {}, examples, folds))
        for _ in range(2)
    ]
    digest = artifacts.save_model(
        models[0], tmp_path / "model", task="classification", features=features, example=frame, threshold=0.3
    )
    loaded, contents = artifacts.load_model(tmp_path / "model", digest)
    assert contents.format == "skops"
    predictions = [artifacts.predict(model, "classification", frame) for model in (models[0], loaded)]
    np.testing.assert_array_equal(*predictions)
    assert list(models[0].classes_) == [0, 1]
    assert list(loaded.feature_names_in_) == list(frame.columns)
    assert canonical.dumps(models[0]) == canonical.dumps(models[1])


@pytest.mark.filterwarnings("ignore:Since FrozenEstimator does not appear to accept sample_weight")
@pytest.mark.parametrize("build", [LogisticRegression, lambda: RandomForestClassifier(20, random_state=0), LinearSVC])
def test_the_result_is_what_scikit_learn_makes_of_the_same_scores(build: Any) -> None:
    examples = _numeric(history(count=1200)[0])
    half = len(examples) // 2
    model = build().fit(examples.frame[:half], examples.target[:half])
    judged, labels = examples.frame[half:], examples.labels[half:]
    weights = np.random.default_rng(0).random(half)
    whole = PredefinedSplit(np.zeros(half))
    theirs = CalibratedClassifierCV(FrozenEstimator(model), method="sigmoid", cv=whole)
    theirs.fit(judged, examples.target[half:], sample_weight=weights)
    ours = calibrate(model, "sigmoid", Scores(score(model, judged), labels, weights))
    np.testing.assert_allclose(ours.predict_proba(judged), theirs.predict_proba(judged), atol=1e-9)
    np.testing.assert_array_equal(ours.predict(judged), theirs.predict(judged))
    assert vars(ours).keys() == vars(theirs).keys()
    assert type(ours.estimator) is type(theirs.estimator)
    (pair,), (their_pair,) = ours.calibrated_classifiers_, theirs.calibrated_classifiers_
    assert vars(pair).keys() == vars(their_pair).keys()
    assert [type(each) for each in pair.calibrators] == [type(each) for each in their_pair.calibrators]


def test_isotonic_steps_are_those_of_scikit_learn_kept_off_the_ends() -> None:
    examples = _numeric(history(count=1200)[0])
    model = LogisticRegression().fit(examples.frame, examples.target)
    theirs = CalibratedClassifierCV(FrozenEstimator(model), method="isotonic").fit(examples.frame, examples.target)
    ours = calibrate(model, "isotonic", Scores(score(model, examples.frame), examples.labels, None))
    positives = int(examples.labels.sum())
    low, high = 1 / (len(examples) - positives + 2), (positives + 1) / (positives + 2)
    expected = np.clip(theirs.predict_proba(examples.frame)[:, 1], low, high)
    np.testing.assert_allclose(ours.predict_proba(examples.frame)[:, 1], expected, atol=1e-9)


@pytest.mark.parametrize("method", METHODS)
def test_a_model_that_separates_perfectly_is_never_sure(method: Method) -> None:
    labels = np.r_[np.zeros(50), np.ones(50)]
    values = np.arange(100.0)[:, None]
    model = LogisticRegression().fit(values, labels)
    probabilities = calibrate(model, method, Scores(score(model, values), labels, None)).predict_proba(values)
    assert probabilities.min() > 0 and probabilities.max() < 1


def test_scores_that_fall_where_labels_rise_are_refused() -> None:
    values = np.arange(100.0)
    labels = (values < 50).astype(float)
    model = LogisticRegression().fit(values[:, None], 1 - labels)
    with pytest.raises(FitError, match=r"LogisticRegression: the higher its score on the folds.*calibration: none"):
        calibrate(model, "sigmoid", Scores(values, labels, None))
    rates = calibrate(model, "isotonic", Scores(values, labels, None)).predict_proba(values[:, None])[:, 1]
    np.testing.assert_allclose(rates, 0.5)  # steps that may not fall are flat


def test_scores_that_are_no_numbers_are_refused() -> None:
    model = LogisticRegression().fit([[0.0], [1.0]], [0, 1])
    with pytest.raises(FitError, match="1 of 2 scores are no finite numbers"):
        calibrate(model, "sigmoid", Scores(np.array([0.0, np.nan]), np.array([0.0, 1.0]), None))


def test_labels_of_one_class_are_refused() -> None:
    model = LogisticRegression().fit([[0.0], [1.0]], [0, 1])
    with pytest.raises(FitError, match=r"all 2 labels on the folds are of one class; .*training\.window"):
        calibrate(model, "isotonic", Scores(np.array([0.0, 1.0]), np.ones(2), None))


def test_a_model_without_scores_is_refused() -> None:
    class Silent(BaseEstimator):  # type: ignore[misc]
        pass

    with pytest.raises(FitError, match="Silent has neither decision_function nor predict_proba"):
        score(Silent(), pd.DataFrame())


def test_a_fit_that_fails_on_a_fold_is_named() -> None:
    examples, folds = history()
    with pytest.raises(FitError, match=r"LogisticRegression with {} on .* rows of 2 features: ValueError"):
        out_of_fold(lambda params: LogisticRegression(), {}, examples, folds)  # text cannot be learned from


def _numeric(examples: Examples) -> Examples:
    return Examples("classification", examples.frame[["chance"]], examples.labels, examples.weights)
