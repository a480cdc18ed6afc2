"""The flights' estimator takes what the feature service gives, also what it has never seen."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pandas as pd
import pytest

from include.contract.loading import Folder


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    draw = np.random.default_rng(0)
    rows = 600
    return pd.DataFrame(
        {
            "distance": draw.integers(100, 2500, rows).astype(float),
            "airline": draw.choice(["UA", "B6", "EV"], rows).astype(object),
            "origin_airport": draw.choice(["EWR", "JFK", "LGA"], rows).astype(object),
            "destination": draw.choice([f"D{n:02}" for n in range(90)], rows).astype(object),
            "tail_last_delay": np.where(draw.random(rows) < 0.3, np.nan, draw.normal(5, 30, rows)),
        }
    )


@pytest.fixture(scope="module")
def fitted(flight_delay: Folder, frame: pd.DataFrame) -> Any:
    model: Any = flight_delay.model.build({"seed": 1, "max_iter": 20, "min_samples_leaf": 20})
    return model.fit(frame, labels(frame))


def labels(frame: pd.DataFrame) -> Any:
    return ((frame["airline"] == "EV") | (frame["tail_last_delay"].fillna(0) > 30)).astype(int).to_numpy()


def test_it_learns_categories_and_numbers(fitted: Any, frame: pd.DataFrame) -> None:
    probability = fitted.predict_proba(frame)[:, 1]
    assert probability[labels(frame) == 1].mean() > probability[labels(frame) == 0].mean() + 0.2


def test_unseen_categories_and_missing_values_get_a_probability(fitted: Any, frame: pd.DataFrame) -> None:
    strange = frame.head(4).copy()
    strange.loc[0, ["airline", "destination"]] = ["ZZ", "XXX"]
    strange.loc[1, ["airline", "origin_airport", "destination"]] = None
    strange.loc[2, ["distance", "tail_last_delay"]] = np.nan
    probability = fitted.predict_proba(strange)[:, 1]
    assert ((probability > 0) & (probability < 1)).all()


def test_an_unseen_category_counts_as_a_missing_one(fitted: Any, frame: pd.DataFrame) -> None:
    unseen, missing = frame.head(50).copy(), frame.head(50).copy()
    unseen["airline"], missing["airline"] = "ZZ", None
    assert (fitted.predict_proba(unseen) == fitted.predict_proba(missing)).all()


def test_the_same_seed_gives_the_same_model(flight_delay: Folder, frame: pd.DataFrame, fitted: Any) -> None:
    again: Any = flight_delay.model.build({"seed": 1, "max_iter": 20, "min_samples_leaf": 20})
    again.fit(frame, labels(frame))
    assert (again.predict_proba(frame) == fitted.predict_proba(frame)).all()
    other: Any = flight_delay.model.build({"seed": 2, "max_iter": 20, "min_samples_leaf": 20})
    assert (other.fit(frame, labels(frame)).predict_proba(frame) != fitted.predict_proba(frame)).any()


def test_a_kept_model_needs_no_code_of_its_use_case(fitted: Any, frame: pd.DataFrame) -> None:
    content = pickle.dumps(fitted)
    assert b"use_cases" not in content
    assert (pickle.loads(content).predict_proba(frame) == fitted.predict_proba(frame)).all()


def test_a_parameter_that_does_not_exist_is_named(flight_delay: Folder) -> None:
    with pytest.raises(ValueError, match="max_itre"):
        flight_delay.model.build({"max_itre": 5})


def test_the_configured_parameters_are_those_that_were_chosen(flight_delay: Folder) -> None:
    assert flight_delay.config.training.params == flight_delay.module("model").DEFAULTS
