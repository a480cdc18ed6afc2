"""An evaluation says how good a model is, how sure that is, and never breaks on odd rows."""

import numpy as np
import pytest

from include.contract.metrics import METRICS
from include.training.evaluate import Evaluation, Gain, compare, measure
from tests.training.labelled import classified


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


def test_a_model_that_knows_more_is_better_than_the_rate():
    labels, predictions, blocks = classified()
    found = compare(
        "classification", "log_loss", labels, predictions, np.full(len(labels), labels.mean()), blocks, name="the rate"
    )
    assert found.better
    assert found.sentence.startswith("log_loss is 0.0")
    assert "better than that of the rate (gain +0.0" in found.sentence
    assert Gain.from_dict(found.to_dict()) == found


def test_a_model_that_is_no_better_is_named_as_such():
    labels, predictions, blocks = classified()
    rate = np.full(len(labels), labels.mean())
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
