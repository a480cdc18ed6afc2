"""May a rollout go on to its next step? A pure decision on what this one has shown."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from include.contract.serving import PromotionConfig
from include.deployment.evidence import Evidence
from include.deployment.losses import Quality
from include.records import Record

Action = Literal["go", "wait", "stop"]


@dataclass(frozen=True)
class GoOn(Record):
    """What is to become of a rollout, and why."""

    action: Action
    reasons: tuple[str, ...]


def may_go_on(evidence: Evidence, config: PromotionConfig) -> GoOn:
    """Stop at the first failure or once it is worse, wait for the period and for requests enough, then hold the limits.

    Fails closed: what could not be computed from requests enough stops the rollout. Labels that have not come, or do
    not tell yet, hold nothing up: the gate has judged the quality before, and the monitor goes on.
    """
    challenger = evidence.challenger
    if challenger.failed:
        who = f"version {challenger.version}"
        return GoOn("stop", (f"{who} failed on {challenger.failed} of {challenger.rows} rows", *evidence.reasons))
    if evidence.quality is not None and evidence.quality.comparison.verdict == "worse":
        return GoOn("stop", (_worse(evidence.quality, config), *evidence.reasons))
    missing = _missing(evidence, config)
    enough = challenger.requests >= config.minimum_requests
    beyond = _beyond(evidence, config) if enough else ()
    if beyond:
        return GoOn("stop", beyond)
    return GoOn("wait", missing) if missing else GoOn("go", evidence.reasons)


def _worse(quality: Quality, config: PromotionConfig) -> str:
    return (
        f"its loss is higher by at least {quality.comparison.interval[0]:.3g}, above {config.tolerance:g}, on "
        f"{quality.comparison.days} days of labels (wrong in at most {config.alpha:.0%} of rollouts)"
    )


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
    if evidence.mode == "canary" and evidence.champion.latency is not None:
        limits["ratio of the 95th percentiles of seconds"] = (evidence.slower, config.latency)
    failed = (f"the quality could not be computed: {evidence.failure}",) if evidence.failure else ()
    return failed + tuple(
        f"the {what} could not be computed"
        if value is None or not math.isfinite(value)
        else f"the {what} is {value:.4g}, above {limit:g}"
        for what, (value, limit) in limits.items()
        if value is None or not value <= limit
    )


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:.3g} min"
