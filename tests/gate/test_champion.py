from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.gate.champion import check
from include.gate.comparison import Outcomes
from tests.gate.sample import COMPARISON, CONFIG, GOOD, TEST_START

NAN = float("nan")
TOLERANT = CONFIG.champion.model_copy(update={"rule": "non-inferiority"})
NOT_WORSE = replace(COMPARISON, rule="non-inferiority", difference=-0.001, interval=(-0.005, 0.003))


def failed(config=CONFIG.champion, **change):
    return {each.name: each.reason for each in check(replace(GOOD, **change), config) if not each.passed}


def compared(**change):
    return {"comparison": replace(COMPARISON, **change)}


@pytest.mark.parametrize(
    ("change", "names"),
    [
        ({}, []),
        (compared(interval=(0.010001, 0.04)), []),
        (compared(interval=(0.01, 0.04)), ["gain"]),
        (compared(interval=(-0.01, 0.04)), ["gain"]),
        (compared(interval=(NAN, 0.04)), ["gain"]),
        (compared(interval=(0.02, NAN)), ["gain"]),
        (compared(interval=(0.02, float("inf"))), ["gain"]),
        (compared(difference=NAN), ["gain"]),
        (compared(champion_value=NAN), ["gain"]),
        (compared(challenger_value=NAN), ["gain"]),
        (compared(probabilities=Outcomes(NAN, 0.1, 0.1)), ["gain"]),
        (compared(probabilities=Outcomes(0.9, NAN, 0.1)), ["gain"]),
        (compared(probabilities=Outcomes(0.9, 0.1, NAN)), ["gain"]),
        (compared(metric="brier"), ["comparison"]),
        (compared(margin=0.0), ["comparison"]),
        (compared(margin=NAN), ["comparison", "gain"]),
        (compared(confidence=0.8), ["comparison"]),
        (compared(confidence=NAN), ["comparison"]),
        (compared(rule="non-inferiority"), ["comparison"]),
        (compared(rows=999), ["comparison"]),
        (compared(blocks=13), ["comparison"]),
        (compared(identical=True), ["different"]),
        ({"same_digest": True}, ["different"]),
        ({"comparison": None}, ["comparison"]),
        ({"withdrawn": ("3",)}, ["not withdrawn"]),
        ({"champion_learned_until": TEST_START}, []),
        ({"champion_learned_until": TEST_START + timedelta(microseconds=1)}, ["later window"]),
        ({"champion_learned_until": None}, ["later window"]),
        ({"test_start": None}, ["later window"]),
    ],
)
def test_a_champion_is_replaced_by_a_fair_and_proven_gain_alone(change, names):
    assert list(failed(**change)) == names


@pytest.mark.parametrize(
    ("change", "names"),
    [
        ({}, []),
        ({"interval": (-0.009999, 0.0)}, []),
        ({"interval": (-0.01, 0.0)}, ["gain"]),
        ({"interval": (-0.02, 0.05)}, ["gain"]),
        ({"interval": (NAN, 0.05)}, ["gain"]),
        ({"identical": True}, ["different"]),
        ({"rule": "superiority"}, ["comparison", "gain"]),
    ],
)
def test_non_inferiority_forgives_less_than_the_margin(change, names):
    assert list(failed(TOLERANT, comparison=replace(NOT_WORSE, **change))) == names


@pytest.mark.parametrize("config", [CONFIG.champion, TOLERANT])
def test_the_very_same_model_has_nothing_to_gain_by_either_rule(config):
    comparison = replace(COMPARISON if config is CONFIG.champion else NOT_WORSE, identical=True)
    assert "nothing to gain" in failed(config, comparison=comparison)["different"]
    assert "nothing to gain" in failed(config, same_digest=True)["different"]


def test_without_a_champion_one_check_says_so():
    found = list(check(replace(GOOD, champion=None, comparison=None), CONFIG.champion))
    assert all(each.passed for each in found)
    assert [each.reason for each in found if each.name == "champion"] == [
        "there is no champion yet: judged by the absolute limits alone"
    ]
    assert [each.name for each in found] == ["not withdrawn", "champion"]


@pytest.mark.parametrize("champion", ["7", None])
def test_what_was_rolled_back_does_not_come_back_this_way(champion):
    said = "rolled back from production; to bring it back use the rollback DAG"
    one = failed(champion=champion, withdrawn=("3",))["not withdrawn"]
    assert one == f"version 3 is the same model and was {said}"
    assert failed(champion=champion, withdrawn=("3", "5"))["not withdrawn"] == (
        f"versions 3, 5 are the same model and were {said}"
    )


def test_the_reason_of_a_gain_has_its_numbers():
    gain = list(check(GOOD, CONFIG.champion))[-1]
    assert (gain.name, gain.value, gain.limit) == ("gain", 0.03, 0.01)
    assert "log_loss 0.55 is 0.03 better than that of champion 7, 0.58 (gain +0.02 to +0.04)" in gain.reason
    assert "with 0.9 confidence the gain is above 0.01 (superiority)" in gain.reason
    assert "better is 0.99, alike 0.01, worse 0" in gain.reason
    worse = list(check(replace(GOOD, comparison=NOT_WORSE), TOLERANT))[-1]
    assert worse.limit == -0.01
    assert "0.001 worse than" in worse.reason
    assert "above -0.01 (non-inferiority)" in worse.reason


def test_a_gain_that_is_no_number_is_said_to_be_missing():
    assert failed(**compared(difference=NAN))["gain"] == "the gain over champion 7 could not be computed"


def test_reasons_name_what_is_missing_and_what_is_not_as_asked():
    assert "until when champion 7 has learned" in failed(champion_learned_until=None)["later window"]
    assert "start of the test stretch" in failed(test_start=None)["later window"]
    assert "the comparison with champion 7 could not be computed" in failed(comparison=None)["comparison"]
    assert "rows 999 instead of 1000" in failed(**compared(rows=999))["comparison"]
    late = failed(champion_learned_until=TEST_START + timedelta(days=2))["later window"]
    assert "has learned until 2013-03-03 00:00 UTC, the test stretch starts 2013-03-01 00:00 UTC" in late


@given(interval=st.tuples(st.floats(), st.floats()), difference=st.floats(), tolerant=st.booleans())
def test_no_champion_is_replaced_without_a_lower_bound_where_the_rule_wants_it(interval, difference, tolerant):
    config, comparison = (TOLERANT, NOT_WORSE) if tolerant else (CONFIG.champion, COMPARISON)
    faults = failed(config, comparison=replace(comparison, interval=interval, difference=difference))
    assert ("gain" in faults) or interval[0] > (-0.01 if tolerant else 0.01)
