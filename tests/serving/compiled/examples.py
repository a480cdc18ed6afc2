"""Random rows of every kind of feature, and what holds a compiled model to its pipeline."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd

from include.contract.use_case import Task
from include.registry.artifacts import predict
from include.registry.model_input import features_of, to_model_input
from include.serving.compiled.compile import Compiled, compile_model

NUMBERS = ["speed", "height", "whole", "night"]
TEXTS = ["carrier", "place"]
PLACES = [f"P{number}" for number in range(40)]


def rows(seed: int = 0, count: int = 400, missing: float = 0.08) -> pd.DataFrame:
    """Numbers of two shapes, whole numbers, booleans, and texts of few and many categories; some missing."""
    random = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "speed": random.normal(10, 3, count),
            "carrier": random.choice(["AA", "B6", "UA", "ZZ"], count, p=[0.5, 0.3, 0.19, 0.01]).astype(object),
            "height": random.lognormal(8, 2, count),
            "whole": random.integers(0, 6, count).astype(float),
            "place": random.choice(PLACES, count).astype(object),
            "night": random.choice([True, False], count).astype(object),
        }
    )
    return frame.mask(random.random(frame.shape) < missing) if missing else frame


def labels(frame: pd.DataFrame, task: Task = "classification") -> Any:
    random = np.random.default_rng(1)
    height = pd.to_numeric(frame["height"]).fillna(1000.0)
    score = pd.to_numeric(frame["speed"]).fillna(10.0) + 2 * (frame["carrier"] == "UA") + np.log(height)
    score = score.to_numpy() + random.normal(size=len(frame))
    return np.exp(score / 10) if task == "regression" else (score > np.median(score)).astype(int)


def fitted(model: Any, task: Task = "classification", frame: pd.DataFrame | None = None) -> Any:
    known = rows() if frame is None else frame
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return model.fit(to_model_input(known, features_of(known)), labels(known, task))


def values(frame: pd.DataFrame) -> list[tuple[Any, ...]]:
    """The rows as JSON has them."""
    return list(frame.astype(object).where(frame.notna(), None).itertuples(index=False, name=None))


def held(
    model: Any, task: Task = "classification", frame: pd.DataFrame | None = None, *, unseen: bool = True
) -> Compiled:
    """The compiled form of a fitted model, after it predicted as the pipeline does for other rows.

    ``unseen``: with a text among them that the model was not fitted on.
    """
    known = rows() if frame is None else frame
    compiled = compile_model(model, task, features_of(known))
    new = rows(seed=7, missing=0.15 if known.isna().to_numpy().any() else 0.0)[list(known.columns)]
    if unseen and "place" in new:
        new.loc[new.index[:5], "place"] = "nowhere"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = predict(model, task, to_model_input(new, compiled.features))
    assert np.ptp(expected) > 0 or "Dummy" in repr(model)
    one_by_one = [compiled.predict([row])[0] for row in values(new)[:40]]
    np.testing.assert_allclose(one_by_one, expected[:40], rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(compiled.predict(values(new)), expected, rtol=1e-9, atol=1e-9)
    columns = [new[name].to_numpy() for name in new.columns]
    np.testing.assert_allclose(compiled.predict_columns(columns), expected, rtol=1e-9, atol=1e-9)
    return compiled
