"""A candidate's probation: the rollout that a promotion begins, waits for and judges."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace

from include.contract.loading import Folder
from include.deployment import evidence, ledger, published, rollout
from include.deployment.decision import may_go_on
from include.deployment.generation import Generation
from include.history import log as history
from include.history.log import Decision
from include.records import Record

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Outcome(Record):
    """What a probation came to. ``evidence``: its id; empty where there was nothing to observe."""

    passed: bool
    reasons: tuple[str, ...]
    evidence: str


def begin(use_case: Folder, version: int, *, origin: str, actor: str) -> int | None:
    """Begin the rollout that the use case asks for; its generation, None where there is no champion to compare with."""
    config = use_case.config
    wanted = config.promotion
    head = ledger.head(config.name)
    if wanted.rollout == "none":
        raise ValueError(f"{config.name}: promotion.rollout is none in use_case.yaml: there is no rollout to begin")
    if head is None or head.champion is None:
        return None
    if head.challenger not in (None, version) and _is_left_over(head):
        left = f"the promotion that tried version {head.challenger} was broken off, and another one came"
        rollout.stop(use_case, origin=origin, actor=actor, reasons=(left,))
    weight = wanted.weight if wanted.rollout == "canary" else 0.0
    reason = f"on probation for {wanted.period}"
    done = rollout.start(use_case, version, wanted.rollout, weight, origin=origin, actor=actor, reason=reason)
    return done.generation


def is_over(use_case: Folder, generation: int | None) -> bool:
    """Whether it is time to judge: the period has passed, it has failed already, or another change has come."""
    tried = _in_force(use_case, generation)
    if tried is None:
        return True
    found = evidence.collect(use_case, tried)
    decision = may_go_on(found, use_case.config.promotion)
    log.info("%s: %s: %s", use_case.config.name, decision.action, "; ".join(decision.reasons))
    return decision.action == "stop" or found.until - found.since >= use_case.config.promotion.period


def judge(use_case: Folder, generation: int | None, *, origin: str, actor: str) -> Outcome:
    """Judge the rollout; unless it may go on it is ended. What is not enough by now is refused."""
    name = use_case.config.name
    if generation is None:
        return Outcome(True, ("there was no champion to try it beside",), "")
    tried = _in_force(use_case, generation)
    if tried is None:
        return _superseded(use_case, generation, origin, actor)
    found = evidence.collect(use_case, tried)
    decision = may_go_on(found, use_case.config.promotion)
    if decision.action == "wait":
        decision = replace(decision, reasons=("the period is over, and it has not shown enough", *decision.reasons))
    kept = evidence.keep(found)
    if decision.action != "go":
        rollout.stop(use_case, origin=origin, actor=actor, reasons=decision.reasons, evidence=(kept,))
        return Outcome(False, decision.reasons, kept)
    passed = Outcome(True, decision.reasons, kept)
    _keep(tried, passed, origin, actor)
    log.info("%s: version %s has passed its rollout: %s", name, tried.challenger, "; ".join(passed.reasons))
    return passed


def _in_force(use_case: Folder, generation: int | None) -> Generation | None:
    """The generation, as long as it is the one in force."""
    in_force = published.read(use_case.config.name) if generation is not None else None
    return in_force if in_force is not None and in_force.number == generation else None


def _is_left_over(tried: Generation) -> bool:
    """Whether a promotion began the rollout, by the verdict of the same run: of those there is one at a time."""
    return any((each.kind, each.origin) == ("gate", tried.origin) for each in history.read(tried.use_case))


def _superseded(use_case: Folder, generation: int, origin: str, actor: str) -> Outcome:
    """The rollout is over: this attempt has ended it before it was broken off, or somebody else did."""
    name = use_case.config.name
    head = ledger.head(name)
    if head is not None and (head.after, head.kind, head.origin) == (generation, "rollout", origin):
        rollout.stop(use_case, origin=origin, actor=actor, reasons=(head.reason,))
        return Outcome(False, (head.reason,), "")
    what = f"generation {head.number}, {head.kind} by {head.actor or head.origin}" if head else "nothing"
    return Outcome(False, (f"another change came during the rollout: {what} is in force",), "")


def _keep(tried: Generation, outcome: Outcome, origin: str, actor: str) -> None:
    history.append(
        Decision(
            use_case=tried.use_case,
            kind="rollout",
            origin=origin,
            outcome="passed",
            version=tried.challenger,
            previous=tried.champion,
            reasons=outcome.reasons,
            actor=actor,
            evidence=(outcome.evidence,),
            details={"generation": tried.number},
        )
    )
