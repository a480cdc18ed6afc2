"""What a candidate must be better than: the rate (the mean) of the labels, and a linear model without any tuning."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from include.registry.artifacts import predict
from include.training.fitting import Build, Examples, FitError, fit_unchecked, noted_warnings

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray
    from sklearn.base import BaseEstimator

    Vector = NDArray[np.float64]

CONSTANT: Final = "constant"
LINEAR: Final = "linear"

RARE = 0.01  # share of rows below which the levels of a category are taken together, so that there are 100 at most
ITERATIONS = 50


@dataclass(frozen=True)
class Baselines:
    """Predictions by baseline and frame, (rows,) each, and what is remarkable about the fits."""

    predictions: dict[str, dict[str, Vector]]
    notes: tuple[str, ...]


def baselines(examples: Examples, frames: Mapping[str, pd.DataFrame]) -> Baselines:
    """Fit ``constant`` and ``linear`` on checked examples, with their weights, and predict the named frames.

    The same rows give the same predictions. A linear model that cannot be fitted is left out, with a note: it must not
    keep a candidate from being judged.
    """
    predictions: dict[str, dict[str, Vector]] = {}
    notes: list[str] = []
    builds: dict[str, Build] = {CONSTANT: _constant, LINEAR: _linear}
    for name, build in builds.items():
        try:
            with noted_warnings() as raised:
                model = fit_unchecked(build, _kinds(examples), examples)
            predictions[name] = {frame: predict(model, examples.task, rows) for frame, rows in frames.items()}
        except FitError as error:
            if name == CONSTANT:
                raise
            notes.append(f"{name}: could not be fitted: {error}")
        else:
            notes += [f"{name}: {warning}" for warning in dict.fromkeys(raised)]
    return Baselines(predictions, tuple(notes))


def _kinds(examples: Examples) -> dict[str, Any]:
    frame = examples.frame
    categorical = [str(name) for name in frame.columns if frame[name].dtype == object]
    numeric = [str(name) for name in frame.columns if str(name) not in categorical]
    return {"task": examples.task, "numeric": numeric, "categorical": categorical}


def _constant(params: dict[str, Any]) -> BaseEstimator:
    from sklearn.dummy import DummyClassifier, DummyRegressor

    return DummyClassifier(strategy="prior") if params["task"] == "classification" else DummyRegressor()


def _linear(params: dict[str, Any]) -> BaseEstimator:
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression, Ridge
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    numeric = make_pipeline(SimpleImputer(strategy="median", add_indicator=True), StandardScaler())
    levels = OneHotEncoder(min_frequency=RARE, handle_unknown="infrequent_if_exist", sparse_output=False)
    columns = ColumnTransformer([("numeric", numeric, params["numeric"]), ("levels", levels, params["categorical"])])
    # Far more rows than columns: Newton's few steps take less time than the many of lbfgs, and end at the same place.
    classifier = LogisticRegression(solver="newton-cholesky", max_iter=ITERATIONS)
    return make_pipeline(columns, classifier if params["task"] == "classification" else Ridge(solver="cholesky"))
