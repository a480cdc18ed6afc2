from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.gate.signature import Difference, Signature, check, difference
from include.registry.model_input import Feature

WIND, CARRIER, DAY = Feature("wind", "numeric"), Feature("carrier", "categorical"), Feature("holiday", "boolean")
INPUT = (WIND, CARRIER, DAY)
GOOD = Signature(required=INPUT, given=INPUT, champion=INPUT, row_requests=5)


def failed(signature, champion="7"):
    return {each.name: each.reason for each in check(signature, champion) if not each.passed}


def test_the_same_input_passes_in_any_order():
    assert failed(replace(GOOD, given=INPUT[::-1], champion=INPUT[::-1])) == {}


def test_the_feature_store_may_give_more():
    assert failed(replace(GOOD, given=(*INPUT, Feature("rain", "numeric")))) == {}


@pytest.mark.parametrize("kind", ["boolean", "numeric"])
def test_numbers_and_booleans_are_the_same_to_the_estimator(kind):
    assert failed(replace(GOOD, given=(Feature("wind", kind), CARRIER, Feature("holiday", kind)))) == {}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ((WIND, CARRIER), "the feature store does not give holiday (boolean)"),
        ((), "does not give wind (numeric); does not give carrier (categorical); does not give holiday (boolean)"),
        ((Feature("wind", "categorical"), CARRIER, DAY), "gives wind as categorical instead of numeric"),
        ((WIND, Feature("carrier", "boolean"), DAY), "gives carrier as boolean instead of categorical"),
    ],
)
def test_every_feature_that_is_missing_or_of_another_kind_is_named(given, said):
    faults = failed(replace(GOOD, given=given))
    assert list(faults) == ["features"]
    assert said in faults["features"]


@pytest.mark.parametrize(
    ("champion", "said"),
    [
        ((WIND, CARRIER), "new: holiday"),
        ((*INPUT, Feature("rain", "numeric")), "gone: rain"),
        ((WIND, CARRIER, Feature("holiday", "numeric")), "changed: holiday (boolean instead of numeric)"),
    ],
)
def test_another_input_breaks_clients_that_send_rows_and_only_those(champion, said):
    changed = replace(GOOD, champion=champion)
    assert list(failed(changed)) == ["clients"]
    assert said in failed(changed)["clients"]
    assert "5 requests" in failed(changed)["clients"]
    unused = replace(changed, row_requests=0)
    assert failed(unused) == {}
    reason = list(check(unused, "7"))[1].reason
    assert said in reason
    assert "no client has sent complete rows" in reason


def test_without_a_champion_no_client_can_be_broken():
    assert failed(replace(GOOD, champion=None, row_requests=0), None) == {}
    assert list(failed(replace(GOOD, champion=None, row_requests=1), None)) == ["clients"]


def test_a_champion_whose_input_is_unknown_fails():
    assert failed(replace(GOOD, champion=None, row_requests=0)) == {
        "clients": "the input of champion 7 could not be computed"
    }


@pytest.mark.parametrize("signature", [None, replace(GOOD, required=())])
def test_without_evidence_both_checks_fail(signature):
    assert list(failed(signature)) == ["features", "clients"]
    assert all("could not be computed" in reason for reason in failed(signature).values())


FEATURES = st.lists(
    st.builds(Feature, st.sampled_from("abcd"), st.sampled_from(["numeric", "boolean", "categorical"])),
    unique_by=lambda feature: feature.name,
).map(tuple)


@given(FEATURES, FEATURES)
def test_a_difference_is_empty_for_equal_inputs_alone_and_turns_with_them(ours, theirs):
    found, turned = difference(ours, theirs), difference(theirs, ours)
    assert (str(found) == "") == (set(ours) == set(theirs))
    assert (found.new, found.gone) == (turned.gone, turned.new)
    assert {pair[::-1] for pair in found.changed} == set(turned.changed)
    assert Difference.from_dict(found.to_dict()) == found
