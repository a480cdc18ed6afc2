"""Fitted models of every kind that compiles, as loaded versions and as read packages."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
from sklearn.base import BaseEstimator, clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import make_column_transformer
from sklearn.dummy import DummyRegressor
from sklearn.ensemble import (
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, OneHotEncoder, OrdinalEncoder, StandardScaler

from include.contract.use_case import Task
from include.packaging.contents import contents_of
from include.packaging.golden import golden
from include.packaging.runtime.model import Model, load
from include.registry.artifacts import Contents, predict
from include.registry.model_input import features_of, to_model_input
from include.registry.models import ModelVersion
from include.registry.predictor import Predictor
from include.serving.compiled.compile import compile_model
from tests.serving.compiled.examples import NUMBERS, TEXTS, fitted, rows

CODES = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=float("nan"))
ONE_HOT = OneHotEncoder(handle_unknown="ignore")


def trees(last: BaseEstimator) -> Any:
    """An estimator that takes missing values."""
    columns = make_column_transformer((CODES, TEXTS), remainder="passthrough", verbose_feature_names_out=False)
    return make_pipeline(columns, last)


def complete(last: BaseEstimator, scaler: BaseEstimator | None = None) -> Any:
    """An estimator that does not, on scaled numbers and on whole ones as categories."""
    numbers = make_pipeline(SimpleImputer(add_indicator=True), clone(scaler or StandardScaler()))
    whole = make_pipeline(SimpleImputer(strategy="most_frequent"), ONE_HOT)
    return make_pipeline(make_column_transformer((numbers, NUMBERS), (ONE_HOT, TEXTS), (whole, ["whole"])), last)


MODELS: dict[str, tuple[Task, Any]] = {
    "histograms with categories": (
        "classification",
        trees(HistGradientBoostingClassifier(max_iter=25, min_samples_leaf=3, categorical_features=[0, 1])),
    ),
    "histograms read as they are": (
        "classification",
        HistGradientBoostingClassifier(max_iter=15, categorical_features=["whole", *TEXTS]),
    ),
    "histograms of counts": ("regression", trees(HistGradientBoostingRegressor(max_iter=15, loss="poisson"))),
    "one leaf": ("classification", trees(HistGradientBoostingClassifier(max_iter=2, min_samples_leaf=400))),
    "forest": ("classification", trees(RandomForestClassifier(20, random_state=0))),
    "forest of values": ("regression", trees(RandomForestRegressor(8, random_state=0))),
    "boosted": ("classification", complete(GradientBoostingClassifier(n_estimators=12, random_state=0))),
    "boosted exponentially": (
        "classification",
        complete(GradientBoostingClassifier(n_estimators=12, loss="exponential", random_state=0)),
    ),
    "logistic": ("classification", complete(LogisticRegression())),
    "linear": ("regression", complete(LinearRegression(), MinMaxScaler(clip=True))),
    "constant": ("regression", complete(DummyRegressor())),
    "calibrated by a sigmoid": (
        "classification",
        CalibratedClassifierCV(trees(HistGradientBoostingClassifier(max_iter=10)), method="sigmoid", cv=3),
    ),
    "calibrated by steps": (
        "classification",
        CalibratedClassifierCV(complete(LogisticRegression()), method="isotonic", cv=3),
    ),
}


def loaded(model: BaseEstimator, task: Task, known: pd.DataFrame) -> Predictor:
    """A fitted model as the registry loads one."""
    features = features_of(known)
    example = to_model_input(known.head(1), features)
    contents = Contents(
        format="skops",
        format_reason="",
        task=task,
        threshold=0.4 if task == "classification" else None,
        features=features,
        categorical=tuple(TEXTS),
        python="3.11",
        libraries={},
        example={name: example[name].tolist()[0] for name in example.columns},
        example_prediction=float(predict(model, task, example)[0]),
        digest="d" * 64,
        metadata={},
    )
    version = ModelVersion("trips", 3, "run-3", "d" * 64, tuple(f.name for f in features), "rev-3", {})
    return Predictor(version, model, contents)


def predictor_of(name: str) -> Predictor:
    task, model = MODELS[name]
    return loaded(fitted(clone(model), task), task, rows())


def files_of(predictor: Predictor, card: bytes | None = None) -> dict[str, bytes]:
    compiled = compile_model(predictor.model, predictor.task, predictor.features)
    return contents_of(predictor, compiled, golden(predictor, compiled), card)


def packaged(predictor: Predictor, folder: Path, card: bytes | None = None) -> Model:
    """The package's content written to a folder and read again."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files_of(predictor, card).items():
        (folder / name).write_bytes(content)
    return load(folder)
