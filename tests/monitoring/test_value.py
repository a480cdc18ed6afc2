"""The value is what the outcomes say, by day and window, beside doing nothing and a constant."""

import polars as pl
import pytest

from include.contract.monitoring import MonitoringConfig, ValueConfig
from include.monitoring.value import measure
from tests.monitoring.planted import config, rows

LABELLED = pl.DataFrame(
    {
        "label": [1.0, 1.0, 0.0, 0.0, 1.0],
        "prediction": [0.9, 0.1, 0.8, 0.2, 0.5],
        "block": ["a", "a", "a", "b", "b"],
    }
)
OUTCOMES = ValueConfig(unit="EUR", true_positive=10, false_positive=-3, true_negative=1, false_negative=-7)


def test_each_outcome_counts_as_it_was_said():
    found = measure("classification", LABELLED, 0.6, 0.5, OUTCOMES, 0.9, 1)
    assert found.window.value == 10 - 7 - 3 + 1 + 10
    assert found.window.nothing == 3 * -7 + 2 * 1
    assert found.window.baseline == 3 * 10 + 2 * -3  # 0.6 is a yes for every row
    assert {day: each.value for day, each in found.days.items()} == {"a": 0, "b": 11}
    assert sum(each.baseline for each in found.days.values()) == found.window.baseline
    low, high = found.window.gain_interval
    assert low < found.window.gain < high


def test_a_regression_pays_for_every_unit():
    found = measure("regression", LABELLED, 0.5, None, ValueConfig(absolute_error=2), 0.9, 1)
    assert found.window.value == pytest.approx(-2 * (0.1 + 0.9 + 0.8 + 0.2 + 0.5))
    assert found.window.nothing is None
    assert found.window.baseline == pytest.approx(-2 * 2.5)


def test_one_day_has_no_interval():
    assert measure("classification", rows(1), 0.3, 0.5, OUTCOMES, 0.9, 1).window.gain_interval is None


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({}, "nothing gains or costs anything"),
        ({"true_positive": 1, "absolute_error": 1}, "is for a regression"),
        ({"absolute_error": -1}, "absolute_error"),
    ],
)
def test_values_that_say_nothing_are_refused(content, said):
    with pytest.raises(ValueError, match=said):
        MonitoringConfig.model_validate({"quality": {"metric": "mae", "tolerance": 1}, "value": content})


def test_outcomes_of_another_task_are_refused():
    with pytest.raises(ValueError, match="a classification is valued by true_positive"):
        config(value={"absolute_error": 1})
