"""Expected metrics are what calibrated probabilities come to, and their intervals hold the truth."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import brier_score_loss, log_loss, roc_auc_score

from include.monitoring.estimate import ESTIMATED, estimate, expected
from include.resampling import Sample


def calibrated(days: int, rows: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    p = generator.beta(1, 3, days * rows)
    return (generator.random(days * rows) < p).astype(float), p, np.repeat(np.arange(days), rows)


@pytest.mark.parametrize(
    ("metric", "function"), [("log_loss", log_loss), ("brier", brier_score_loss), ("roc_auc", roc_auc_score)]
)
def test_the_expectation_is_the_metric_of_rows_split_by_their_probability(metric, function):
    p = np.random.default_rng(1).beta(1, 3, 300)
    labels, twice = np.repeat([1, 0], 300), np.concatenate([p, p])
    assert expected(metric, p) == pytest.approx(function(labels, twice, sample_weight=np.concatenate([p, 1 - p])))


def test_intervals_hold_the_truth_about_as_often_as_they_say():
    reference = Sample.of(*calibrated(14, 200, 0))
    held = []
    for seed in range(1, 101):
        labels, p, blocks = calibrated(7, 200, seed)
        found = estimate("classification", p, blocks, reference, 0.9, seed, labels)
        held += [each.held for each in found.metrics]
    assert 0.7 < np.mean(held) < 0.95  # both ends at .9 leave .8 within


def test_the_error_is_the_estimate_less_the_truth():
    labels, p, blocks = calibrated(7, 200, 3)
    found = estimate("classification", p, blocks, Sample.of(*calibrated(14, 200, 0)), 0.9, 1, labels)
    assert [each.metric for each in found.metrics] == list(ESTIMATED)
    assert found.metrics[0].error == pytest.approx(expected("log_loss", p) - log_loss(labels, p))


def test_one_reference_day_gives_no_interval():
    _, p, blocks = calibrated(2, 50, 3)
    found = estimate("classification", p, blocks, Sample.of(*calibrated(1, 200, 0)), 0.9, 1)
    assert {each.interval for each in found.metrics} == {None}
    assert {each.error for each in found.metrics} == {None}


def test_probabilities_of_0_and_1_are_sure_of_themselves():
    assert expected("log_loss", [0.0, 1.0]) == 0
    assert expected("roc_auc", [0.0, 1.0]) == 1
    assert expected("roc_auc", [1.0, 1.0]) is None
    assert expected("average_precision", [0.5]) is None
    assert expected("log_loss", []) is None


def test_what_is_no_probability_is_an_error():
    with pytest.raises(ValueError, match="probabilities from 0 to 1"):
        estimate("classification", [1.2], ["a"], Sample.of(*calibrated(2, 9, 0)), 0.9, 1)
