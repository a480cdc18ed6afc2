"""An evaluation says how good a model is, how sure that is, and never breaks on odd rows."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from include.contract.metrics import METRICS
from include.features.compute import LABEL
from include.training import training_set
from include.training.evaluate import (
    BLOCK,
    MOST_SLICES,
    PREDICTION,
    SMALLEST_SLICE,
    Evaluation,
    Gain,
    Sliced,
    by_slice,
    calibration,
    compare,
    constant,
    measure,
)


def classified(rows=2000, days=10, seed=0):
    """Labels drawn from the very probabilities that are predicted."""
    generator = np.random.default_rng(seed)
    predictions = generator.beta(2, 5, rows)
    labels = (generator.random(rows) < predictions).astype(float)
    return labels, predictions, np.arange(rows) % days


def regressed(rows=500, days=5, seed=0):
    generator = np.random.default_rng(seed)
    labels = generator.normal(20, 5, rows)
    return labels, labels + generator.normal(0, 1, rows), np.arange(rows) % days


def test_every_metric_of_the_task_has_its_value_and_an_interval_around_it():
    found = measure("classification", *classified())
    assert set(found.metrics) == {"roc_auc", "average_precision", "log_loss", "brier"}
    labels, predictions, _ = classified()
    for name, measured in found.metrics.items():
        assert measured.value == METRICS[name](labels, predictions)
        assert measured.interval[0] < measured.value < measured.interval[1]
    assert (found.rows, found.blocks, found.positives) == (2000, 10, labels.sum())


def test_a_regression_has_no_positives_and_no_calibration():
    found = measure("regression", *regressed())
    assert set(found.values) == {"rmse", "mae", "r2"}
    assert (found.positives, found.calibration) == (None, None)


def test_measuring_twice_gives_the_same_and_it_survives_json():
    found = measure("classification", *classified())
    assert found == measure("classification", *classified())
    assert Evaluation.from_dict(found.to_dict()) == found


def test_one_block_gives_values_without_intervals():
    labels, predictions, _ = classified()
    found = measure("classification", labels, predictions, np.zeros(len(labels)))
    assert found.metrics["log_loss"].interval is None
    assert found.metrics["log_loss"].value > 0


def test_one_class_leaves_out_what_needs_two():
    _, predictions, blocks = classified()
    found = measure("classification", np.zeros(len(blocks)), predictions, blocks)
    assert set(found.metrics) == {"log_loss", "brier"}
    assert (found.calibration.slope, found.positives) == (None, 0)


def test_a_class_that_resamples_miss_leaves_the_value_without_interval():
    _, predictions, blocks = classified()
    found = measure("classification", np.eye(1, len(blocks))[0], predictions, blocks)
    assert found.metrics["roc_auc"].interval is None
    assert found.metrics["log_loss"].interval is not None


def test_constant_predictions_are_one_bin_without_a_slope():
    labels, _, blocks = classified()
    found = measure("classification", labels, np.full(len(labels), 0.3), blocks).calibration
    assert [each.rows for each in found.bins] == [2000]
    assert found.error == pytest.approx(abs(labels.mean() - 0.3))
    assert (found.slope, found.intercept) == (None, None)


def test_no_rows_are_no_error():
    found = measure("classification", [], [], [])
    assert (found.metrics, found.rows, found.blocks, found.calibration) == ({}, 0, 0, None)


@pytest.mark.parametrize(
    ("labels", "predictions", "message"),
    [
        ([0, float("nan")], [0.1, 0.2], "1 of 2 labels are not finite"),
        ([0, 1], [0.1, float("inf")], "1 of 2 predictions are not finite"),
        ([0, 2], [0.1, 0.2], "labels of a classification are 0 and 1, got 2"),
        ([0, 1], [0.1, 1.2], "1 of 2 predictions are no probabilities"),
        ([0, 1, 1], [0.1, 0.2], "one length"),
    ],
)
def test_rows_that_cannot_be_are_refused(labels, predictions, message):
    with pytest.raises(ValueError, match=message):
        measure("classification", labels, predictions, ["a", "b"])


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


def sliced_rows(rows=1000):
    labels, predictions, blocks = classified(rows=rows)
    names = np.array(["big"] * (rows - 110) + ["small"] * 60 + ["tiny"] * 40 + [None] * 10, dtype=object)
    return pl.DataFrame({"airline": names.tolist(), LABEL: labels, PREDICTION: predictions, BLOCK: blocks})


def test_slices_are_measured_and_small_ones_counted():
    (found,) = by_slice("classification", sliced_rows(), ["airline"])
    assert [each.value for each in found.slices] == ["big", "small"]
    assert (found.other_values, found.other_rows) == (2, 50)
    part = sliced_rows().filter(pl.col("airline") == "small")
    expected = METRICS["brier"](part[LABEL].to_numpy(), part[PREDICTION].to_numpy())
    assert found.slices[1].evaluation.values["brier"] == expected
    assert Sliced.from_dict(found.to_dict()) == found


def test_missing_values_are_a_slice_of_their_own():
    rows = sliced_rows().with_columns(pl.lit(None, pl.String).alias("airline"))
    (found,) = by_slice("classification", rows, ["airline"])
    assert [each.value for each in found.slices] == [None]
    assert found.worst("log_loss") is None


def test_the_largest_of_many_slices_are_measured():
    many = MOST_SLICES + 5
    rows = classified(rows=many * SMALLEST_SLICE)
    frame = pl.DataFrame(dict(zip((LABEL, PREDICTION, BLOCK), rows, strict=True))).with_columns(
        pl.Series("tail", np.arange(many * SMALLEST_SLICE) % many)
    )
    (found,) = by_slice("classification", frame, ["tail"], resamples=20)
    assert (len(found.slices), found.other_values, found.other_rows) == (MOST_SLICES, 5, 5 * SMALLEST_SLICE)


def test_slices_of_no_rows_are_empty():
    (found,) = by_slice("classification", sliced_rows().clear(), ["airline"])
    assert (found.slices, found.other_values) == ((), 0)


def test_the_worst_slice_has_the_greatest_loss():
    rows = sliced_rows().with_columns(
        pl.when(pl.col("airline") == "small").then(1 - pl.col(LABEL)).otherwise(pl.col(PREDICTION)).alias(PREDICTION)
    )
    (found,) = by_slice("classification", rows, ["airline"])
    assert found.worst("log_loss").value == "small"
    assert found.worst("roc_auc").value == "small"


def test_a_model_that_knows_more_is_better_than_the_rate():
    labels, predictions, blocks = classified()
    found = compare(
        "classification", "log_loss", labels, predictions, constant(labels, len(labels)), blocks, name="the rate"
    )
    assert found.better
    assert found.sentence.startswith("log_loss is 0.0")
    assert "better than that of the rate (gain +0.0" in found.sentence
    assert Gain.from_dict(found.to_dict()) == found


def test_a_model_that_is_no_better_is_named_as_such():
    labels, predictions, blocks = classified()
    rate = constant(labels, len(labels))
    worse = compare("classification", "roc_auc", labels, rate, predictions, blocks, name="a linear model")
    assert not worse.better
    assert worse.gain < 0
    assert worse.sentence.startswith("does not beat a linear model: roc_auc is 0.")
    same = compare("classification", "roc_auc", labels, rate, rate, blocks, name="a linear model")
    assert same.sentence == "does not beat a linear model: roc_auc equals that of a linear model (gain +0 to +0)"


def test_a_gain_on_one_day_is_not_called_better():
    labels, predictions, _ = classified()
    one = np.zeros(len(labels))
    found = compare("classification", "brier", labels, predictions, np.full(len(labels), 0.9), one, name="x")
    assert (found.better, found.interval) == (False, None)
    assert "cannot be told" in found.sentence


@pytest.mark.parametrize("metric", ["rmse", "unknown"])
def test_a_metric_of_another_task_is_refused(metric):
    with pytest.raises(ValueError, match=f"'{metric}' is no metric of a classification"):
        compare("classification", metric, [0, 1], [0.1, 0.2], [0.1, 0.2], [0, 1], name="x")


def test_a_comparison_that_is_not_defined_is_refused():
    with pytest.raises(ValueError, match="only one class"):
        compare("classification", "roc_auc", [0, 0], [0.1, 0.2], [0.1, 0.2], [0, 1], name="x")
    with pytest.raises(ValueError, match="not finite"):
        compare("regression", "mae", [0, float("nan")], [0.1, 0.2], [0.1, 0.2], [0, 1], name="x")


def test_blocks_are_those_of_the_training_set():
    assert BLOCK == training_set.BLOCK
