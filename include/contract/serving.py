"""How a model comes into production and what is kept of its predictions, in ``use_case.yaml``."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from include.contract.schema import Duration, Strict
from include.contract.training import Scalar

Step = Literal["shadow"] | Annotated[float, Field(gt=0, lt=1)]


class ApprovalConfig(Strict):
    required: bool = False
    deadline: Duration = timedelta(days=1)


class PromotionConfig(Strict):
    """How an approved candidate meets the requests before it becomes champion."""

    steps: tuple[Step, ...] = Field(
        default=(),
        description="shadow: it predicts every request unseen; a number: it answers that share; empty: neither.",
    )
    period: Duration = Field(default=timedelta(hours=1), description="So long each step lasts at least.")
    minimum_requests: int = Field(
        default=100, ge=1, description="Requests that the candidate must have predicted in each."
    )
    latency: float = Field(
        default=2.0, gt=0, description="Largest ratio of its 95th percentile of seconds to the champion's (canary)."
    )
    flipped: float = Field(
        default=0.4, gt=0, le=1, description="Largest share of decisions that may differ from the champion's."
    )
    difference: float = Field(
        default=1.0, gt=0, description="Largest distance of the predictions from the champion's (W1/sd)."
    )
    tolerance: float = Field(
        default=0.0, ge=0, lt=1, description="By how much its loss, in [0, 1], may be above the champion's."
    )
    alpha: float = Field(
        default=0.05, gt=0, lt=0.5, description="Probability to call it worse over all steps, where it is not."
    )

    @field_validator("steps", mode="before")
    @classmethod
    def _each_is_a_step(cls, value: object) -> object:
        for step in value if isinstance(value, list | tuple) else ():
            share = isinstance(step, int | float) and not isinstance(step, bool) and 0 < step < 1
            if step != "shadow" and not share:
                raise ValueError(f"{step!r} is no step; expected shadow, or a share above 0 and below 1")
        return value

    @model_validator(mode="after")
    def _ordered(self) -> PromotionConfig:
        shares = [step for step in self.steps if step != "shadow"]
        if "shadow" in self.steps[1:]:
            raise ValueError("steps: shadow can only be the first, since it answers nobody")
        if any(not former < latter for former, latter in pairwise(shares)):
            raise ValueError(f"steps: {', '.join(map(str, shares))} do not grow; each must be above the one before")
        return self


class PredictionLogConfig(Strict):
    """What is kept of online predictions."""

    sample: float = Field(default=1.0, gt=0, le=1, description="The share of requests that is logged.")
    hash: tuple[str, ...] = Field(default=(), description="Features that are logged as a keyed hash.")
    leave_out: tuple[str, ...] = Field(default=(), description="Features that are not logged.")
    keep: Duration | None = Field(
        default=None, ge=timedelta(days=1), description="How long online predictions are kept; empty: for ever."
    )

    @model_validator(mode="after")
    def _once(self) -> PredictionLogConfig:
        if both := sorted({*self.hash} & {*self.leave_out}):
            raise ValueError(f"leave_out: {', '.join(both)} is hashed too; name it in one of hash and leave_out")
        return self


class ServingConfig(Strict):
    threshold: float | None = Field(default=None, description="Classification: the probability that means yes.")
    on_missing_store: Literal["refuse", "defaults"] = Field(
        default="refuse",
        description="While the online store cannot be reached: refuse entities, or predict them from the defaults.",
    )
    defaults: dict[str, Scalar] = Field(
        default_factory=dict, description="By feature, what it then is; one that is not named is missing."
    )
    log: PredictionLogConfig = PredictionLogConfig()

    @model_validator(mode="after")
    def _defaults_are_used(self) -> ServingConfig:
        if self.defaults and self.on_missing_store != "defaults":
            raise ValueError("defaults: nothing uses them while on_missing_store is refuse; write defaults there")
        return self
