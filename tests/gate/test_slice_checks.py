"""Every group is served: the worst of them, and each beside the champion."""

from dataclasses import replace

import numpy as np
import pytest

from include.contract.metrics import METRICS
from include.gate.slice_checks import HARM, WORST, check
from include.gate.slices import Group, Slices, Small
from tests.gate.groups import AUC, config, failed, fourteen_days, measured, reason, regression

GROUP = Group("airline", "UA", 500, 14, 1.0, 1.0, (-0.1, 0.1), {})
FAIR = Slices("mae", 1.0, 1.0, (GROUP, replace(GROUP, value=None)), (Small("airline", 0, 0),))


def with_group(**change):
    return replace(FAIR, groups=(GROUP, replace(GROUP, value="HA", **change)))


def test_the_worst_group_is_named_with_its_ratio():
    found = measured(*regression({"AA": 1.0, "UA": 1.0, "HA": 6.0}))
    said = reason(found, config(), WORST)
    assert failed(found, config()) == [WORST]
    assert "airline HA (140 rows), the worst of 3 groups" in said
    assert "2.25 times their error, above 2 times" in said


@pytest.mark.parametrize(("value", "passes"), [(2.0, True), (2.001, False)])
def test_the_worst_group_just_passes_and_just_fails(value, passes):
    assert failed(with_group(challenger=value), config()) == ([] if passes else [WORST])


@pytest.mark.parametrize(
    ("metric", "value", "passes"), [("roc_auc", 0.61, True), ("r2", 0.59, False), ("mae", 1.61, False)]
)
def test_a_scores_error_is_what_it_lacks_to_one(metric, value, passes):
    group = replace(GROUP, challenger=value, champion=value)
    slices = Slices(metric, 0.8, 0.8, (group,), (Small("airline", 0, 0),))
    assert failed(slices, config()) == ([] if passes else [WORST])


def test_a_perfect_model_has_no_worst_group():
    group = replace(GROUP, challenger=0.0)
    assert failed(Slices("mae", 0.0, None, (group,), (Small("airline", 0, 0),)), config()) == []


def test_a_group_that_is_clearly_worse_than_with_the_champion_is_named():
    champion = dict.fromkeys(["AA", "UA", "HA"], 1.0)
    found = measured(*regression({"AA": 0.5, "UA": 0.5, "HA": 1.3}, champion))
    assert failed(found, config(ratio=3.0)) == [HARM]
    assert "of 1 of 3 groups is more than 5% above" in reason(found, config(), HARM)
    assert "airline HA (140 rows): mae 1.3" in reason(found, config(), HARM)


@pytest.mark.parametrize(("low", "passes"), [(0.05, True), (0.0501, False)])
def test_only_an_interval_that_lies_beyond_the_tolerance_fails(low, passes):
    assert failed(with_group(interval=(low, 0.5)), config()) == ([] if passes else [HARM])


@pytest.mark.parametrize("change", [{"interval": None}, {"champion": None}, {"interval": (float("nan"), 1.0)}])
def test_a_group_that_could_not_be_compared_fails(change):
    assert failed(with_group(**change), config()) == [HARM]


def test_without_a_champion_no_group_was_served_better():
    found = measured(*regression({"AA": 1.0, "UA": 1.2}))
    assert (found.champion, found.groups[0].champion, found.groups[0].interval) == (None, None, None)
    assert failed(found, config()) == []
    assert "no champion yet" in reason(found, config(), HARM)


def test_chance_alone_hardly_ever_refuses_and_harm_is_seen():
    """40 groups of 60 rows and two equally good models: refused about once in twenty at most."""
    generator = np.random.default_rng(7)
    rmse, settings = METRICS["rmse"], config(metric="rmse", ratio=99)
    groups, blocks = np.arange(2400) % 40, np.arange(2400) // 40 % 14
    columns = {"airline": groups.astype(str).tolist()}
    refused = []
    for _ in range(10):
        ours, theirs = generator.normal(0, 1, (2, 2400))
        for each in (ours, np.where(groups == 3, ours * 3, ours)):
            found = measured(np.zeros(2400), each, theirs, blocks, columns, settings=settings, metric=rmse)
            refused.append(failed(found, settings) == [HARM])
    assert sum(refused[::2]) <= 1
    assert sum(refused[1::2]) >= 9


def test_a_column_without_any_group_to_judge_fails():
    labels, ours, _, blocks, columns = regression({"AA": 1.0, "UA": 1.0})
    found = measured(labels, ours, ours, blocks, {**columns, "tail": [str(row) for row in range(280)]})
    assert failed(found, config()) == [WORST, HARM]
    assert "no group of tail could be computed: none has 20 rows" in reason(found, config(), WORST)


def test_a_group_of_one_class_has_no_auc_and_fails():
    generator = np.random.default_rng(0)
    labels, scores = generator.integers(0, 2, 280).astype(float), generator.random(280)
    labels[:140] = 0
    columns = {"airline": ["AA"] * 140 + ["UA"] * 140}
    found = measured(labels, scores, scores, fourteen_days(280), columns, metric=AUC, threshold=0.5)
    assert failed(found, config()) == [WORST, HARM]
    assert "roc_auc could not be computed for airline AA: too few of one class" in reason(found, config(), WORST)


def test_without_slices_one_check_says_so():
    labels, ours, theirs, blocks, _ = regression({"AA": 1.0})
    (found,) = check(measured(labels, ours, theirs, blocks, {}), config())
    assert found.passed
    assert "names no slices" in found.reason


def test_what_was_not_measured_has_failed():
    settings = config(("airline", "error", 0.1))
    assert failed(None, settings) == [WORST, HARM, "fairness: error by airline"]
