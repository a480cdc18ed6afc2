"""The gate approves only what it could check, and says why not."""

import json
import math
from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.contract.gate import FairnessConfig, Limit
from include.gate.check import Verdict
from include.gate.decision import judge
from include.gate.evidence import Evidence
from tests.gate.sample import COMPARISON, CONFIG, GOOD

REGRESSION = replace(GOOD, positives=None, balance=None, calibration=None)
FIRST = replace(
    GOOD,
    champion=None,
    comparison=None,
    champion_learned_until=None,
    slices=replace(
        GOOD.slices,
        champion=None,
        groups=tuple(replace(each, champion=None, interval=None) for each in GOOD.slices.groups),
    ),
    stability=replace(GOOD.stability, champion_flipped=None, champion_distance=None),
    signature=replace(GOOD.signature, champion=None, row_requests=0),
)


def failed(verdict: Verdict) -> list[str]:
    return [check.name for check in verdict.checks if not check.passed]


def test_a_good_candidate_is_approved_with_what_there_is_to_gain():
    verdict = judge(GOOD, "classification", CONFIG)
    assert verdict.approved
    (gain,) = (check.reason for check in verdict.checks if check.name == "gain")
    assert verdict.reasons == (gain, f"all {len(verdict.checks)} checks passed")
    assert (verdict.candidate, verdict.champion) == ("8", "7")
    assert len({check.name for check in verdict.checks}) == len(verdict.checks)


MISSING: dict[str, tuple[Any, str]] = {
    "rows": (0, "0 rows in the test stretch are too few"),
    "blocks": (0, "0 blocks in the test stretch are too few"),
    "positives": (None, "the number of positives"),
    "metrics": ({}, "log_loss could not be computed"),
    "comparison": (None, "the comparison with champion 7"),
    "test_start": (None, "the start of the test stretch"),
    "champion_learned_until": (None, "until when champion 7 has learned"),
    "balance": (None, "precision and recall"),
    "calibration": (None, "calibration error"),
    "slices": (None, "the groups of rows"),
    "stability": (None, "the prediction of the same rows again"),
    "behaviours": (None, "the behaviours"),
    "trial": (None, "the answers of a staging process"),
    "signature": (None, "the features that the candidate needs"),
    "skew": (None, "training-serving skew"),
    "freshness": (None, "the age of the data"),
    "documents": (None, "whether there is a model card"),
}
NEVER_MISSING = {"candidate", "champion", "same_digest", "withdrawn", "failures"}


def test_the_table_of_what_can_be_missing_has_every_field():
    assert set(MISSING) | NEVER_MISSING == {field.name for field in fields(Evidence)}


@pytest.mark.parametrize("field", MISSING)
def test_whatever_is_missing_refuses_and_is_named(field):
    value, said = MISSING[field]
    verdict = judge(replace(GOOD, **{field: value}), "classification", CONFIG)
    assert not verdict.approved
    assert any(said in reason for reason in verdict.reasons)


def test_of_nothing_but_names_every_theme_is_refused():
    bare = Evidence("8", "7", rows=0, blocks=0, positives=None, metrics={})
    verdict = judge(bare, "classification", CONFIG)
    passed = [check.name for check in verdict.checks if check.passed]
    assert passed == ["not withdrawn", "different", "evidence"]


@pytest.mark.parametrize(
    ("change", "names"),
    [
        ({"metrics": {"log_loss": 0.6001, "roc_auc": 0.75}}, ["log_loss max"]),
        ({"metrics": {"log_loss": 0.55, "roc_auc": 0.6999}}, ["roc_auc min"]),
        ({"same_digest": True}, ["different"]),
        ({"withdrawn": ("3",)}, ["not withdrawn"]),
        ({"comparison": replace(COMPARISON, interval=(0.01, 0.04))}, ["gain"]),
        ({"balance": replace(GOOD.balance, precision=0.1, recall=0.6)}, ["balance", "lift"]),
        ({"calibration": replace(GOOD.calibration, error=0.16)}, ["calibration error"]),
        ({"stability": replace(GOOD.stability, noise_flipped=0.06)}, ["change by noise"]),
        ({"behaviours": (replace(GOOD.behaviours[0], problem="raised"),)}, ["behaviour: longer is later"]),
        ({"trial": replace(GOOD.trial, difference=1e-8)}, ["staging"]),
        ({"trial": replace(GOOD.trial, problems=("it never came up",))}, ["staging"]),
        ({"trial": replace(GOOD.trial, golden_rows=0)}, ["staging"]),
        ({"trial": replace(GOOD.trial, cost=replace(GOOD.trial.cost, memory=1024.5))}, ["memory"]),
        ({"failures": {"skew": "OSError: no space left"}}, ["evidence"]),
        ({"signature": replace(GOOD.signature, given=())}, ["features"]),
        ({"skew": replace(GOOD.skew, skewed={"distance": 1})}, ["skew"]),
        ({"documents": replace(GOOD.documents, card=False)}, ["model card"]),
    ],
)
def test_one_fault_refuses_by_its_own_check_and_reason(change, names):
    verdict = judge(replace(GOOD, **change), "classification", CONFIG)
    assert not verdict.approved
    assert failed(verdict) == names
    assert verdict.reasons == tuple(each.reason for each in verdict.checks if each.name in names)


def test_a_regression_has_no_checks_of_classes_decisions_or_probabilities():
    classification, regression = (
        {check.name for check in judge(REGRESSION, task, CONFIG).checks} for task in ("classification", "regression")
    )
    assert judge(REGRESSION, "regression", CONFIG).approved
    assert classification - regression == {"classes", "balance", "lift", "calibration error", "calibration slope"}


def test_without_a_champion_only_the_absolute_limits_count_and_it_says_so():
    verdict = judge(FIRST, "classification", CONFIG)
    assert verdict.approved
    assert any("no champion yet: judged by the absolute limits alone" in reason for reason in verdict.reasons)


def test_without_a_champion_the_absolute_limits_still_refuse():
    verdict = judge(replace(FIRST, metrics={"log_loss": 0.7, "roc_auc": 0.75}), "classification", CONFIG)
    assert failed(verdict) == ["log_loss max"]


def test_a_fairness_rule_without_groups_refuses():
    rule = FairnessConfig(column="region", measure="selection_rate", difference=0.1)
    assert not judge(GOOD, "classification", CONFIG.model_copy(update={"fairness": (rule,)})).approved


def numbers(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The place of every float in a record."""
    if is_dataclass(value):
        for field in fields(value):
            yield from numbers(getattr(value, field.name), (*path, field.name))
    elif isinstance(value, dict):
        for key, each in value.items():
            yield from numbers(each, (*path, key))
    elif isinstance(value, tuple):
        for position, each in enumerate(value):
            yield from numbers(each, (*path, position))
    elif isinstance(value, float):
        yield path


def put(value: Any, path: tuple[Any, ...], number: float) -> Any:
    if not path:
        return number
    key, *rest = path
    if is_dataclass(value):
        return replace(value, **{key: put(getattr(value, key), tuple(rest), number)})
    if isinstance(value, dict):
        return {**value, key: put(value[key], tuple(rest), number)}
    return (*value[:key], put(value[key], tuple(rest), number), *value[key + 1 :])


# no check is made of these
TOLD_ONLY = {("calibration", "intercept"), ("stability", "champion_distance"), ("slices", "champion")}


@pytest.mark.parametrize("path", sorted(set(numbers(GOOD)) - TOLD_ONLY, key=str), ids=str)
def test_nan_in_a_number_never_approves(path):
    assert not judge(put(GOOD, path, math.nan), "classification", CONFIG).approved


VALUES = st.none() | st.floats() | st.just(0.55)


@given(
    metrics=st.dictionaries(st.sampled_from(["log_loss", "roc_auc", "brier"]), VALUES),
    rows=st.integers(0, 2000),
    blocks=st.integers(0, 30),
    champion=st.none() | st.just("7"),
    gone=st.sets(st.sampled_from(sorted(set(MISSING) - {"rows", "blocks", "metrics"})), max_size=2),
)
def test_a_verdict_approves_if_and_only_if_every_check_passed(metrics, rows, blocks, champion, gone):
    evidence = GOOD if champion else FIRST
    comparison = replace(COMPARISON, rows=rows, blocks=blocks) if champion else None
    evidence = replace(evidence, metrics=metrics, rows=rows, blocks=blocks, comparison=comparison)
    verdict = judge(replace(evidence, **dict.fromkeys(gone)), "classification", CONFIG)
    assert verdict.approved == all(check.passed for check in verdict.checks)
    if verdict.approved:
        assert metrics["log_loss"] <= 0.6
        assert metrics["roc_auc"] >= 0.7
        assert rows >= 200
        assert blocks >= 7
    else:
        assert verdict.reasons == tuple(check.reason for check in verdict.checks if not check.passed)


def test_records_survive_json_even_with_nan_in_the_evidence():
    verdict = judge(replace(GOOD, metrics={"log_loss": math.nan}), "classification", CONFIG)
    assert Verdict.from_dict(json.loads(json.dumps(verdict.to_dict(), allow_nan=False))) == verdict
    for evidence in (GOOD, FIRST, REGRESSION):
        read = Evidence.from_dict(json.loads(json.dumps(evidence.to_dict(), allow_nan=False)))
        assert read == evidence
        assert read.id == evidence.id


@pytest.mark.parametrize(
    "change", [{"rows": 999}, {"metrics": {"log_loss": 0.55}}, {"withdrawn": ("3",)}, {"skew": None}]
)
def test_other_evidence_has_another_id(change):
    assert replace(GOOD, **change).id != GOOD.id
    assert len(GOOD.id) == 16


@pytest.mark.parametrize("field", ["test_start", "champion_learned_until"])
def test_an_instant_without_a_time_zone_is_no_evidence(field):
    with pytest.raises(ValueError, match=f"{field}: .* has no time zone"):
        replace(GOOD, **{field: getattr(GOOD, field).replace(tzinfo=None)})


def test_every_check_has_a_reason_and_a_limit_that_json_can_hold():
    config = CONFIG.model_copy(update={"limits": {"roc_auc": Limit(min=0.7, max=0.99)}})  # too good is a leak
    verdict = judge(replace(GOOD, metrics={"roc_auc": 0.995}), "classification", config)
    assert failed(verdict) == ["roc_auc max"]
    assert all(check.reason and math.isfinite(check.limit or 0) for check in verdict.checks)
