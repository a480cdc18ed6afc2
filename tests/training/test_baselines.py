"""Baselines are fitted on any rows that a candidate is fitted on."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from include.contract.metrics import METRICS
from include.training import baselines as module
from include.training.baselines import CONSTANT, LINEAR, baselines
from include.training.fitting import Examples, FitError

ROWS = 600


def rows(task: Any, seed: int = 0, weights: np.ndarray | None = None) -> Examples:
    generator = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "distance": generator.lognormal(5, 1, ROWS),
            "wind": generator.normal(size=ROWS),
            "carrier": generator.choice(np.array(["AA", "UA", "DL", None], dtype=object), ROWS),
            "night": (generator.random(ROWS) < 0.3).astype(float),
            "tail": [f"N{number}" for number in generator.integers(0, 400, ROWS)],
        }
    )
    signal = frame["wind"] * 2 + (frame["carrier"] == "UA") + generator.normal(size=ROWS)
    frame.loc[generator.random(ROWS) < 0.1, "wind"] = np.nan
    labels = (signal > 0).astype(float) if task == "classification" else signal
    return Examples(task, frame, labels.to_numpy(), weights)


def test_a_baseline_is_predicted_for_each_frame() -> None:
    examples = rows("classification")
    found = baselines(examples, {"train": examples.frame, "test": examples.frame.head(7)})
    assert found.notes == ()
    assert list(found.predictions) == [CONSTANT, LINEAR]
    for predictions in found.predictions.values():
        assert {frame: values.shape for frame, values in predictions.items()} == {"train": (ROWS,), "test": (7,)}


@pytest.mark.parametrize(("task", "metric"), [("classification", "log_loss"), ("regression", "rmse")])
def test_the_linear_model_learns_more_than_the_constant(task: Any, metric: str) -> None:
    later = rows(task, seed=1)
    found = baselines(rows(task), {"later": later.frame}).predictions
    losses = {name: METRICS[metric](later.labels, values["later"]) for name, values in found.items()}
    assert losses[LINEAR] < 0.8 * losses[CONSTANT]


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 10_000), task=st.sampled_from(["classification", "regression"]))
def test_the_constant_is_the_weighted_mean_and_the_linear_model_the_same_again(seed: int, task: Any) -> None:
    examples = rows(task, seed, np.random.default_rng(seed).random(ROWS))
    first, second = (baselines(examples, {"train": examples.frame}).predictions for _ in range(2))
    np.testing.assert_allclose(first[CONSTANT]["train"], np.average(examples.labels, weights=examples.weights))
    np.testing.assert_array_equal(first[LINEAR]["train"], second[LINEAR]["train"])


def test_weights_count_for_the_linear_model() -> None:
    weights = np.where(rows("regression").labels > 0, 10.0, 1.0)
    light, heavy = (rows("regression", weights=each) for each in (None, weights))
    means = [baselines(each, {"train": each.frame}).predictions[LINEAR]["train"].mean() for each in (light, heavy)]
    assert means[1] > means[0] + 0.5


def test_what_was_never_seen_is_predicted_too() -> None:
    strange = rows("classification").frame.head(3).assign(carrier=["ZZ", None, "AA"], wind=np.nan, distance=np.nan)
    for values in baselines(rows("classification"), {"strange": strange}).predictions.values():
        assert np.isfinite(values["strange"]).all()


@pytest.mark.parametrize("kind", ["numeric", "categorical"])
def test_one_kind_of_column_is_enough(kind: str) -> None:
    examples = rows("classification")
    columns = ["distance", "wind"] if kind == "numeric" else ["carrier", "tail"]
    part = Examples("classification", examples.frame[columns], examples.labels)
    assert baselines(part, {"train": part.frame}).notes == ()


def test_a_fit_that_does_not_converge_is_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ITERATIONS", 1)
    examples = rows("classification")
    found = baselines(examples, {"train": examples.frame})
    assert found.notes[0].startswith("linear: ConvergenceWarning")
    assert LINEAR in found.predictions


def test_a_linear_model_that_cannot_be_fitted_is_left_out_with_a_note() -> None:
    examples = rows("classification")
    endless = Examples("classification", examples.frame.assign(wind=np.inf), examples.labels)
    found = baselines(endless, {"train": endless.frame})
    assert list(found.predictions) == [CONSTANT]
    assert found.notes[0].startswith("linear: could not be fitted: Pipeline(LogisticRegression)")
    assert "infinity" in found.notes[0]


def test_labels_that_nothing_can_be_learned_from_are_refused() -> None:
    examples = rows("regression")
    with pytest.raises(FitError, match="DummyRegressor"):
        baselines(Examples("regression", examples.frame, np.full(ROWS, np.nan)), {})
