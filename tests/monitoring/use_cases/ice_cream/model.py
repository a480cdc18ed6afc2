"""A ridge regression."""

from typing import Any

from sklearn.base import BaseEstimator
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler


def build(params: dict[str, Any]) -> BaseEstimator:
    return make_pipeline(StandardScaler(), Ridge(alpha=params["alpha"], random_state=params["seed"]))
