"""The sequential test of daily differences: how often it is wrong, and how soon it finds what is there."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from include.deployment.sequential import Comparison, compare

ALPHA = 0.05
DAYS, TIMES = 50, 240
# Of 240 at 5 % at most 21 with a probability of 99.6 %.
MOST = 21 / TIMES

Days = NDArray[np.float64]
Draw = Callable[[np.random.Generator], Days]


def brier(rng: np.random.Generator) -> Days:
    """Of two models that are equally good: 30 rows against 570 a day, whose labels share a shock."""
    found = []
    for _ in range(DAYS):
        shock = rng.normal(0, 0.6)
        means = []
        for rows in (30, 570):
            true = 1 / (1 + np.exp(-rng.normal(-1.3, 1, rows) - shock))
            labels = rng.random(rows) < true
            means.append(np.mean((np.clip(true + rng.normal(0, 0.1, rows), 0, 1) - labels) ** 2))
        found.append(means[0] - means[1])
    return np.array(found)


ALIKE: dict[str, Draw] = {
    "normal": lambda rng: rng.normal(0, 0.02, DAYS),
    "heavy tails": lambda rng: np.clip(rng.standard_t(2, DAYS) * 0.02, -1, 1),
    "a shadow, then a canary": lambda rng: rng.normal(0, 1, DAYS) * np.where(np.arange(DAYS) < DAYS // 3, 0.002, 0.04),
    "a few rows against many": brier,
}


@pytest.mark.parametrize("draw", ALIKE.values(), ids=ALIKE)
def test_looking_every_day_it_is_wrong_in_at_most_alpha(draw: Draw) -> None:
    """What is said after some day is said after all: to look once in the end is to look every day."""
    rng = np.random.default_rng(20130101)
    said = [compare(draw(rng), alpha=ALPHA) for _ in range(TIMES)]
    assert np.mean([each.verdict == "worse" for each in said]) <= MOST
    assert np.mean([each.verdict == "not worse" for each in said]) <= MOST
    assert np.mean([each.interval[0] > 0 for each in said]) <= MOST


def test_peeking_at_a_t_test_would_be_wrong_much_more_often() -> None:
    """Why it takes a sequential test."""
    rng = np.random.default_rng(20130101)
    days = rng.normal(0, 0.02, (TIMES, DAYS))
    looks = np.arange(5, DAYS + 1)
    means = np.cumsum(days, axis=1)[:, looks - 1] / looks
    squares = np.cumsum(days**2, axis=1)[:, looks - 1] / looks
    t = means / np.sqrt((squares - means**2) / (looks - 1))
    assert np.mean((t > 1.7).any(axis=1)) > 3 * ALPHA


@pytest.mark.parametrize(("effect", "latest"), [(1.0, 30), (2.0, 10), (4.0, 8)])
def test_what_is_worse_is_found(effect: float, latest: int) -> None:
    """Worse by so many standard deviations of a day, it is found in nine of ten cases by then."""
    rng = np.random.default_rng(20130101)
    days = rng.normal(0.02 * effect, 0.02, (60, latest))
    assert np.mean([compare(each, alpha=ALPHA).verdict == "worse" for each in days]) >= 0.9


def test_it_says_how_much() -> None:
    rng = np.random.default_rng(20130101)
    days = rng.normal(0.03, 0.01, 60)
    found = compare(days, alpha=ALPHA)
    assert found.verdict == "worse" and found.days == 60
    low, high = found.interval
    assert 0.02 < low < 0.03 < high < 0.04
    assert compare(days, alpha=ALPHA, tolerance=0.05).verdict == "not worse"
    assert compare(days, alpha=ALPHA, tolerance=0.03).verdict == "undecided"
    assert Comparison.from_dict(found.to_dict()) == found


def test_too_few_days_say_nothing() -> None:
    assert compare([], alpha=ALPHA) == Comparison("undecided", None, (-1.0, 1.0), 0)
    assert compare([0.75] * 6, alpha=ALPHA) == Comparison("undecided", 0.75, (-1.0, 1.0), 6)
    assert compare([0.75] * 7, alpha=ALPHA).verdict == "worse"
    assert compare([0.0] * 100, alpha=ALPHA).verdict == "undecided"


differences = st.lists(st.floats(-1, 1), max_size=30)


@settings(deadline=None, max_examples=40)
@given(differences, differences)
def test_what_it_has_said_more_days_do_not_take_back(first: list[float], more: list[float]) -> None:
    before, after = compare(first, alpha=ALPHA), compare([*first, *more], alpha=ALPHA)
    assert after.interval[0] >= before.interval[0] and after.interval[1] <= before.interval[1]
    if before.verdict == "worse":
        assert after.verdict == "worse"


@settings(deadline=None, max_examples=40)
@given(differences)
def test_both_sides_are_treated_alike(days: list[float]) -> None:
    found, turned = compare(days, alpha=ALPHA), compare([-each for each in days], alpha=ALPHA)
    assert turned.interval == (-found.interval[1], -found.interval[0])
    assert (found.verdict == "worse") == (found.interval[0] > 0) or abs(found.interval[0]) < 1e-5


@pytest.mark.parametrize("wrong", [1.1, float("nan"), float("-inf")])
def test_what_is_no_difference_of_losses_is_refused(wrong: float) -> None:
    with pytest.raises(ValueError, match="is not within -1 and 1"):
        compare([0.0, wrong], alpha=ALPHA)
