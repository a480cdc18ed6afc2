"""What cannot be learned from is refused by name; what can is fitted as the author wrote it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import psutil
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from include.training.fitting import Examples, FitError, check, fit, name_of, weights_of

ROWS = 200


def examples(weights: np.ndarray | None = None, **columns: Any) -> Examples:
    generator = np.random.default_rng(0)
    signal = generator.normal(size=ROWS)
    labels = (signal + generator.normal(size=ROWS) > 0).astype(float)
    frame = pd.DataFrame({"signal": signal, "noise": generator.normal(size=ROWS), **columns})
    return Examples("classification", frame, labels, weights)


def labelled(labels: list[float] | np.ndarray, task: Any = "classification") -> Examples:
    whole = examples()
    return Examples(task, whole.frame, np.asarray(labels, dtype=float))


def logistic(params: dict[str, Any]) -> Any:
    return make_pipeline(StandardScaler(), LogisticRegression(**params))


def test_a_fit_tells_what_it_took() -> None:
    fitted = fit(logistic, {"C": 0.5}, examples())
    assert fitted.model.predict_proba(examples().frame).shape == (ROWS, 2)
    assert fitted.seconds > 0
    assert fitted.warnings == ()


def test_the_peak_holds_what_the_fit_allocated() -> None:
    class Hungry(LogisticRegression):  # type: ignore[misc]
        def fit(self, X: Any, y: Any) -> Any:
            self.eaten_ = np.ones(40 * 2**20)  # 320 MiB
            del self.eaten_
            return super().fit(X, y)

    before = psutil.Process().memory_info().rss / 2**20
    assert fit(lambda params: Hungry(), {}, examples()).peak > before + 300


@pytest.mark.parametrize(
    "build",
    [
        lambda params: HistGradientBoostingClassifier(max_iter=5),
        logistic,
        lambda params: make_pipeline(StandardScaler(), make_pipeline(StandardScaler(), LogisticRegression())),
    ],
)
def test_weights_reach_the_last_step(build: Any) -> None:
    heavy = np.where(examples().frame["noise"] > 0, 5.0, 1.0)
    weighted = fit(build, {}, examples(heavy)).model.predict_proba(examples().frame)
    plain = fit(build, {}, examples()).model.predict_proba(examples().frame)
    alike = fit(build, {}, examples(np.ones(ROWS))).model.predict_proba(examples().frame)
    assert not np.allclose(weighted, plain)
    np.testing.assert_allclose(alike, plain)


@settings(max_examples=10, deadline=None)
@given(st.lists(st.integers(0, 3), min_size=ROWS, max_size=ROWS))
def test_a_whole_weight_is_as_many_rows(counts: list[int]) -> None:
    whole = examples()
    labels = whole.frame["signal"].to_numpy() * 2 + whole.labels
    weighted = Examples("regression", whole.frame, labels, np.array(counts, dtype=float))
    if not any(counts):
        return
    repeated = Examples("regression", whole.frame, labels).take(np.repeat(np.arange(ROWS), counts))
    models = [fit(lambda params: Ridge(alpha=1.0), {}, rows).model for rows in (weighted, repeated)]
    np.testing.assert_allclose(models[0].coef_, models[1].coef_, atol=1e-8)


def test_an_estimator_without_weights_is_refused_by_name() -> None:
    with pytest.raises(FitError, match=r"KNeighborsClassifier takes no sample_weight.*weights\(\)"):
        fit(lambda params: KNeighborsClassifier(), {}, examples(np.ones(ROWS)))
    with pytest.raises(FitError, match="KNeighborsClassifier takes no sample_weight"):
        fit(lambda params: make_pipeline(StandardScaler(), KNeighborsClassifier()), {}, examples(np.ones(ROWS)))


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (np.ones(3), r"one number for each of 200 rows, got shape \(3,\)"),
        (np.full(ROWS, np.nan), "200 of 200 weights are negative or no finite"),
        (np.r_[np.ones(ROWS - 1), np.inf], "1 of 200 weights"),
        (np.r_[np.ones(ROWS - 1), -1], "1 of 200 weights"),
        (np.zeros(ROWS), "all 200 weights are 0"),
    ],
)
def test_bad_weights_are_refused(weights: np.ndarray, message: str) -> None:
    with pytest.raises(FitError, match=message):
        fit(logistic, {}, examples(weights))
    with pytest.raises(FitError, match=message):
        weights_of(SimpleNamespace(weights=lambda rows: weights), pl.DataFrame({"label": examples().labels}))


def test_weights_come_from_the_author_where_there_are_any() -> None:
    rows = pl.DataFrame({"signal": [1.0, 2.0]})
    assert weights_of(SimpleNamespace(build=logistic), rows) is None  # type: ignore[arg-type]
    given_ = weights_of(SimpleNamespace(weights=lambda rows: rows["signal"] * 2), rows)  # type: ignore[arg-type]
    assert given_ is not None and given_.tolist() == [2.0, 4.0]
    with pytest.raises(FitError, match=r"weights\(\) raised ColumnNotFoundError.*day"):
        weights_of(SimpleNamespace(weights=lambda rows: rows["day"]), rows)  # type: ignore[arg-type]


def test_rows_that_count_must_be_of_two_classes() -> None:
    with pytest.raises(FitError, match="are 1, so that there is nothing to tell apart"):
        fit(logistic, {}, examples(examples().labels))


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.full(ROWS, np.nan), "200 of 200 labels are no finite numbers"),
        (np.r_[np.zeros(ROWS - 1), np.inf], "1 of 200 labels are no finite numbers"),
        (np.ones(ROWS), "all 200 labels are 1"),
        (np.arange(ROWS), "labels of a classification are 0 and 1, found 2"),
        (np.zeros(3), "3 labels for 200 rows"),
    ],
)
def test_bad_labels_are_refused(labels: np.ndarray, message: str) -> None:
    with pytest.raises(FitError, match=message):
        fit(logistic, {}, labelled(labels))


def test_no_rows_are_refused() -> None:
    with pytest.raises(FitError, match="at least one row"):
        fit(logistic, {}, Examples("regression", pd.DataFrame({"signal": []}), np.array([])))


def test_features_without_any_value_are_named() -> None:
    empty = {"wind": np.nan, "gate": np.full(ROWS, None, dtype=object)}
    with pytest.raises(FitError, match=r"no row has a value of wind, gate; .*feature service"):
        check(examples(**empty))


def test_constant_features_are_remarked_on() -> None:
    fitted = fit(lambda params: HistGradientBoostingClassifier(max_iter=2), {}, examples(season=1.0))
    assert fitted.warnings == ("constant feature, nothing can be learned from it: season",)
    sometimes = np.where(np.arange(ROWS) < 5, 1.0, np.nan)  # that it is missing may mean something
    assert check(examples(gauge=sometimes)) == []


def test_an_estimator_that_raises_is_named_with_its_params_and_rows() -> None:
    with pytest.raises(
        FitError, match=r"Pipeline\(LogisticRegression\) with \{'C': -1\} on 200 rows of 2 features: "
    ) as caught:
        fit(logistic, {"C": -1}, examples())
    assert isinstance(caught.value.__cause__, ValueError)
    with pytest.raises(FitError, match="contains NaN") as caught:
        fit(logistic, {}, examples(gaps=np.where(np.arange(ROWS) % 7, 1.0, np.nan)))


def test_too_little_memory_says_what_to_do() -> None:
    class Greedy(LogisticRegression):  # type: ignore[misc]
        def fit(self, X: Any, y: Any) -> Any:
            return np.empty(2**55)

    with pytest.raises(FitError, match=r"Unable to allocate.*training\.window"):
        fit(lambda params: Greedy(), {}, examples())


def test_a_build_that_raises_or_gives_no_estimator_is_named() -> None:
    with pytest.raises(FitError, match=r"build\(\{'depth': 3\}\) raised TypeError"):
        fit(logistic, {"depth": 3}, examples())
    with pytest.raises(FitError, match=r"build\(\) gave NoneType, which has no fit"):
        fit(lambda params: None, {}, examples())  # type: ignore[arg-type,return-value]


def test_warnings_of_the_estimator_are_kept() -> None:
    build = lambda params: make_pipeline(StandardScaler(), MLPRegressor(max_iter=2, random_state=0))  # noqa: E731
    (warning,) = fit(build, {}, Examples("regression", examples().frame, examples().labels)).warnings
    assert warning.startswith("ConvergenceWarning")


def test_a_transformer_in_front_is_no_hindrance() -> None:
    kinds = np.where(np.arange(ROWS) % 2, "a", "b").astype(object)
    columns = make_column_transformer((OneHotEncoder(), ["kind"]), (SimpleImputer(), ["signal"]))
    fitted = fit(lambda params: make_pipeline(columns, LogisticRegression()), {}, examples(np.ones(ROWS), kind=kinds))
    assert name_of(fitted.model) == "Pipeline(LogisticRegression)"
