"""The paired comparison sees a real gain, and is not fooled by rows that hang together."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from include.contract.metrics import METRICS
from include.gate.comparison import Comparison, Outcomes, compare_paired

LOG_LOSS, MAE, AUC = METRICS["log_loss"], METRICS["mae"], METRICS["roc_auc"]
NAN = float("nan")


def days(count, rows):
    return np.repeat([f"2013-03-{day + 1:02}" for day in range(count)], rows)


def compare(labels, challenger, champion, blocks, metric=MAE, **options):
    asked = {"margin": 0.0, "confidence": 0.9, "resamples": 1000, "seed": 7} | options
    return compare_paired(labels, challenger, champion, blocks, metric, **asked)


def regression(gain, *, count=14, rows=50, seed=1):
    """Errors of 1 for the champion, lower by ``gain`` for the challenger, with some spread between days."""
    generator = np.random.default_rng(seed)
    daily = np.repeat(generator.normal(0, 0.05, count), rows)
    return np.zeros(count * rows), 1 - gain + daily, np.ones(count * rows), days(count, rows)


def test_a_challenger_with_a_clearly_lower_loss_is_better():
    found = compare(*regression(gain=0.2))
    assert found.convincing
    assert found.difference == pytest.approx(0.2, abs=0.05)
    assert found.probabilities.better > 0.9


def test_a_challenger_with_a_clearly_higher_loss_is_worse():
    found = compare(*regression(gain=-0.2))
    assert not found.convincing
    assert found.difference < 0
    assert found.probabilities.worse > 0.9


@pytest.mark.parametrize(("margin", "convincing"), [(0.15, True), (0.25, False)])
def test_the_gain_must_be_above_the_margin(margin, convincing):
    assert compare(*regression(gain=0.2), margin=margin).convincing is convincing


def test_non_inferiority_tolerates_a_slightly_worse_challenger_and_superiority_does_not():
    slightly = compare(*regression(gain=-0.02), rule="non-inferiority", margin=0.1)
    assert slightly.convincing
    assert slightly.probabilities.alike > 0.9
    assert not compare(*regression(gain=-0.02), margin=0.1).convincing
    assert not compare(*regression(gain=-0.2), rule="non-inferiority", margin=0.1).convincing


@pytest.mark.parametrize(("rule", "gain"), [("superiority", 0.2), ("non-inferiority", -0.2)])
def test_a_lower_bound_at_the_margin_is_not_above_it(rule, gain):
    rows = regression(gain=gain)
    low = abs(compare(*rows, rule=rule).interval[0])
    step = 1e-9 if rule == "superiority" else -1e-9
    assert not compare(*rows, rule=rule, margin=low).convincing
    assert compare(*rows, rule=rule, margin=low - step).convincing
    assert not compare(*rows, rule=rule, margin=low + step).convincing


def test_without_a_margin_both_rules_ask_the_same():
    for gain in (-0.1, 0.0, 0.01, 0.1):
        superior = compare(*regression(gain=gain))
        assert superior.convincing == compare(*regression(gain=gain), rule="non-inferiority").convincing


def test_a_gain_on_one_single_day_is_not_enough():
    labels, champion, blocks = np.zeros(350), np.ones(350), days(7, 50)
    challenger = champion.copy()
    challenger[:50] = 0  # 50 rows would convince anyone who took them for independent
    found = compare(labels, challenger, champion, blocks)
    assert found.difference > 0
    assert not found.convincing


@pytest.mark.parametrize("margin", [0.0, 0.1])
def test_the_same_predictions_are_identical_alike_and_not_better(margin):
    labels, _, champion, blocks = regression(gain=0)
    found = compare(labels, champion, champion.copy(), blocks, margin=margin)
    assert found.identical
    assert (found.difference, found.interval, found.probabilities) == (0, (0, 0), Outcomes(0, 1, 0))
    assert not found.convincing
    assert replace(found, rule="non-inferiority").convincing is (margin > 0)


@settings(max_examples=50, deadline=None)
@given(
    gain=st.floats(-0.3, 0.3),
    margin=st.floats(0, 0.3),
    count=st.integers(2, 20),
    seed=st.integers(0, 1000),
    name=st.sampled_from(["mae", "rmse", "r2"]),
)
def test_the_probabilities_add_up_and_swapping_the_models_swaps_them(gain, margin, count, seed, name):
    _, ours, theirs, blocks = regression(gain=gain, count=count, rows=4, seed=seed)
    labels, options = np.tile([0.0, 0.1], 2 * count), {"metric": METRICS[name], "margin": margin, "resamples": 200}
    found = compare(labels, ours, theirs, blocks, **options).probabilities
    swapped = compare(labels, theirs, ours, blocks, **options).probabilities
    parts = (found.better, found.alike, found.worse)
    assert sum(parts) == pytest.approx(1)
    assert all(0 <= part <= 1 for part in parts)
    assert (swapped.worse, swapped.better) == pytest.approx((found.better, found.worse))


@settings(max_examples=50, deadline=None)
@given(margin=st.floats(0, 0.1), wider=st.floats(0.001, 0.1), seed=st.integers(0, 1000))
def test_a_wider_margin_makes_more_of_it_alike(margin, wider, seed):
    rows = regression(gain=0.02, seed=seed)
    narrow, wide = (compare(*rows, margin=each, resamples=200).probabilities for each in (margin, margin + wider))
    assert wide.better <= narrow.better
    assert wide.worse <= narrow.worse
    assert wide.alike >= narrow.alike


def test_the_probability_reaches_the_confidence_where_the_lower_bound_is_at_the_margin():
    rows = regression(gain=0.2)
    low = compare(*rows, resamples=10_000).interval[0]
    found = compare(*rows, margin=low, resamples=10_000)
    assert found.probabilities.better == pytest.approx(found.confidence, abs=0.005)


def test_what_is_not_a_number_never_convinces():
    found = compare(*regression(gain=0.2))
    for rule in ("superiority", "non-inferiority"):
        lenient = replace(found, rule=rule, margin=0.0)
        assert lenient.convincing
        assert not replace(lenient, difference=NAN).convincing
        assert not replace(lenient, interval=(NAN, 0.3)).convincing
        assert not replace(lenient, interval=(0.1, NAN)).convincing
        assert not replace(lenient, margin=NAN).convincing
        assert not replace(lenient, interval=(float("inf"), float("inf"))).convincing


def test_higher_is_better_metrics_are_turned_into_losses():
    generator = np.random.default_rng(3)
    labels = generator.integers(0, 2, 1400).astype(float)
    good, bad = labels + generator.normal(0, 0.7, 1400), labels + generator.normal(0, 3, 1400)
    found = compare(labels, good, bad, days(14, 100), metric=AUC)
    assert found.convincing
    assert found.difference == pytest.approx(found.challenger_value - found.champion_value)


def test_a_loss_of_probabilities_is_compared_in_blocks_of_one_class():
    labels = np.repeat([0.0, 1.0, 0.0, 1.0], 25)
    found = compare(labels, np.where(labels == 1, 0.9, 0.1), np.full(100, 0.5), days(4, 25), metric=LOG_LOSS)
    assert found.convincing
    assert found.difference == pytest.approx(np.log(0.9) - np.log(0.5))


def test_the_same_seed_gives_the_same_answer():
    assert compare(*regression(gain=0.01)) == compare(*regression(gain=0.01))


def test_metrics_that_are_computed_anew_use_at_most_500_resamples():
    labels = np.tile([0.0, 1.0], 100)
    predictions = np.random.default_rng(0).random(200)
    precision = METRICS["average_precision"]
    found = compare(labels, predictions, predictions[::-1], days(4, 50), metric=precision, resamples=2000)
    assert found.resamples == 500


def test_resamples_without_one_of_the_classes_are_left_out_of_the_probabilities():
    labels = np.zeros(100)
    labels[[0, 11, 22]] = 1  # on three of ten days: a few resamples miss them all
    found = compare(labels, labels, 1 - labels, days(10, 10), metric=AUC, margin=0.5)
    assert found.probabilities.better > 0.99
    assert found.convincing


def test_one_block_cannot_be_compared():
    with pytest.raises(ValueError, match="at least 2"):
        compare(np.zeros(10), np.ones(10), np.ones(10), days(1, 10))


@pytest.mark.parametrize(
    ("labels", "challenger", "champion", "message"),
    [
        (np.zeros(10), np.append(np.ones(9), np.nan), np.ones(10), "1 of 10 predictions are not finite"),
        (np.zeros(10), np.ones(10), np.append(np.ones(9), np.inf), "1 of 10 predictions are not finite"),
        (np.append(np.zeros(9), np.nan), np.ones(10), np.ones(10), "1 of 10 labels are not finite"),
        (np.zeros(10), np.ones(9), np.ones(10), "vectors of one length"),
        (np.zeros(10), np.ones(10), np.ones(11), "vectors of one length"),
        (np.zeros(0), np.ones(0), np.ones(0), "vectors of one length"),
    ],
)
def test_rows_that_cannot_be_compared_are_refused(labels, challenger, champion, message):
    with pytest.raises(ValueError, match=message):
        compare(labels, challenger, champion, days(2, 5))


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("rule", "equivalence", "superiority or non-inferiority, got 'equivalence'"),
        ("margin", -0.1, "margin of a comparison is a number of at least 0, got -0.1"),
        ("margin", NAN, "margin .* got nan"),
        ("margin", float("inf"), "margin .* got inf"),
        ("confidence", 0.5, "confidence of a comparison is between 0.5 and 1, got 0.5"),
        ("confidence", 1.0, "confidence .* got 1.0"),
        ("confidence", NAN, "confidence .* got nan"),
        ("resamples", 0, "at least 1 resample, got 0"),
    ],
)
def test_a_question_that_is_none_is_refused(option, value, message):
    with pytest.raises(ValueError, match=message):
        compare(*regression(gain=0.1), **{option: value})


def test_a_metric_that_is_hardly_ever_defined_is_refused():
    labels = np.zeros(100)
    labels[0] = 1  # the only positive is absent from a third of the resamples
    with pytest.raises(ValueError, match="too few rows of one class"):
        compare(labels, np.linspace(0, 1, 100), np.linspace(1, 0, 100), days(10, 10), metric=AUC)


@pytest.mark.parametrize(("rule", "margin", "gain"), [("superiority", 0.0, 0.0), ("non-inferiority", 0.1, -0.1)])
def test_a_gain_at_the_limit_convinces_about_as_often_as_the_confidence_allows(rule, margin, gain):
    """Student's t keeps the error of 7 blocks near the 10 % that were asked for."""
    generator = np.random.default_rng(11)
    passed = 0
    for seed in range(300):
        daily = np.repeat(generator.normal(0, 0.1, 7), 5)
        options = {"rule": rule, "margin": margin, "resamples": 400, "seed": seed}
        passed += compare(np.zeros(35), 1 - gain + daily, np.ones(35), days(7, 5), **options).convincing
    assert 0.05 <= passed / 300 <= 0.15


@pytest.mark.parametrize("rule", ["superiority", "non-inferiority"])
def test_it_survives_json(rule):
    found = compare(*regression(gain=0.1), rule=rule, margin=0.02)
    assert Comparison.from_dict(found.to_dict()) == found
