"""Days one by one: their labels, their metric beside a constant's, and how exactly it is known."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from include.contract.metrics import METRICS
from include.monitoring.daily import by_day, within_day
from include.resampling import Sample
from tests.monitoring.planted import rows


def test_each_day_counts_its_own_labels():
    half = rows(2, size=100).with_columns(label=pl.when(pl.int_range(pl.len()) % 4 != 0).then("label"))
    found = by_day("classification", "log_loss", half, 0.3, confidence=0.9, seed=1)
    assert [(day.day, day.predictions, day.rows, day.coverage) for day in found] == [
        ("2013-03-01", 100, 75, 0.75),
        ("2013-03-02", 100, 75, 0.75),
    ]
    for day in found:
        assert day.interval[0] < day.values["log_loss"] < day.interval[1]
        assert day.gain == pytest.approx(day.baseline - day.values["log_loss"])


def test_the_constant_ranks_nothing():
    (day,) = by_day("classification", "roc_auc", rows(1), 0.3, confidence=0.9, seed=1)
    assert day.baseline == 0.5
    assert day.gain == pytest.approx(day.values["roc_auc"] - 0.5)


@pytest.mark.parametrize("metric", ["log_loss", "roc_auc", "average_precision"])
def test_intervals_of_a_day_hold_the_figure_of_its_kind_of_day(metric):
    sure = METRICS[metric](*rows(1, size=200_000, seed=9).select("label", "prediction").to_numpy().T)
    held = 0
    for seed in range(60):
        day = rows(1, size=300, seed=seed)
        low, high = within_day(METRICS[metric], Sample.of(day["label"], day["prediction"], np.arange(300)), 0.95, seed)
        held += low <= sure <= high
    assert held >= 48  # 90 % of 60, less 2.6 standard errors


def test_a_day_of_one_class_or_of_few_rows_keeps_what_is_defined():
    one = rows(1, size=5).with_columns(label=pl.lit(0.0))
    (day,) = by_day("classification", "roc_auc", one, 0.3, confidence=0.9, seed=1)
    assert (day.interval, day.baseline, day.gain) == (None, None, None)
    assert set(day.values) == {"log_loss", "brier"}
    (single,) = by_day("regression", "mae", rows(1, size=1, regression=True), 0.3, confidence=0.9, seed=1)
    assert set(single.values) == {"mae"}


def test_no_rows_are_no_days():
    assert by_day("regression", "mae", rows(1).clear(), 0.3, confidence=0.9, seed=1) == ()


def test_predictions_that_are_no_numbers_are_an_error():
    with pytest.raises(ValueError, match="not finite"):
        by_day("regression", "mae", rows(1).with_columns(prediction=pl.lit(np.nan)), 0.3, confidence=0.9, seed=1)
