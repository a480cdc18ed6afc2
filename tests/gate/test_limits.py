from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, median_absolute_error, precision_score

from include.contract.gate import Limit
from include.contract.loading import read_config
from include.contract.metrics import METRICS
from include.contract.use_case import UseCase
from include.gate.limits import check, values

ROOT = Path(__file__).parents[2]
RANDOM = np.random.default_rng(3)
PREDICTIONS = RANDOM.uniform(size=400)
LABELS = (RANDOM.uniform(size=400) < PREDICTIONS).astype(float)


def limited(config: UseCase, *names: str) -> UseCase:
    gate = config.gate.model_copy(update={"limits": {name: Limit(min=0.0) for name in names}})
    return config.model_copy(update={"gate": gate})


@pytest.fixture
def flights() -> UseCase:
    return read_config(ROOT / "include" / "use_cases" / "flight_delay" / "use_case.yaml")


@pytest.fixture
def temperatures() -> UseCase:
    return read_config(ROOT / "tests" / "use_cases" / "station_temperature" / "use_case.yaml")


def test_metrics_and_scorers_are_measured_and_no_others(flights):
    found = values(limited(flights, "log_loss", "precision", "balanced_accuracy"), LABELS, PREDICTIONS)
    decisions = flights.serving.threshold <= PREDICTIONS
    assert found == {
        "log_loss": METRICS["log_loss"](LABELS, PREDICTIONS),
        "precision": pytest.approx(precision_score(LABELS, decisions)),
        "balanced_accuracy": pytest.approx(balanced_accuracy_score(LABELS, decisions)),
    }


def test_a_scorer_of_errors_is_negative(temperatures):
    found = values(limited(temperatures, "neg_median_absolute_error"), LABELS, PREDICTIONS)
    assert found == {"neg_median_absolute_error": pytest.approx(-median_absolute_error(LABELS, PREDICTIONS))}


@pytest.mark.parametrize(
    ("name", "labels", "predictions"),
    [
        ("precision", [0, 1, 0], [0.1, 0.2, 0.1]),  # no row is decided yes
        ("f1", [1, 1, 1], [0.1, 0.9, 0.8]),
        ("roc_auc", [1, 1, 1], [0.1, 0.9, 0.8]),
        ("neg_log_loss", [0, 1, 0], [0.1, float("nan"), 0.1]),
        ("recall", [0, 1, 0], [0.1, float("nan"), 0.1]),
        ("log_loss", [], []),
    ],
)
def test_what_is_not_defined_on_the_rows_is_none_and_fails(flights, name, labels, predictions):
    config = limited(flights, name)
    found = values(config, labels, predictions)
    assert found == {name: None}
    assert [each.passed for each in check(found, config.gate.limits)] == [False]


@pytest.mark.parametrize("name", ["r2", "neg_mean_gamma_deviance"])
def test_a_regression_of_one_row_below_zero_has_no_value(temperatures, name):
    assert values(limited(temperatures, name), [-1.0], [-2.0]) == {name: None}


@pytest.mark.parametrize(
    ("value", "failed"),
    [(0.7, []), (0.9, []), (0.99, []), (0.69999, ["roc_auc min"]), (0.99001, ["roc_auc max"])],
)
def test_both_ends_of_a_limit_are_themselves_allowed(value, failed):
    checks = list(check({"roc_auc": value}, {"roc_auc": Limit(min=0.7, max=0.99)}))
    assert [each.name for each in checks] == ["roc_auc min", "roc_auc max"]
    assert [each.name for each in checks if not each.passed] == failed
    assert all("roc_auc" in each.reason and "0." in each.reason for each in checks)


@pytest.mark.parametrize("metrics", [{}, {"roc_auc": None}, {"roc_auc": float("nan")}, {"roc_auc": float("inf")}])
def test_a_metric_that_is_missing_or_no_number_fails_by_name(metrics):
    (only,) = check(metrics, {"roc_auc": Limit(min=0.7)})
    assert not only.passed
    assert only.reason == "roc_auc could not be computed"
