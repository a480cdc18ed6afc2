"""The rows that a package is checked by where it is installed, with what scikit-learn predicts for them."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from include.packaging.runtime.inputs import fits
from include.registry.model_input import Feature
from include.registry.predictor import Predictor
from include.serving.compiled.compile import Compiled
from include.serving.compiled.verification import Row, made

EACH = 8  # rows of each thing that is tried


def golden(predictor: Predictor, compiled: Compiled) -> tuple[list[dict[str, Any]], list[float]]:
    """Rows and predictions, made from the model's own example, so that equal models have equal ones.

    Missing values, texts that were never seen, every category and numbers at the model's thresholds are among them,
    where the pipeline takes them.
    """
    rows = list(_rows(predictor, compiled))
    found = [(row, value) for row, value in zip(rows, _predicted(predictor, rows), strict=True) if math.isfinite(value)]
    return [row for row, _ in found], [value for _, value in found]


def _predicted(predictor: Predictor, rows: Sequence[Mapping[str, Any]]) -> list[float]:
    """What the pipeline predicts; NaN for a row that it does not take, as the package does not."""
    import pandas as pd

    try:
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of unknown categories
            return [float(value) for value in predictor.predict(pd.DataFrame(rows, dtype=object))]
    except ValueError:
        if len(rows) == 1:
            return [math.nan]
        half = len(rows) // 2  # few are refused, if any
        return _predicted(predictor, rows[:half]) + _predicted(predictor, rows[half:])


def _rows(predictor: Predictor, compiled: Compiled) -> Iterator[dict[str, Any]]:
    features = predictor.features
    example: Row = tuple(predictor.contents.example[feature.name] for feature in features)
    for _, some in [("the example", [example]), *made(compiled, [example])]:
        taken = [row for each in some if (row := _as_given(each, features)) is not None]
        for at in np.unique(np.linspace(0, len(taken) - 1, min(len(taken), EACH)).astype(np.int64)):
            yield taken[int(at)]


def _as_given(row: Row, features: tuple[Feature, ...]) -> dict[str, Any] | None:
    """The row as a caller has it, whose booleans are no numbers; None for values that no caller may give."""
    found: Mapping[str, Any] = dict(zip((feature.name for feature in features), row, strict=True))
    for feature in features:
        value = found[feature.name]
        if isinstance(value, float) and np.isnan(value):
            value = None
        if feature.kind == "boolean" and value in (0.0, 1.0):
            value = bool(value)
        if not fits(value, feature.kind):
            return None
        found = {**found, feature.name: value}
    return dict(found)
