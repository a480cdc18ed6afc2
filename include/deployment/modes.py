"""How a version may be rolled out by hand, as forms ask for it."""

from __future__ import annotations

from include.contract.serving import PromotionConfig

STEPS, END = "steps", "end"
WEIGHT = 0.1  # of a canary, where the use case has no step with a share


def modes(promotion: PromotionConfig) -> dict[str, str]:
    """Each mode with what it does, the usual one first."""
    tried = {"shadow": "shadow: predict unseen", "canary": "canary: answer a share", END: "end the rollout"}
    if not promotion.steps:
        return tried
    shown = " → ".join("shadow" if step == "shadow" else f"{step * 100:g} %" for step in promotion.steps)
    return {STEPS: f"steps: {shown} → 100 %, each judged", **tried}


def weight(promotion: PromotionConfig) -> float:
    """The share of a canary where nobody says another."""
    return next((step for step in promotion.steps if step != "shadow"), WEIGHT)
