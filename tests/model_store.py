"""A real MLflow store in a temporary folder, and small models for it."""

from __future__ import annotations

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator
from sklearn.compose import make_column_transformer
from sklearn.dummy import DummyRegressor
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OrdinalEncoder

from include.registry import models
from include.registry.model_input import Feature, features_of, to_model_input

FEATURES = (Feature("distance", "numeric"), Feature("carrier", "categorical"), Feature("night", "boolean"))


def training_frame(rows: int = 400, seed: int = 1) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "distance": rng.normal(1000, 300, rows),
            "carrier": rng.choice(np.array(["AA", "UA", None], dtype=object), rows),
            "night": rng.random(rows) < 0.3,
        }
    )
    frame.loc[::17, "distance"] = np.nan
    return frame


def fit_classifier(seed: int = 1) -> tuple[BaseEstimator, pd.DataFrame]:
    frame = training_frame(seed=seed)
    encoder = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    model = make_pipeline(
        make_column_transformer((encoder, ["carrier"]), remainder="passthrough"),
        HistGradientBoostingClassifier(max_iter=10, random_state=0),
    )
    labels = (frame["distance"].fillna(0) > 1000).astype(int)
    return model.fit(to_model_input(frame, features_of(frame)), labels), frame


def constant(value: float) -> BaseEstimator:
    frame = to_model_input(training_frame(10), FEATURES)
    return DummyRegressor(strategy="constant", constant=value).fit(frame, [0.0] * 10)


def start_run(use_case: str) -> str:
    import mlflow

    mlflow.set_tracking_uri(models.tracking_uri())
    client = mlflow.MlflowClient()
    experiment = client.get_experiment_by_name(use_case)
    number = experiment.experiment_id if experiment else client.create_experiment(use_case)
    return str(client.create_run(number).info.run_id)


def register_classifier(use_case: str, seed: int = 1) -> models.ModelVersion:
    model, frame = fit_classifier(seed)
    run_id = start_run(use_case)
    models.log_model(model, frame, run_id=run_id, task="classification", features=FEATURES, threshold=0.5)
    return models.register(run_id, use_case, "model", {"data_revision": f"rev-{seed}"})


def register_constant(use_case: str, value: float) -> models.ModelVersion:
    run_id = start_run(use_case)
    models.log_model(constant(value), training_frame(10), run_id=run_id, task="regression", features=FEATURES)
    return models.register(run_id, use_case, "model", {"data_revision": f"rev-{value:g}"})
