"""The estimator: gradient-boosted trees over the feature service's columns."""

from __future__ import annotations

from typing import Any

from sklearn.base import BaseEstimator
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OrdinalEncoder

CATEGORICAL = ["airline", "origin_airport", "destination"]

# Hundreds of flights share a day's weather and rates, so that there are far fewer independent examples than rows: small
# trees with many rows a leaf, and a third of the features at each split. Chosen on Jan 29 - Feb 11, Feb 12-25, May, and
# August with September, each after a fit on what came before it.
DEFAULTS: dict[str, Any] = {
    "learning_rate": 0.04,
    "max_iter": 200,
    "max_leaf_nodes": 15,
    "min_samples_leaf": 100,
    "l2_regularization": 50.0,
    "max_features": 0.3,
}


def build(params: dict[str, Any]) -> BaseEstimator:
    """An unfitted classifier of a DataFrame. ``params``: any of ``DEFAULTS``, and ``seed``.

    A category that was not seen in training counts as missing; missing numbers stay missing, the trees handle them.
    """
    chosen = {**DEFAULTS, **params}
    seed = chosen.pop("seed", 0)
    unknown = sorted(set(chosen) - set(DEFAULTS))
    if unknown:
        raise ValueError(f"unknown parameters {', '.join(unknown)}; known are seed, {', '.join(DEFAULTS)}")
    encoder = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=float("nan"))
    columns = ColumnTransformer(
        [("categorical", encoder, CATEGORICAL)], remainder="passthrough", verbose_feature_names_out=False
    )
    trees = HistGradientBoostingClassifier(
        **chosen, categorical_features=list(range(len(CATEGORICAL))), early_stopping=False, random_state=seed
    )
    return Pipeline([("columns", columns), ("trees", trees)])
