"""Who answers: sticky for a key, in the share that was asked for, and anew in each generation."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.contract.use_case import UseCase
from include.serving.followed import Deployment, Followed
from include.serving.routing import choose, key_of, place, shadow

USE_CASE = cast(UseCase, SimpleNamespace(name="trips"))
KEYS = [number.to_bytes(4, "big") for number in range(4000)]


def deployment(version: int) -> Deployment:
    served: Any = SimpleNamespace(predictor=SimpleNamespace(version=SimpleNamespace(version=version)))
    return Deployment(served, None, datetime(2013, 5, 1, tzinfo=UTC))


CHAMPION, CHALLENGER = deployment(1), deployment(2)
ALONE = Followed(USE_CASE, asked=True, deployment=CHAMPION, generation=3)
CANARY = replace(ALONE, challenger=CHALLENGER, mode="canary", weight=0.3)

keys = st.binary(max_size=64)
generations = st.integers(1, 2**40)


def share(followed: Followed) -> float:
    return sum(choose(followed, key) is CHALLENGER for key in KEYS) / len(KEYS)


@given(weight=st.floats(0, 1), generation=generations)
def test_the_share_is_near_the_weight(weight: float, generation: int) -> None:
    """Within five standard deviations of a binomial of 4,000 keys, which is at most 0.04."""
    found = share(replace(CANARY, weight=weight, generation=generation))
    assert abs(found - weight) <= 5 * (weight * (1 - weight) / len(KEYS)) ** 0.5 + 1 / len(KEYS)


@given(key=keys, weight=st.floats(0, 1), generation=generations)
def test_a_key_goes_the_same_way_as_long_as_the_generation_lasts(key: bytes, weight: float, generation: int) -> None:
    here = replace(CANARY, weight=weight, generation=generation)
    elsewhere = replace(here, deployment=deployment(1), challenger=deployment(2))  # another replica
    assert choose(here, key).version.version == choose(elsewhere, key).version.version


@given(key=keys, generation=generations, first=st.floats(0, 1), second=st.floats(0, 1))
def test_a_larger_share_keeps_the_keys_of_a_smaller_one(
    key: bytes, generation: int, first: float, second: float
) -> None:
    low, high = sorted((first, second))
    if choose(replace(CANARY, weight=low, generation=generation), key) is CHALLENGER:
        assert choose(replace(CANARY, weight=high, generation=generation), key) is CHALLENGER


@given(key=keys, generation=generations)
def test_nobody_at_weight_zero_and_everybody_at_one(key: bytes, generation: int) -> None:
    assert 0 <= place(key, generation) < 1
    assert choose(replace(CANARY, weight=0.0, generation=generation), key) is CHAMPION
    assert choose(replace(CANARY, weight=1.0, generation=generation), key) is CHALLENGER


@given(generation=generations)
def test_another_generation_draws_anew(generation: int) -> None:
    """Of the keys in one generation's half, half are in the next one's: within five standard deviations."""
    first = [key for key in KEYS if place(key, generation) < 0.5]
    both = sum(place(key, generation + 1) < 0.5 for key in first) / len(first)
    assert abs(both - 0.5) <= 5 * 0.5 / len(first) ** 0.5


def test_the_place_of_a_key_never_changes() -> None:
    """What replicas of another release must agree with."""
    assert place(b'[["UA-1545-EWR"]]', 7) == pytest.approx(0.784630915756832, abs=1e-15)


def test_without_a_canary_the_champion_answers() -> None:
    assert choose(ALONE, b"key") is CHAMPION
    assert share(replace(CANARY, mode="shadow", weight=0.0)) == 0
    assert share(replace(CANARY, challenger=None)) == 0


def test_only_a_shadow_predicts_beside() -> None:
    assert shadow(replace(CANARY, mode="shadow")) is CHALLENGER
    assert shadow(CANARY) is None
    assert shadow(ALONE) is None


def test_without_a_model_nobody_answers() -> None:
    with pytest.raises(LookupError, match="trips: no model is loaded"):
        choose(Followed(USE_CASE), b"key")


def test_a_request_is_routed_by_its_entities_or_by_its_id() -> None:
    entity = {"trip_id": 7, "party": 2}
    assert key_of([entity], ["trip_id"], "a") == key_of([{"party": 3, "trip_id": 7}], ["trip_id"], "b")
    assert key_of([entity], ["trip_id"], "a") != key_of([{"trip_id": 8}], ["trip_id"], "a")
    assert key_of([{"trip_id": "7"}], ["trip_id"], "a") != key_of([entity], ["trip_id"], "a")
    assert key_of(None, ["trip_id"], "a") == key_of([], ["trip_id"], "a") == b"a"
