from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import precision_score, recall_score

from include.contract.gate import BalanceConfig
from include.gate.balance import Balance, check, measure

CONFIG = BalanceConfig(ratio=0.5, lift=2.0)
GOOD = Balance(precision=0.5, recall=0.8, prevalence=0.2, selected=0.3)


def failed(balance, config=CONFIG):
    return [each.name for each in check(balance, config) if not each.passed]


def test_precision_and_recall_are_those_of_sklearn():
    random = np.random.default_rng(1)
    predictions = random.uniform(size=200)
    labels = (random.uniform(size=200) < predictions).astype(float)
    found, decisions = measure(labels, predictions, 0.6), predictions >= 0.6
    assert found.precision == pytest.approx(precision_score(labels, decisions))
    assert found.recall == pytest.approx(recall_score(labels, decisions))
    assert (found.prevalence, found.selected) == (labels.mean(), decisions.mean())


def test_a_probability_at_the_threshold_is_a_yes():
    assert measure([1, 0], [0.5, 0.4], 0.5) == Balance(precision=1.0, recall=1.0, prevalence=0.5, selected=0.5)


def test_a_ratio_over_nothing_is_none():
    assert measure([1, 0], [0.1, 0.2], 0.5) == Balance(None, 0.0, 0.5, 0.0)
    assert measure([0, 0], [0.1, 0.9], 0.5) == Balance(0.0, None, 0.0, 0.5)


@pytest.mark.parametrize(
    ("labels", "predictions"), [([], []), ([0, 1], [0.5]), ([0, 1], [0.5, float("nan")]), ([[0]], [[0.5]])]
)
def test_what_cannot_be_measured_is_refused(labels, predictions):
    with pytest.raises(ValueError, match=r"vectors of one length|not finite"):
        measure(labels, predictions, 0.5)


@pytest.mark.parametrize(
    ("change", "names"),
    [
        ({}, []),
        ({"precision": 0.4}, []),  # both exactly at their limits: half of the recall, twice the prevalence
        ({"precision": 0.41, "recall": 0.8201}, ["balance"]),
        ({"recall": 0.25}, []),
        ({"recall": 0.2499}, ["balance"]),
        ({"precision": 0.39999, "recall": 0.5}, ["lift"]),
        ({"precision": None}, ["balance", "lift"]),
        ({"recall": None}, ["balance"]),
        ({"precision": 0.0, "recall": 0.0}, ["balance", "lift"]),
    ],
)
def test_decisions_are_balanced_and_better_than_chance(change, names):
    assert failed(replace(GOOD, **change)) == names


@pytest.mark.parametrize("field", ["precision", "recall", "prevalence", "selected"])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_no_number_no_pass(field, value):
    assert failed(replace(GOOD, **{field: value}))


def test_without_evidence_both_checks_fail_and_say_what_is_missing():
    checks = list(check(None, CONFIG))
    assert [(each.name, each.passed) for each in checks] == [("balance", False), ("lift", False)]
    assert all("precision" in each.reason and "could not be computed" in each.reason for each in checks)


def test_reasons_have_the_numbers():
    balance, lift = check(replace(GOOD, precision=0.123456), CONFIG)
    assert "precision (0.1235) and recall (0.8)" in balance.reason
    assert "0.1543, below 0.5" in balance.reason
    assert "0.1235, below 0.4: a yes says no more than picking" in lift.reason


@given(st.lists(st.tuples(st.booleans(), st.floats(0, 1)), min_size=1, max_size=30), st.floats(0, 1))
def test_saying_yes_to_all_has_the_precision_of_chance(rows, threshold):
    labels, predictions = zip(*rows, strict=True)
    found = measure(labels, predictions, threshold)
    assert 0 <= found.prevalence <= 1
    if found.selected == 1:
        assert found.precision == found.prevalence
        assert failed(found, BalanceConfig(ratio=0, lift=1)) == ([] if found.prevalence else ["balance"])
