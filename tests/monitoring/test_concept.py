"""The sequential test alarms as seldom as it says, whatever the losses look like, and soon after a change."""

from __future__ import annotations

import numpy as np
import pytest

from include.contract.monitoring import ConceptConfig
from include.monitoring.concept import ALL, DayLoss, cusum, detect, limit, surprise, watch


def days(values, rows=100):
    return [DayLoss(f"{number:04}", float(value), rows) for number, value in enumerate(values)]


@pytest.mark.parametrize("draw", ["normal", "lognormal", "pareto"])
def test_false_alarms_come_once_in_so_many_days_whatever_the_distribution(draw):
    height, alarms = limit(365.0), 0
    for year in range(100):
        generator = np.random.default_rng(year)
        shape = {"pareto": (1.5,)}.get(draw, ())
        losses = getattr(generator, draw)(*shape, size=14 + 365)
        alarms += max(cusum(losses[:14], losses[14:])) > height
    assert 0.4 < alarms / 100 < 0.75  # 1 - 1 / e, and the standard error of .05


def test_the_sum_depends_on_the_order_of_losses_only():
    losses = np.random.default_rng(1).normal(size=60)
    assert cusum(losses[:20], losses[20:]) == cusum(np.exp(losses[:20]), np.exp(losses[20:]))


def test_a_change_is_dated_and_sized():
    generator = np.random.default_rng(4)
    stream = np.concatenate([generator.normal(0, 1, 60), generator.normal(3, 1, 12)])
    found = detect("x", days(generator.normal(size=28)), days(stream), 730)
    assert found.drifted
    assert abs(int(found.since) - 60) <= 5
    assert int(found.since) < int(found.detected) <= 70
    assert found.increase == pytest.approx(3, abs=0.8)
    assert found.since in found.reason


def test_a_rise_that_went_away_is_not_told_for_ever():
    generator = np.random.default_rng(4)
    stream = np.concatenate([generator.normal(3, 1, 12), generator.normal(-0.5, 1, 80)])
    assert not detect("x", days(generator.normal(size=28)), days(stream), 730).drifted


def test_better_is_no_change():
    generator = np.random.default_rng(4)
    assert not detect("x", days(generator.normal(size=28)), days(generator.normal(-3, 1, 60)), 730).drifted


def test_a_day_of_few_rows_is_passed_over():
    generator = np.random.default_rng(4)
    sparse = [DayLoss(f"1{number:03}", 99.0, 3) for number in range(30)]
    found = detect("x", days(generator.normal(size=28)), [*days(generator.normal(size=5)), *sparse], 730)
    assert (found.days, found.drifted) == (5, False)


@pytest.mark.parametrize(("gate", "stream", "why"), [(6, 5, "6 days of it, 7 are"), (14, 0, "no day with labels")])
def test_what_cannot_be_told_is_not_computed_and_no_drift(gate, stream, why):
    found = detect("x", days(range(gate)), days(range(stream)), 730)
    assert (found.computed, found.drifted) == (False, False)
    assert why in found.reason


def test_slices_share_the_allowance_of_false_alarms():
    reference = {ALL: days(range(14)), "a 1": days(range(14)), "a 2": days(range(14)), "a 3": days(range(14), rows=3)}
    found = watch(reference, {name: days(range(9)) for name in reference}, ConceptConfig())
    assert {each.what: each.every for each in found} == {ALL: 730, "a 1": 1460, "a 2": 1460}


def test_the_surprise_is_what_the_probability_does_not_expect():
    p = np.array([0.2, 0.7])
    expected = p * surprise("classification", "log_loss", [1, 1], p)
    expected += (1 - p) * surprise("classification", "log_loss", [0, 0], p)
    assert expected == pytest.approx(0)
    assert surprise("classification", "roc_auc", [1], [0.0])[0] > 10
    assert surprise("regression", "mae", [3], [1]) == [2]
    assert surprise("regression", "rmse", [3], [1]) == [4]
