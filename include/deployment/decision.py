"""May a rollout go on to promotion? A pure decision on what it has shown."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from include.contract.use_case import PromotionConfig
from include.deployment.evidence import Evidence
from include.records import Record

Action = Literal["go", "wait", "stop"]


@dataclass(frozen=True)
class GoOn(Record):
    """What is to become of a rollout, and why."""

    action: Action
    reasons: tuple[str, ...]


def may_go_on(evidence: Evidence, config: PromotionConfig) -> GoOn:
    """Stop at the first failure, wait for the period and for requests enough, then hold it against the limits.

    Fails closed: a distance that could not be computed from requests enough stops the rollout.
    """
    challenger = evidence.challenger
    if challenger.failed:
        who = f"version {challenger.version}"
        return GoOn("stop", (f"{who} failed on {challenger.failed} of {challenger.rows} rows", *evidence.reasons))
    missing = _missing(evidence, config)
    enough = challenger.requests >= config.minimum_requests
    beyond = _beyond(evidence, config) if enough else ()
    if beyond:
        return GoOn("stop", beyond)
    return GoOn("wait", missing) if missing else GoOn("go", evidence.reasons)


def _missing(evidence: Evidence, config: PromotionConfig) -> tuple[str, ...]:
    requests, lasted = evidence.challenger.requests, evidence.until - evidence.since
    missing = []
    if requests < config.minimum_requests:
        missing.append(f"{requests} requests, expected at least {config.minimum_requests}")
    if lasted < config.period:
        missing.append(f"it has lasted {_minutes(lasted.total_seconds())} of {_minutes(config.period.total_seconds())}")
    return tuple(missing)


def _beyond(evidence: Evidence, config: PromotionConfig) -> tuple[str, ...]:
    limits = {"difference of the predictions (W1/sd)": (evidence.difference, config.difference)}
    if evidence.threshold is not None:
        limits["share of decisions that differ"] = (evidence.flipped, config.flipped)
    return tuple(
        f"the {what} could not be computed"
        if value is None or not math.isfinite(value)
        else f"the {what} is {value:.4g}, above {limit:g}"
        for what, (value, limit) in limits.items()
        if value is None or not value <= limit
    )


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:.3g} min"
