"""Calibration tells probabilities that hold from those that do not, whatever the rows."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from include.training.reliability import calibration
from tests.training.labelled import classified


def test_probabilities_that_hold_need_no_correction():
    found = calibration(*classified(rows=50_000)[:2])
    assert found.slope == pytest.approx(1, abs=0.05)
    assert found.intercept == pytest.approx(0, abs=0.05)
    assert found.error < 2 * found.chance


def test_probabilities_that_are_too_extreme_have_a_slope_below_one():
    labels, predictions, _ = classified(rows=50_000)
    odds = 2 * np.log(predictions / (1 - predictions)) + 0.5
    found = calibration(labels, 1 / (1 + np.exp(-odds)))
    assert found.slope == pytest.approx(0.5, abs=0.03)
    assert found.intercept == pytest.approx(-0.25, abs=0.05)
    assert found.error > 5 * found.chance


def test_predictions_that_separate_the_classes_have_no_slope():
    found = calibration(np.array([0.0, 0, 1, 1]), np.array([0.1, 0.2, 0.8, 1.0]))
    assert (found.slope, found.intercept) == (None, None)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.sampled_from([0.0, 0.1, 0.25, 0.7, 1.0])), min_size=1, max_size=80))
def test_bins_hold_every_row_once_and_equal_predictions_together(rows):
    labels, predictions = np.array(rows, dtype=float).T
    found = calibration(labels, predictions)
    assert sum(each.rows for each in found.bins) == len(rows)
    assert sum(each.rows * each.observed for each in found.bins) == pytest.approx(labels.sum())
    assert len(found.bins) <= len(set(predictions))
    assert 0 <= found.error <= 1
