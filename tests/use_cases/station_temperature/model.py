"""A ridge regression on what was just measured."""

from typing import Any

from sklearn.base import BaseEstimator
from sklearn.compose import make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler


def build(params: dict[str, Any]) -> BaseEstimator:
    numeric = make_pipeline(SimpleImputer(), StandardScaler())
    columns = make_column_transformer(
        (numeric, ["temp", "dewp", "pressure", "hour", "temp_mean"]),
        (OneHotEncoder(handle_unknown="ignore"), ["season"]),
    )
    return make_pipeline(columns, Ridge(alpha=params["alpha"], random_state=params["seed"]))
