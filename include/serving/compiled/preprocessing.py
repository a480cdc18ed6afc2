"""scikit-learn's column-wise transformers, walked through as operations on columns."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer, MinMaxScaler, OneHotEncoder, OrdinalEncoder, StandardScaler

from include.serving.compiled.columns import Column, Encoded, NotCompilable, Op, TextColumn
from include.serving.compiled.encoders import encoded
from include.serving.compiled.kernels import Code


def transformed(step: Any, given: Encoded) -> Encoded:
    """The columns after a fitted transformer, or ``NotCompilable``; a subclass is not its parent."""
    if step is None or step == "passthrough":
        return given
    compiler = _STEPS.get(type(step))
    if compiler is None:
        raise NotCompilable(f"{type(step).__name__}: no compiled form is known")
    seen = getattr(step, "n_features_in_", len(given.columns))
    if seen != len(given.columns):
        raise NotCompilable(f"{type(step).__name__}: fitted on {seen} columns, given {len(given.columns)}")
    return compiler(step, given)


def _pipeline(step: Any, given: Encoded) -> Encoded:
    for _, inner in step.steps:
        given = transformed(inner, given)
    return given


def _column_transformer(step: Any, given: Encoded) -> Encoded:
    if step.transformer_weights:
        raise NotCompilable("ColumnTransformer: transformer_weights")
    columns: list[Column | TextColumn] = []
    for name, inner, _ in step.transformers_:
        chosen = step._transformer_to_input_indices[name]  # names, slices, masks and callables are resolved here
        if len(chosen) and not (isinstance(inner, str) and inner == "drop"):
            columns += transformed(inner, Encoded(tuple(given.columns[at] for at in chosen), given.sparse)).columns
    return Encoded(tuple(columns), bool(step.sparse_output_))


def _function(step: Any, given: Encoded) -> Encoded:
    if step.func is not None or step.validate:
        raise NotCompilable("FunctionTransformer: func is code of its own" if step.func else "FunctionTransformer")
    return given  # what a fitted ColumnTransformer puts in the place of "passthrough"


def _standard_scaler(step: Any, given: Encoded) -> Encoded:
    columns = []
    for at, column in enumerate(given.numbers("StandardScaler")):
        ops = [Op(Code.NO_INFINITY, who="StandardScaler")]
        if step.with_mean:
            ops.append(Op(Code.SUBTRACT, float(step.mean_[at])))
        if step.with_std:
            scale = float(step.scale_[at])
            ops.append(Op(Code.MULTIPLY, 1 / scale) if given.sparse else Op(Code.DIVIDE, scale))
        columns.append(column.then(*ops))
    return Encoded(tuple(columns), given.sparse)


def _min_max_scaler(step: Any, given: Encoded) -> Encoded:
    low, high = step.feature_range
    clip = [Op(Code.CLIP, float(low), float(high))] if step.clip else []
    return Encoded(
        tuple(
            column.then(
                Op(Code.NO_INFINITY, who="MinMaxScaler"),
                Op(Code.MULTIPLY, float(step.scale_[at])),
                Op(Code.ADD, float(step.min_[at])),
                *clip,
            )
            for at, column in enumerate(given.numbers("MinMaxScaler"))
        )
    )


def _simple_imputer(step: Any, given: Encoded) -> Encoded:
    kept = [
        at
        for at, value in enumerate(step.statistics_)
        if step.keep_empty_features or not (isinstance(value, float) and np.isnan(value))
    ]
    texts = [column for column in given.columns if isinstance(column, TextColumn)]
    if texts:
        if len(texts) < len(given.columns):
            raise NotCompilable("SimpleImputer: text and numbers together; impute them apart")
        if step.add_indicator:
            raise NotCompilable("SimpleImputer: add_indicator on text")
        if len(kept) < len(texts):
            raise NotCompilable("SimpleImputer: a column of text without any value")
        return Encoded(
            tuple(TextColumn(each.feature, (*each.imputers, (step, at))) for at, each in enumerate(texts)), given.sparse
        )
    if not (isinstance(step.missing_values, float) and np.isnan(step.missing_values)):
        raise NotCompilable(f"SimpleImputer: missing_values={step.missing_values!r}, not NaN")
    finite = Op(Code.NO_INFINITY, who="SimpleImputer")
    numbers = given.numbers("SimpleImputer")
    columns = [numbers[at].then(finite, Op(Code.FILL, float(step.statistics_[at]))) for at in kept]
    if step.add_indicator:
        columns += [numbers[int(at)].then(finite, Op(Code.IS_MISSING)) for at in step.indicator_.features_]
    return Encoded(tuple(columns), given.sparse)


def _encoder(step: Any, given: Encoded) -> Encoded:
    columns = [column for at, each in enumerate(given.columns) for column in encoded(step, at, each)]
    return Encoded(tuple(columns), bool(getattr(step, "sparse_output", False)))


_STEPS: Mapping[type, Callable[[Any, Encoded], Encoded]] = {
    Pipeline: _pipeline,
    ColumnTransformer: _column_transformer,
    FunctionTransformer: _function,
    StandardScaler: _standard_scaler,
    MinMaxScaler: _min_max_scaler,
    SimpleImputer: _simple_imputer,
    OrdinalEncoder: _encoder,
    OneHotEncoder: _encoder,
}
