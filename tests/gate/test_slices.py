"""Every group is served: the worst, each beside the champion, and one like the other."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from include.contract.gate import ChampionConfig, FairnessConfig, GateConfig, Limit, SlicesConfig
from include.contract.metrics import METRICS
from include.gate.slices import HARM, MOST_SLICES, WORST, Group, Slices, Small, check, measure

MAE, AUC, LOG_LOSS = METRICS["mae"], METRICS["roc_auc"], METRICS["log_loss"]
MEASURES = ["selection_rate", "true_positive_rate", "false_positive_rate", "precision", "calibration", "error", "bias"]


def config(*fairness, metric="mae", **slices):
    options = {"minimum_rows": 20, "ratio": 2.0, "tolerance": 0.05, "confidence": 0.95, **slices}
    return GateConfig(
        limits={metric: Limit(max=9)},
        champion=ChampionConfig(metric=metric, resamples=400),
        slices=SlicesConfig(**options),
        fairness=tuple(FairnessConfig(column=column, measure=name, difference=d) for column, name, d in fairness),
    )


def fourteen_days(rows):
    return np.array([f"2013-03-{day % 14 + 1:02}" for day in range(rows)])


def regression(errors, champion=None, rows=140, seed=1):
    """Groups with mean absolute errors near those given, for the challenger and for the champion."""
    generator = np.random.default_rng(seed)
    names = np.repeat(list(errors), rows)
    daily = np.tile(generator.normal(1, 0.05, 14), len(names) // 14)
    ours = np.repeat(list(errors.values()), rows) * daily
    theirs = None if champion is None else np.repeat(list(champion.values()), rows) * daily
    return np.zeros(len(names)), ours, theirs, fourteen_days(len(names)), {"airline": names.tolist()}


def measured(labels, ours, theirs, blocks, columns, *, settings=None, metric=MAE, threshold=None, seed=5):
    settings = settings or config(metric=metric.name)
    return measure(
        metric.task,
        metric,
        labels,
        ours,
        theirs,
        blocks,
        columns,
        config=settings,
        threshold=threshold,
        seed=seed,
    )


def failed(slices, settings):
    return [each.name for each in check(slices, settings) if not each.passed]


def reason(slices, settings, name):
    return next(each.reason for each in check(slices, settings) if each.name == name)


GROUP = Group("airline", "UA", 500, 14, 1.0, 1.0, (-0.1, 0.1), {})
FAIR = Slices("mae", 1.0, 1.0, (GROUP, replace(GROUP, value=None)), (Small("airline", 0, 0),))


def with_group(**change):
    return replace(FAIR, groups=(GROUP, replace(GROUP, value="HA", **change)))


def test_groups_are_measured_and_small_ones_counted():
    labels, ours, theirs, blocks, columns = regression({"AA": 1.0, "UA": 2.0}, {"AA": 1.0, "UA": 1.0})
    columns["airline"][:9] = [None] * 9
    found = measured(labels, ours, theirs, blocks, columns)
    assert [(str(each), each.rows, each.blocks) for each in found.groups] == [
        ("airline UA", 140, 14),
        ("airline AA", 131, 14),
    ]
    assert found.small == (Small("airline", 1, 9),)
    assert found.groups[0].challenger == pytest.approx(2, rel=0.05)
    low, high = found.groups[0].interval
    assert low < found.groups[0].challenger - found.groups[0].champion < high
    assert Slices.from_dict(found.to_dict()) == found


def test_missing_values_are_a_group():
    labels, ours, theirs, blocks, _ = regression({"AA": 1.0})
    (group,) = measured(labels, ours, theirs, blocks, {"airline": [None] * 140}).groups
    assert str(group) == "airline missing"


def test_rows_of_a_single_block_are_no_group_to_judge():
    labels, ours, theirs, _, columns = regression({"AA": 1.0, "UA": 2.0})
    blocks = np.where(np.arange(280) < 140, "2013-03-01", fourteen_days(280))
    found = measured(labels, ours, theirs, blocks, columns)
    assert [each.value for each in found.groups] == ["UA"]
    assert found.small == (Small("airline", 1, 140),)


def test_the_largest_of_many_groups_are_judged():
    rows = (MOST_SLICES + 5) * 20
    names = [str(row % (MOST_SLICES + 5)) for row in range(rows)]
    found = measured(np.zeros(rows), np.ones(rows), None, fourteen_days(rows), {"tail": names})
    assert len(found.groups) == MOST_SLICES
    assert found.small == (Small("tail", 5, 100),)


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


def decisions():
    """Two groups whose every measure was counted by hand, at a threshold of .5."""
    ours = {
        "AA": [(1, 0.9)] * 4 + [(1, 0.1)] * 4 + [(0, 0.9)] * 2 + [(0, 0.1)] * 10,
        "UA": [(1, 0.9)] * 6 + [(1, 0.1)] * 2 + [(0, 0.9)] * 6 + [(0, 0.1)] * 6,
    }
    labels, scores = np.array([*ours["AA"], *ours["UA"]], dtype=float).T
    return labels, scores, None, fourteen_days(40), {"airline": ["AA"] * 20 + ["UA"] * 20}


@pytest.mark.parametrize(
    ("name", "difference"),
    [
        ("selection_rate", 12 / 20 - 6 / 20),
        ("true_positive_rate", 6 / 8 - 4 / 8),
        ("false_positive_rate", 6 / 12 - 2 / 12),
        ("precision", 4 / 6 - 6 / 12),
        ("calibration", 0.24),
        ("bias", 0.24),
    ],
)
def test_each_measure_of_fairness_just_passes_and_just_fails(name, difference):
    for limit, passes in ((difference + 1e-9, True), (difference - 1e-9, False)):
        settings = config(("airline", name, limit), metric="log_loss", ratio=9)
        found = measured(*decisions(), settings=settings, metric=LOG_LOSS, threshold=0.5)
        assert failed(found, settings) == ([] if passes else [f"fairness: {name} by airline"])
    said = reason(found, settings, f"fairness: {name} by airline")
    assert "for airline AA" in said and "for airline UA" in said


def test_the_error_of_groups_may_differ_by_so_much():
    settings = config(("airline", "error", 0.5), ratio=9)
    assert failed(measured(*regression({"AA": 1.0, "UA": 1.4}), settings=settings), settings) == []
    assert failed(measured(*regression({"AA": 1.0, "UA": 1.6}), settings=settings), settings) == [
        "fairness: error by airline"
    ]


@pytest.mark.parametrize("name", MEASURES[:4])
def test_a_regression_has_no_measures_of_decisions(name):
    settings = config(("airline", name, 0.5))
    found = measured(*regression({"AA": 1.0, "UA": 1.0}), settings=settings)
    assert "could not be computed" in reason(found, settings, f"fairness: {name} by airline")
    assert failed(found, settings) == [f"fairness: {name} by airline"]


@pytest.mark.parametrize("columns", [{}, {"airline": ["AA"] * 280}, {"airline": ["AA"] * 261 + ["UA"] * 19}])
def test_fairness_without_two_groups_cannot_be_computed(columns):
    settings = config(("airline", "error", 0.5))
    labels, ours, theirs, blocks, _ = regression({"AA": 1.0, "UA": 1.0})
    found = measured(labels, ours, theirs, blocks, columns, settings=settings)
    assert "fairness: error by airline" in failed(found, settings)
    assert "two groups of airline" in reason(found, settings, "fairness: error by airline")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"columns": {"airline": ["AA"]}}, "column airline has 1 values for 140 rows"),
        ({"ours": np.full(140, np.nan)}, "140 of 140 predictions are not finite"),
        ({"theirs": np.ones(3)}, "vectors of one length"),
        ({"metric": AUC}, "'roc_auc' is no metric of a regression"),
    ],
)
def test_what_cannot_be_measured_is_refused(change, said):
    names = ("labels", "ours", "theirs", "blocks", "columns")
    given_ = {**dict(zip(names, regression({"AA": 1.0}), strict=True)), "metric": MAE, **change}
    with pytest.raises(ValueError, match=said):
        measure(
            "regression",
            given_["metric"],
            given_["labels"],
            given_["ours"],
            given_["theirs"],
            given_["blocks"],
            given_["columns"],
            config=config(),
            threshold=None,
            seed=1,
        )


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**20))
def test_the_order_of_rows_does_not_matter(seed):
    order = np.random.default_rng(seed).permutation(280)
    labels, ours, theirs, blocks, columns = regression({"AA": 1.0, "UA": 2.0}, {"AA": 1.1, "UA": 1.9})
    shuffled = {"airline": [columns["airline"][row] for row in order]}
    one = measured(labels, ours, theirs, blocks, columns)
    other = measured(labels[order], ours[order], theirs[order], blocks[order], shuffled)
    for before, after in zip(one.groups, other.groups, strict=True):
        assert before.value == after.value
        assert after.challenger == pytest.approx(before.challenger)
        assert after.interval == pytest.approx(before.interval)


@settings(max_examples=15, deadline=None)
@given(scores=st.lists(st.floats(0.01, 0.99), min_size=20, max_size=40), name=st.sampled_from(MEASURES))
def test_identical_groups_have_no_disparity(scores, name):
    rules = config(("airline", name, 1e-12), metric="log_loss", ratio=99)
    labels = np.tile([0.0, 1.0], len(scores))[: len(scores)]
    found = measured(
        np.tile(labels, 2),
        np.tile([0.9, *scores[1:]], 2),
        None,
        np.tile(fourteen_days(len(scores)), 2),
        {"airline": ["AA"] * len(scores) + ["UA"] * len(scores)},
        settings=rules,
        metric=LOG_LOSS,
        threshold=0.5,
    )
    (fair,) = [each for each in check(found, rules) if each.name.startswith("fairness")]
    assert fair.value == 0
    assert fair.passed
