"""Quality is called worse only when it is, for sure, by more than what is tolerated."""

from dataclasses import replace

import numpy as np
import pytest

from include.contract.metrics import METRICS
from include.contract.monitoring import QualityConfig
from include.monitoring.quality import Promise, Quality, measure

CONFIG = QualityConfig(metric="mae", tolerance=0.1, confidence=0.9, minimum_rows=100)


def days(count, rows):
    return np.repeat([f"2013-03-{day + 1:02}" for day in range(count)], rows)


def errors(mean, *, count=7, rows=100, seed=0, spread=0.02):
    """Labels of 0 and predictions that are off by about ``mean``, with days that differ a little."""
    generator = np.random.default_rng(seed)
    daily = np.repeat(generator.normal(0, spread, count), rows)
    return np.zeros(count * rows), mean + daily, days(count, rows)


def promise(mean=1.0, **options):
    return Promise.of(METRICS["mae"], *errors(mean, seed=99, **options), seed=5)


def look(vectors, *, config=CONFIG, task="regression", promised=None, predicted=None):
    found = promised if promised is not None else promise()
    return measure(*vectors, predicted or len(vectors[0]), config, task, found, 3)


def test_a_loss_far_above_the_promise_is_worse():
    found = look(errors(1.3))
    assert found.worse_than_promised
    assert found.decidable
    assert found.increase.value == pytest.approx(0.3, abs=0.05)
    assert found.increase.probability > 0.9
    assert "worse than the promised" in found.reasons[0]


@pytest.mark.parametrize(("mean", "worse"), [(1.07, False), (1.2, True)])
def test_the_increase_must_be_above_the_tolerance(mean, worse):
    assert look(errors(mean)).worse_than_promised is worse


def test_an_increase_that_may_be_chance_is_not_worse():
    assert look(errors(1.2, spread=0.01)).worse_than_promised
    noisy = look(errors(1.2, spread=0.4, seed=4))
    assert noisy.increase.value > CONFIG.tolerance
    assert not noisy.worse_than_promised


def test_a_better_model_is_not_worse():
    found = look(errors(0.5))
    assert not found.worse_than_promised
    assert found.increase.value < 0


def test_an_uncertain_promise_makes_it_harder_to_be_worse():
    sure, unsure = promise(spread=0.001), promise(spread=0.4)
    unsure = replace(unsure, value=sure.value, means=tuple(m - unsure.value + sure.value for m in unsure.means))
    assert look(errors(1.2), promised=sure).worse_than_promised
    assert not look(errors(1.2), promised=unsure).worse_than_promised


@pytest.mark.parametrize(("rows", "decidable"), [(99, False), (100, True)])
def test_too_few_rows_are_not_decidable_and_never_worse(rows, decidable):
    labels, predictions, _ = errors(5.0, count=1, rows=rows)
    found = look((labels, predictions, np.arange(rows) % 7))
    assert found.decidable is decidable
    assert found.worse_than_promised is decidable
    if not decidable:
        assert found.reasons == ("not decidable: 99 labelled rows are too few (at least 100)",)


def test_one_partition_is_not_decidable():
    found = look(errors(5.0, count=1, rows=500))
    assert not found.decidable
    assert "1 partition(s)" in found.reasons[0]


def test_without_a_promise_it_is_not_decidable():
    found = measure(*errors(1.0), 700, CONFIG, "regression", None, 3)
    assert not found.decidable
    assert found.interval is not None
    assert found.reasons == ("not decidable: nothing was promised at the gate",)


def test_without_any_label_it_is_not_decidable():
    found = look((np.array([]), np.array([]), np.array([])), predicted=50)
    assert (found.decidable, found.coverage, found.values) == (False, 0.0, {})


def test_coverage_is_the_share_of_predictions_whose_label_has_come():
    assert look(errors(1.0), predicted=1400).coverage == 0.5


def test_more_labels_than_predictions_are_an_error():
    with pytest.raises(ValueError, match="700 labelled rows cannot come from 699"):
        look(errors(1.0), predicted=699)


def test_a_promise_of_another_metric_is_an_error():
    with pytest.raises(ValueError, match="the promise is of mae"):
        look(errors(1.0), config=CONFIG.model_copy(update={"metric": "rmse"}))


def test_predictions_that_are_not_numbers_are_an_error():
    labels, predictions, blocks = errors(1.0)
    predictions[3] = np.nan
    with pytest.raises(ValueError, match="not finite"):
        look((labels, predictions, blocks))


def classified(sharpness, seed=0, count=10, rows=200):
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, 2, count * rows).astype(float)
    scores = 1 / (1 + np.exp(-(sharpness * (labels - 0.5) + generator.normal(size=count * rows))))
    return labels, scores, days(count, rows)


def test_a_ranking_metric_that_fell_is_worse():
    config = CONFIG.model_copy(update={"metric": "roc_auc", "tolerance": 0.03})
    promised = Promise.of(METRICS["roc_auc"], *classified(2.0, seed=1), seed=5)
    assert promised.error > 0
    assert look(classified(0.8), config=config, task="classification", promised=promised).worse_than_promised
    assert not look(classified(2.0), config=config, task="classification", promised=promised).worse_than_promised


def test_a_ranking_metric_of_one_class_is_not_decidable():
    config = CONFIG.model_copy(update={"metric": "roc_auc"})
    promised = Promise.of(METRICS["roc_auc"], *classified(2.0), seed=5)
    labels, scores, blocks = classified(2.0)
    found = look((np.zeros_like(labels), scores, blocks), config=config, task="classification", promised=promised)
    assert found.reasons == ("not decidable: roc_auc is not defined on these rows",)
    assert "log_loss" in found.values


def test_a_class_so_rare_that_resamples_miss_it_is_not_decidable():
    config = CONFIG.model_copy(update={"metric": "roc_auc"})
    promised = Promise.of(METRICS["roc_auc"], *classified(2.0), seed=5)
    labels, scores, blocks = classified(2.0)
    labels[:] = 0
    labels[0] = 1
    found = look((labels, scores, blocks), config=config, task="classification", promised=promised)
    assert not found.decidable
    assert "too few rows of one class" in found.reasons[0]


def test_all_metrics_of_the_task_are_reported():
    assert set(look(errors(1.0)).values) == {"mae", "rmse", "r2"}


def test_measuring_twice_gives_the_same_and_it_survives_json():
    found = look(errors(1.2))
    assert found == look(errors(1.2))
    assert Quality.from_dict(found.to_dict()) == found
    assert Promise.from_dict(promise().to_dict()) == promise()
