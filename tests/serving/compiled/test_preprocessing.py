"""Every supported transformer against scikit-learn, on rows that it was not fitted on."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.compose import ColumnTransformer, make_column_selector, make_column_transformer
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.feature_selection import SelectKBest
from sklearn.impute import SimpleImputer
from sklearn.linear_model import Ridge
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    MinMaxScaler,
    OneHotEncoder,
    OrdinalEncoder,
    PolynomialFeatures,
    StandardScaler,
    TargetEncoder,
)
from sklearn.tree import DecisionTreeRegressor

from include.registry.model_input import features_of
from include.serving.compiled.columns import NotCompilable
from include.serving.compiled.compile import compile_model
from tests.serving.compiled.examples import NUMBERS, TEXTS, fitted, held, labels, rows, values

NAN = float("nan")
CODES = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)


def numbers(*steps: Any) -> Any:
    """A ridge regression on the numbers after some steps and on one-hot texts."""
    columns = make_column_transformer((make_pipeline(*steps), NUMBERS), (OneHotEncoder(handle_unknown="ignore"), TEXTS))
    return make_pipeline(columns, Ridge())


def texts(*steps: Any, last: Any = None) -> Any:
    columns = make_column_transformer((make_pipeline(*steps), TEXTS), ("passthrough", ["speed", "height"]))
    return make_pipeline(columns, last or HistGradientBoostingRegressor(max_iter=10, min_samples_leaf=3))


@pytest.mark.parametrize(
    "steps",
    [
        (SimpleImputer(), StandardScaler()),
        (SimpleImputer(strategy="median"), MinMaxScaler()),
        (SimpleImputer(strategy="most_frequent"), MinMaxScaler(feature_range=(-1, 1), clip=True)),
        (SimpleImputer(strategy="constant", fill_value=-7), StandardScaler(with_mean=False)),
        (StandardScaler(with_std=False), SimpleImputer(add_indicator=True)),
        (MinMaxScaler(), SimpleImputer(), "passthrough", StandardScaler()),
        (SimpleImputer(), None, FunctionTransformer()),
    ],
    ids=repr,
)
def test_numbers_go_through_imputers_and_scalers(steps: Any) -> None:
    held(fitted(numbers(*steps), "regression"), "regression")


@pytest.mark.parametrize(
    "steps",
    [
        (OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=NAN),),
        (OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1, encoded_missing_value=-2),),
        (OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=99, min_frequency=12),),
        (SimpleImputer(strategy="most_frequent", missing_values=None), CODES),
        (SimpleImputer(strategy="constant", fill_value="none", missing_values=None), CODES),
        (SimpleImputer(strategy="constant", fill_value="none"), CODES),
        (OneHotEncoder(handle_unknown="ignore", sparse_output=False),),
        (OneHotEncoder(handle_unknown="ignore", drop="first", sparse_output=False),),
        (OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=0.03, sparse_output=False),),
        (OneHotEncoder(handle_unknown="warn", max_categories=3, sparse_output=False),),
        (OneHotEncoder(handle_unknown="ignore", sparse_output=False), StandardScaler()),
        (CODES, SimpleImputer(), StandardScaler()),
        (CODES, OneHotEncoder(handle_unknown="ignore", sparse_output=False)),
    ],
    ids=repr,
)
def test_texts_go_through_encoders(steps: Any) -> None:
    held(fitted(texts(*steps), "regression"), "regression")


@pytest.mark.parametrize("encoder", [OneHotEncoder(), OrdinalEncoder(), OneHotEncoder(drop="if_binary")], ids=repr)
def test_what_an_encoder_refuses_is_refused_by_name(encoder: Any) -> None:
    frame = rows(missing=0.0)
    model = fitted(texts(encoder, last=Ridge()), "regression", frame)
    compiled = held(model, "regression", frame, unseen=False)
    row = list(values(frame)[0])
    place = list(frame.columns).index("place")
    for refused in ("nowhere", None):
        row[place] = refused
        with pytest.raises(ValueError, match=f"feature place: .*{type(encoder).__name__} does not take"):
            compiled.predict([row])
        with pytest.raises(ValueError, match="feature place"):
            compiled.predict([row] * 20)


@pytest.mark.parametrize(
    "encoder",
    [
        OneHotEncoder(handle_unknown="ignore"),
        OneHotEncoder(handle_unknown="ignore", min_frequency=70),
        OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1, encoded_missing_value=-5),
    ],
    ids=repr,
)
def test_numbers_can_be_categories(encoder: Any) -> None:
    columns = make_column_transformer((encoder, ["whole", "night"]), (SimpleImputer(), ["speed"]))
    compiled = held(fitted(make_pipeline(columns, Ridge()), "regression"), "regression")
    row = [10.0, "AA", 1.0, 17.5, "P1", True]  # "whole" was never 17.5
    unseen, missing = compiled.predict([row, [*row[:3], None, *row[4:]]])
    assert unseen != missing


def test_a_number_that_an_encoder_has_not_seen_is_refused_by_name() -> None:
    columns = make_column_transformer((OneHotEncoder(), ["whole"]), (SimpleImputer(), ["speed"]))
    compiled = held(fitted(make_pipeline(columns, Ridge()), "regression"), "regression")
    with pytest.raises(ValueError, match="feature whole: a value was not seen in training, which OneHotEncoder"):
        compiled.predict([[10.0, "AA", 1.0, 17.5, "P1", True]])


@pytest.mark.parametrize("threshold", [0.0, 1.0])
@pytest.mark.parametrize("remainder", ["passthrough", "drop", SimpleImputer()], ids=repr)
def test_columns_are_chosen_in_every_way(remainder: Any, threshold: float) -> None:
    columns = ColumnTransformer(
        [
            ("texts", OneHotEncoder(handle_unknown="ignore"), make_column_selector(dtype_include=object)),
            ("by place", make_pipeline(SimpleImputer(), StandardScaler()), [0, 2]),
            ("by slice", SimpleImputer(), slice(0, 1)),
            ("by mask", SimpleImputer(strategy="median"), [False, False, True, False, False, False]),
            ("one", SimpleImputer(), ["whole"]),
            ("dropped", "drop", ["carrier"]),
            ("none", StandardScaler(), []),
        ],
        remainder=remainder,
        sparse_threshold=threshold,
    )
    last = HistGradientBoostingRegressor(max_iter=8, min_samples_leaf=3)
    if threshold:
        held(fitted(make_pipeline(columns, SimpleImputer(), Ridge()), "regression"), "regression")
    else:
        held(fitted(make_pipeline(columns, last), "regression"), "regression")


def test_a_column_may_be_encoded_twice_and_column_transformers_may_be_nested() -> None:
    inner = make_column_transformer((CODES, ["carrier"]), (OneHotEncoder(handle_unknown="ignore"), ["carrier"]))
    outer = make_column_transformer(
        (inner, ["carrier"]), (CODES, ["place"]), remainder=SimpleImputer(), verbose_feature_names_out=False
    )
    held(fitted(make_pipeline(outer, StandardScaler(), Ridge()), "regression"), "regression")


def test_a_linear_model_may_see_texts_alone_and_in_another_order() -> None:
    columns = make_column_transformer((CODES, ["place", "carrier"]))
    held(fitted(make_pipeline(columns, Ridge()), "regression"), "regression")


def test_pipelines_of_data_frames_are_compiled_too() -> None:
    columns = make_column_transformer((CODES, TEXTS), remainder="passthrough").set_output(transform="pandas")
    held(fitted(make_pipeline(columns, DecisionTreeRegressor(max_depth=6)), "regression"), "regression")


def test_an_imputer_leaves_out_a_column_without_values() -> None:
    frame = rows()
    frame["whole"] = np.nan
    for keep in (False, True):
        model = fitted(numbers(SimpleImputer(keep_empty_features=keep, add_indicator=True)), "regression", frame)
        held(model, "regression", frame)


def test_what_a_scaler_refuses_is_refused_by_name() -> None:
    compiled = held(fitted(numbers(StandardScaler(), SimpleImputer()), "regression"), "regression")
    with pytest.raises(ValueError, match="feature height: a value is infinite or too large, which StandardScaler"):
        compiled.predict([[1.0, "AA", float("inf"), 1.0, "P1", True]])


class OwnScaler(StandardScaler):  # type: ignore[misc]
    """Not its parent."""


@pytest.mark.parametrize(
    ("step", "reason"),
    [
        (FunctionTransformer(np.abs), "FunctionTransformer: func"),
        (OwnScaler(), "OwnScaler: no compiled form"),
        (PolynomialFeatures(), "PolynomialFeatures: no compiled form"),
        (FeatureUnion([("scaler", StandardScaler())]), "FeatureUnion: no compiled form"),
        (SelectKBest(k=2), "SelectKBest: no compiled form"),
        (SimpleImputer(missing_values=-1), "SimpleImputer: missing_values=-1"),
    ],
    ids=str,
)
def test_other_steps_are_not_compilable(step: Any, reason: str) -> None:
    frame = rows(missing=0.0)
    model = fitted(numbers(step), "regression", frame)
    with pytest.raises(NotCompilable, match=reason):
        compile_model(model, "regression", features_of(frame))


def not_compilable(columns: Any, reason: str) -> None:
    model = fitted(make_pipeline(columns, HistGradientBoostingRegressor(max_iter=2)), "regression")
    with pytest.raises(NotCompilable, match=reason):
        compile_model(model, "regression", features_of(rows()))


def test_parameters_without_a_compiled_form_are_named() -> None:
    weighted = ColumnTransformer([("x", SimpleImputer(), ["speed"])], transformer_weights={"x": 2})
    not_compilable(weighted, "transformer_weights")
    indicator = SimpleImputer(strategy="most_frequent", missing_values=None, add_indicator=True)
    texts_only = make_column_transformer((make_pipeline(indicator, CODES), TEXTS))
    not_compilable(texts_only, "add_indicator on text")
    mixed = make_pipeline(SimpleImputer(strategy="most_frequent"), CODES)
    not_compilable(make_column_transformer((mixed, ["carrier", "speed"])), "text and numbers together")
    not_compilable(make_column_transformer((TargetEncoder(), ["carrier"])), "TargetEncoder: no compiled form")


def test_too_many_categories_are_not_compilable(monkeypatch: pytest.MonkeyPatch) -> None:
    model = fitted(texts(OneHotEncoder(handle_unknown="ignore", sparse_output=False)), "regression")
    monkeypatch.setattr("include.serving.compiled.encoders.MOST_CELLS", 100)
    with pytest.raises(NotCompilable, match=r"OneHotEncoder: 4. categories are too many"):
        compile_model(model, "regression", features_of(rows()))
    monkeypatch.undo()
    monkeypatch.setattr("include.serving.compiled.columns.MOST_CELLS", 100)
    with pytest.raises(NotCompilable, match=r"feature place: 40 categories in 4. columns are too many"):
        compile_model(model, "regression", features_of(rows()))


def test_text_that_nothing_encodes_is_not_compilable() -> None:
    frame = rows()
    model = HistGradientBoostingRegressor(max_iter=2).fit(frame[["speed", "height"]], labels(frame, "regression"))
    del model.feature_names_in_
    with pytest.raises(NotCompilable, match="text that no encoder"):
        compile_model(model, "regression", features_of(frame[["speed", "carrier"]]))
