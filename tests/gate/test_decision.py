"""The gate approves only what it could check, and says why not."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.contract.gate import ChampionConfig, GateConfig, Limit
from include.gate.check import Check, Verdict
from include.gate.comparison import Comparison
from include.gate.decision import Evidence, judge

CONFIG = GateConfig(
    limits={"log_loss": Limit(max=0.6), "roc_auc": Limit(min=0.7)},
    champion=ChampionConfig(metric="log_loss", margin=0.01, confidence=0.9),
    minimum_rows=200,
    minimum_blocks=7,
)
COMPARISON = Comparison(
    metric="log_loss",
    champion_value=0.58,
    challenger_value=0.55,
    difference=0.03,
    interval=(0.02, 0.04),
    margin=0.01,
    confidence=0.9,
    probability_better=0.99,
    better=True,
    identical=False,
    rows=1000,
    blocks=14,
    resamples=2000,
)
GOOD = Evidence(
    candidate="8",
    champion="7",
    metrics={"log_loss": 0.55, "roc_auc": 0.75},
    rows=1000,
    blocks=14,
    comparison=COMPARISON,
    positives=300,
)


def failed(verdict: Verdict) -> list[str]:
    return [check.name for check in verdict.checks if not check.passed]


def test_a_good_candidate_is_approved_with_the_reasons_of_every_check():
    verdict = judge(GOOD, CONFIG)
    assert verdict.approved
    assert verdict.reasons == tuple(check.reason for check in verdict.checks)
    assert (verdict.candidate, verdict.champion) == ("8", "7")


@pytest.mark.parametrize(
    ("change", "check"),
    [
        ({"rows": 199, "comparison": replace(COMPARISON, rows=199), "positives": 60}, "rows"),
        ({"blocks": 6, "comparison": replace(COMPARISON, blocks=6)}, "blocks"),
        ({"positives": 0}, "classes"),
        ({"positives": 1000}, "classes"),
        ({"metrics": {"log_loss": 0.6001, "roc_auc": 0.75}}, "log_loss max"),
        ({"metrics": {"log_loss": 0.55, "roc_auc": 0.6999}}, "roc_auc min"),
        ({"metrics": {"log_loss": 0.55}}, "roc_auc min"),
        ({"metrics": {"log_loss": None, "roc_auc": 0.75}}, "log_loss max"),
        ({"metrics": {"log_loss": float("nan"), "roc_auc": 0.75}}, "log_loss max"),
        ({"metrics": {"log_loss": float("-inf"), "roc_auc": 0.75}}, "log_loss max"),
        ({"comparison": None}, "comparison"),
        ({"same_digest": True}, "different"),
        ({"comparison": replace(COMPARISON, identical=True)}, "different"),
        ({"comparison": replace(COMPARISON, metric="brier")}, "comparison"),
        ({"comparison": replace(COMPARISON, margin=0.0)}, "comparison"),
        ({"comparison": replace(COMPARISON, confidence=0.8)}, "comparison"),
        ({"comparison": replace(COMPARISON, rows=999)}, "comparison"),
        ({"comparison": replace(COMPARISON, blocks=13)}, "comparison"),
        ({"comparison": replace(COMPARISON, better=False)}, "better"),
        ({"comparison": replace(COMPARISON, interval=(0.01, 0.04))}, "better"),
        ({"comparison": replace(COMPARISON, interval=(float("nan"), 0.04))}, "better"),
        ({"comparison": replace(COMPARISON, difference=float("nan"))}, "better"),
    ],
)
def test_one_fault_refuses_by_its_own_check_and_reason(change, check):
    verdict = judge(replace(GOOD, **change), CONFIG)
    assert not verdict.approved
    assert failed(verdict) == [check]
    assert verdict.reasons == tuple(each.reason for each in verdict.checks if each.name == check)


@pytest.mark.parametrize(
    "change",
    [
        {"rows": 200, "comparison": replace(COMPARISON, rows=200), "positives": 60},
        {"blocks": 7, "comparison": replace(COMPARISON, blocks=7)},
        {"positives": 1},
        {"positives": 999},
        {"positives": None},
        {"metrics": {"log_loss": 0.6, "roc_auc": 0.7}},
        {"comparison": replace(COMPARISON, interval=(0.0101, 0.04))},
    ],
)
def test_what_just_meets_a_limit_passes(change):
    assert judge(replace(GOOD, **change), CONFIG).approved


def test_without_a_champion_only_the_absolute_limits_count_and_it_says_so():
    verdict = judge(replace(GOOD, champion=None, comparison=None), CONFIG)
    assert verdict.approved
    assert any("no champion yet: judged by the absolute limits alone" in reason for reason in verdict.reasons)


def test_without_a_champion_the_absolute_limits_still_refuse():
    first = replace(GOOD, champion=None, comparison=None, metrics={"log_loss": 0.7, "roc_auc": 0.75})
    assert failed(judge(first, CONFIG)) == ["log_loss max"]


def test_a_limit_with_two_ends_is_checked_at_both():
    config = CONFIG.model_copy(update={"limits": {"roc_auc": Limit(min=0.7, max=0.99)}})  # too good is a leak
    assert failed(judge(replace(GOOD, metrics={"roc_auc": 0.995}), config)) == ["roc_auc max"]


def test_a_verdict_survives_json_even_with_nan_in_the_evidence():
    verdict = judge(replace(GOOD, metrics={"log_loss": float("nan")}), CONFIG)
    assert Verdict.from_dict(json.loads(json.dumps(verdict.to_dict(), allow_nan=False))) == verdict
    assert Evidence.from_dict(GOOD.to_dict()) == GOOD


def test_checks_carry_value_and_limit():
    assert Check("roc_auc min", True, 0.75, 0.7, "roc_auc 0.75 is at least 0.7") in judge(GOOD, CONFIG).checks


VALUES = st.none() | st.floats() | st.just(0.55)


@given(
    metrics=st.dictionaries(st.sampled_from(["log_loss", "roc_auc", "brier"]), VALUES),
    rows=st.integers(0, 2000),
    blocks=st.integers(0, 30),
    champion=st.none() | st.just("7"),
)
def test_nothing_is_ever_approved_while_a_limited_metric_is_missing_or_out_of_bounds(metrics, rows, blocks, champion):
    comparison = replace(COMPARISON, rows=rows, blocks=blocks)
    verdict = judge(Evidence("8", champion, metrics, rows, blocks, comparison), CONFIG)
    within = (metrics.get("log_loss") or 0.0) <= 0.6 and (metrics.get("roc_auc") or 0.0) >= 0.7
    known = all(isinstance(metrics.get(name), float) for name in CONFIG.limits)
    if verdict.approved:
        assert known
        assert within
        assert rows >= 200
        assert blocks >= 7


@given(interval=st.tuples(st.floats(), st.floats()), difference=st.floats())
def test_no_champion_is_replaced_without_a_lower_bound_above_the_margin(interval, difference):
    comparison = replace(COMPARISON, interval=interval, difference=difference)
    assert judge(replace(GOOD, comparison=comparison), CONFIG).approved <= (interval[0] > 0.01)
