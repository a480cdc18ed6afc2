"""One group is served like the other: each measure of it, as far as a rule allows."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from include.gate.slice_checks import check
from tests.gate.groups import LOG_LOSS, config, failed, fourteen_days, measured, reason, regression

MEASURES = ["selection_rate", "true_positive_rate", "false_positive_rate", "precision", "calibration", "error", "bias"]


def decisions():
    """Two groups whose every measure was counted by hand, at a threshold of .5."""
    ours = {
        "AA": [(1, 0.9)] * 4 + [(1, 0.1)] * 4 + [(0, 0.9)] * 2 + [(0, 0.1)] * 10,
        "UA": [(1, 0.9)] * 6 + [(1, 0.1)] * 2 + [(0, 0.9)] * 6 + [(0, 0.1)] * 6,
    }
    labels, scores = np.array([*ours["AA"], *ours["UA"]], dtype=float).T
    return labels, scores, None, fourteen_days(40), {"airline": ["AA"] * 20 + ["UA"] * 20}


@pytest.mark.parametrize(
    ("name", "difference"),
    [
        ("selection_rate", 12 / 20 - 6 / 20),
        ("true_positive_rate", 6 / 8 - 4 / 8),
        ("false_positive_rate", 6 / 12 - 2 / 12),
        ("precision", 4 / 6 - 6 / 12),
        ("calibration", 0.24),
        ("bias", 0.24),
    ],
)
def test_each_measure_of_fairness_just_passes_and_just_fails(name, difference):
    for limit, passes in ((difference + 1e-9, True), (difference - 1e-9, False)):
        settings = config(("airline", name, limit), metric="log_loss", ratio=9)
        found = measured(*decisions(), settings=settings, metric=LOG_LOSS, threshold=0.5)
        assert failed(found, settings) == ([] if passes else [f"fairness: {name} by airline"])
    said = reason(found, settings, f"fairness: {name} by airline")
    assert "for airline AA" in said and "for airline UA" in said


def test_the_error_of_groups_may_differ_by_so_much():
    settings = config(("airline", "error", 0.5), ratio=9)
    assert failed(measured(*regression({"AA": 1.0, "UA": 1.4}), settings=settings), settings) == []
    assert failed(measured(*regression({"AA": 1.0, "UA": 1.6}), settings=settings), settings) == [
        "fairness: error by airline"
    ]


@pytest.mark.parametrize("name", MEASURES[:4])
def test_a_regression_has_no_measures_of_decisions(name):
    settings = config(("airline", name, 0.5))
    found = measured(*regression({"AA": 1.0, "UA": 1.0}), settings=settings)
    assert "could not be computed" in reason(found, settings, f"fairness: {name} by airline")
    assert failed(found, settings) == [f"fairness: {name} by airline"]


@pytest.mark.parametrize("columns", [{}, {"airline": ["AA"] * 280}, {"airline": ["AA"] * 261 + ["UA"] * 19}])
def test_fairness_without_two_groups_cannot_be_computed(columns):
    settings = config(("airline", "error", 0.5))
    labels, ours, theirs, blocks, _ = regression({"AA": 1.0, "UA": 1.0})
    found = measured(labels, ours, theirs, blocks, columns, settings=settings)
    assert "fairness: error by airline" in failed(found, settings)
    assert "two groups of airline" in reason(found, settings, "fairness: error by airline")


@settings(max_examples=15, deadline=None)
@given(scores=st.lists(st.floats(0.01, 0.99), min_size=20, max_size=40), name=st.sampled_from(MEASURES))
def test_identical_groups_have_no_disparity(scores, name):
    rules = config(("airline", name, 1e-12), metric="log_loss", ratio=99)
    labels = np.tile([0.0, 1.0], len(scores))[: len(scores)]
    found = measured(
        np.tile(labels, 2),
        np.tile([0.9, *scores[1:]], 2),
        None,
        np.tile(fourteen_days(len(scores)), 2),
        {"airline": ["AA"] * len(scores) + ["UA"] * len(scores)},
        settings=rules,
        metric=LOG_LOSS,
        threshold=0.5,
    )
    (fair,) = [each for each in check(found, rules) if each.name.startswith("fairness")]
    assert fair.value == 0
    assert fair.passed
