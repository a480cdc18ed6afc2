"""The table of scorers holds what scikit-learn has, and scores as scikit-learn does."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import get_scorer, get_scorer_names
from sklearn.model_selection import FixedThresholdClassifier

from include.contract.metrics import METRICS, SCORERS, UNFIT, why_no_limit

ROOT = Path(__file__).parents[2]
RANDOM = np.random.default_rng(7)
X = RANDOM.normal(size=(300, 3))
CLASSES = (X[:, 0] + RANDOM.normal(size=300) > 0.5).astype(float)
VALUES = np.exp(X[:, 0] / 4) + 3
CLASSIFIER = LogisticRegression().fit(X, CLASSES)
PROBABILITIES = CLASSIFIER.predict_proba(X)[:, 1]
REGRESSION = LinearRegression().fit(X, VALUES)
PREDICTED = REGRESSION.predict(X)


def test_every_scorer_of_sklearn_is_in_the_table_or_is_named_with_the_reason_why_not():
    assert set(SCORERS) | set(UNFIT) == set(get_scorer_names())
    assert not set(SCORERS) & set(UNFIT)
    assert all(UNFIT.values())


@pytest.mark.parametrize("threshold", [0.3, 0.5])
@pytest.mark.parametrize("name", [name for name, scorer in SCORERS.items() if scorer.task == "classification"])
def test_a_scorer_of_a_classification_scores_as_sklearn_does(name, threshold):
    fixed = FixedThresholdClassifier(
        FrozenEstimator(CLASSIFIER), threshold=threshold, response_method="predict_proba"
    ).fit(X, CLASSES)
    assert SCORERS[name](CLASSES, PROBABILITIES, threshold) == pytest.approx(get_scorer(name)(fixed, X, CLASSES))


@pytest.mark.parametrize("name", [name for name, scorer in SCORERS.items() if scorer.task == "regression"])
def test_a_scorer_of_a_regression_scores_as_sklearn_does(name):
    assert SCORERS[name](VALUES, PREDICTED) == pytest.approx(get_scorer(name)(REGRESSION, X, VALUES))


@pytest.mark.parametrize("name", sorted(set(METRICS) & set(SCORERS)))
def test_a_name_that_is_also_a_metric_means_the_same(name):
    assert SCORERS[name].task == METRICS[name].task
    rows = (CLASSES, PROBABILITIES) if METRICS[name].task == "classification" else (VALUES, PREDICTED)
    assert SCORERS[name](*rows) == pytest.approx(METRICS[name](*rows))


def test_only_scorers_of_decisions_heed_the_threshold():
    scorers = [scorer for scorer in SCORERS.values() if scorer.task == "classification"]
    heeding = {s.name for s in scorers if s(CLASSES, PROBABILITIES, 0.3) != s(CLASSES, PROBABILITIES, 0.7)}
    assert heeding == {scorer.name for scorer in scorers if scorer.response == "decision"}


def test_a_probability_at_the_threshold_is_a_yes():
    assert SCORERS["recall"](np.array([1.0, 0.0]), np.array([0.5, 0.4]), 0.5) == 1


@pytest.mark.parametrize(
    ("name", "labels", "predictions", "threshold"),
    [
        ("f1", [0.0, 1.0], [0.2, 0.8], None),
        ("f1", [0.0, 1.0], [float("nan"), 0.8], 0.5),
        ("f1", [1.0, 1.0], [0.2, 0.8], 0.5),
        ("neg_log_loss", [1.0, 1.0], [0.2, 0.8], 0.5),
        ("neg_mean_gamma_deviance", [-1.0, 1.0], [0.2, 0.8], None),
        ("neg_max_error", [1.0, 2.0], [1.0, float("inf")], None),
    ],
)
def test_what_is_not_defined_is_an_error(name, labels, predictions, threshold):
    with pytest.raises(ValueError, match=r"defined|threshold|strictly positive"):
        SCORERS[name](np.array(labels), np.array(predictions), threshold)


def test_a_division_by_nothing_is_told_by_sklearn():
    with pytest.warns(UndefinedMetricWarning, match="Precision is ill-defined"):
        SCORERS["precision"](np.array([0.0, 1.0]), np.array([0.1, 0.2]), 0.5)


@pytest.mark.parametrize(
    ("name", "task", "said"),
    [
        ("f_1", "classification", "did you mean f1?"),
        ("balanced_acuracy", "classification", "did you mean balanced_accuracy"),
        ("logloss", "classification", "did you mean log_loss"),
        ("median_absolute_error", "regression", "did you mean neg_median_absolute_error"),
        ("rmse", "classification", "but of a regression"),
        ("f1", "regression", "but of a classification"),
        ("adjusted_rand_score", "classification", "it compares clusterings"),
        ("precision_samples", "classification", "several labels"),
        ("roc_auc_ovr", "classification", "for two it is roc_auc"),
        ("top_k_accuracy", "classification", "more than two classes"),
        ("zzz", "regression", "expected mae, r2, rmse, or another scorer of scikit-learn"),
    ],
)
def test_a_name_that_cannot_be_a_limit_is_answered_with_the_cure(name, task, said):
    found = why_no_limit(name, task)
    assert found is not None
    assert found.startswith(f"{name!r} is no metric of a {task}")
    assert said in found
    assert len(found) < 200


@pytest.mark.parametrize("name", sorted({*METRICS, *SCORERS}))
def test_a_name_is_a_limit_of_its_own_task_alone(name):
    task = ({**SCORERS, **METRICS})[name].task
    other = {"classification": "regression", "regression": "classification"}[task]
    assert why_no_limit(name, task) is None
    assert why_no_limit(name, other)


def test_a_configuration_is_checked_without_importing_scikit_learn():
    program = (
        "import sys; from pathlib import Path; from include.contract.loading import read_config;"
        "read_config(Path('tests/use_cases/station_temperature/use_case.yaml'));"
        "print([name for name in ('sklearn', 'numpy') if name in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    assert ran.stdout.strip() == "[]"
