"""The fast forms of the metrics equal scikit-learn on the rows that were drawn."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import ttest_1samp

from include.contract.metrics import METRICS, Metric
from include.resampling import Sample, block_means, bounds, draw, limited, probability_above, statistic


def drawn(sample, weights):
    """The rows of a resample, one by one."""
    rows = np.concatenate([np.tile(np.flatnonzero(sample.codes == code), int(n)) for code, n in enumerate(weights)])
    return sample.labels[rows], sample.predictions[rows]


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), name=st.sampled_from(sorted(METRICS)), levels=st.sampled_from([3, 1000]))
def test_every_metric_of_block_weights_is_the_metric_of_the_drawn_rows(seed, name, levels):
    generator, metric = np.random.default_rng(seed), METRICS[name]
    blocks = generator.integers(0, 6, 120)
    predictions = (generator.integers(0, levels, 120) + 0.5) / levels  # few levels: ties
    labels = generator.integers(0, 2, 120) if metric.task == "classification" else generator.normal(1e3, 1, 120)
    sample = Sample.of(labels, predictions, blocks)
    weights = draw(sample.blocks, 8, seed)
    expected = [metric(*drawn(sample, row)) for row in weights]
    np.testing.assert_allclose(statistic(metric, sample)(weights), expected, rtol=1e-8)
    whole = statistic(metric, sample)(np.ones((1, sample.blocks)))
    np.testing.assert_allclose(whole, [metric(sample.labels, sample.predictions)], rtol=1e-8)


def test_a_metric_without_a_fast_form_is_computed_anew():
    slow = Metric("median_error", "regression", False, "median_absolute_error")
    sample = Sample.of(np.zeros(30), np.arange(30.0), np.repeat([1, 2, 3], 10))
    weights = draw(3, 5, 0)
    np.testing.assert_allclose(statistic(slow, sample)(weights), [slow(*drawn(sample, row)) for row in weights])
    assert (limited(slow, 2000), limited(METRICS["mae"], 2000)) == (500, 2000)


def test_resamples_without_one_of_the_classes_are_not_a_number():
    sample = Sample.of([0, 1, 0, 0], [0.1, 0.9, 0.2, 0.3], ["a", "a", "b", "b"])
    weights = np.array([[1.0, 1.0], [0.0, 2.0]])
    for name in ("roc_auc", "average_precision"):
        assert np.isnan(statistic(METRICS[name], sample)(weights)).tolist() == [False, True]


def test_bounds_are_wider_with_fewer_blocks():
    values = np.random.default_rng(0).normal(size=4000)
    narrow, wide = bounds(values, 0.9, 100), bounds(values, 0.9, 5)
    assert wide[0] < narrow[0] < narrow[1] < wide[1]
    assert narrow == pytest.approx((-1.29, 1.29), abs=0.1)


def test_bounds_of_equal_blocks_are_those_of_a_t_test_of_their_means():
    sample = Sample.of(np.zeros(80), np.random.default_rng(0).normal(5, 1, 80), np.repeat(np.arange(8), 10))
    mae = METRICS["mae"]
    expected = ttest_1samp(block_means(mae, sample), 0).confidence_interval(0.8)  # two ends of 90 %
    found = bounds(statistic(mae, sample)(draw(8, 50_000, 0)), 0.9, 8)
    assert found == pytest.approx((expected.low, expected.high), abs=0.005)


def test_the_probability_agrees_with_the_bound():
    values = np.random.default_rng(0).normal(size=2000)
    for confidence in (0.8, 0.9, 0.95):
        low, high = bounds(values, confidence, 8)
        assert probability_above(values, low, 8) == pytest.approx(confidence)
        assert probability_above(values, high, 8) == pytest.approx(1 - confidence)


def test_values_without_spread_leave_nothing_to_be_unsure_of():
    values = np.full(1000, 0.1)
    assert bounds(values, 0.9, 8) == (0.1, 0.1)
    assert [probability_above(values, limit, 8) for limit in (0.0, 0.1, 0.2)] == [1, 0, 0]


def test_values_that_are_not_defined_are_left_out_unless_they_are_many():
    values = np.random.default_rng(0).normal(size=1000)
    some, many = np.append(values, [np.nan] * 50), np.append(values, [np.nan] * 200)
    assert bounds(some, 0.9, 8) == bounds(values, 0.9, 8)
    assert probability_above(some, 0.5, 8) == probability_above(values, 0.5, 8)
    for refused in (lambda: bounds(many, 0.9, 8), lambda: probability_above(many, 0.5, 8)):
        with pytest.raises(ValueError, match="defined in only 1000 of 1200 resamples"):
            refused()


def test_vectors_of_different_lengths_are_refused():
    with pytest.raises(ValueError, match="vectors of one length"):
        Sample.of([1, 2], [1, 2], [1])
