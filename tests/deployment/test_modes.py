"""What a form offers of rollouts follows the steps of the use case."""

from __future__ import annotations

from include.contract.serving import PromotionConfig
from include.deployment.modes import END, STEPS, WEIGHT, modes, weight


def test_steps_are_offered_first_where_there_are_any() -> None:
    known = modes(PromotionConfig(steps=("shadow", 0.05, 0.25)))
    assert [*known] == [STEPS, "shadow", "canary", END]
    assert known[STEPS] == "steps: shadow → 5 % → 25 % → 100 %, each judged"


def test_without_steps_a_version_is_tried_by_hand_alone() -> None:
    assert [*modes(PromotionConfig())] == ["shadow", "canary", END]


def test_a_canary_begins_with_the_first_share_of_the_steps() -> None:
    assert weight(PromotionConfig(steps=("shadow", 0.05, 0.25))) == 0.05
    assert weight(PromotionConfig(steps=("shadow",))) == weight(PromotionConfig()) == WEIGHT
