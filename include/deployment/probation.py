"""A candidate's probation: a promotion walks it through the steps of a rollout, each of which is judged.

Each step is a generation. Where the walk stands is read off the ledger and the log of decisions alone, so that it can
be broken off anywhere and goes on when it is asked again.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

from include import alerts
from include.contract.loading import Folder
from include.contract.serving import PromotionConfig
from include.deployment import evidence, ledger, observation, rollout
from include.deployment.change import TAKEN_BACK, was_kept
from include.deployment.decision import GoOn, may_go_on
from include.deployment.generation import Generation
from include.deployment.switch import ALERT
from include.history import log as history
from include.history.log import Decision
from include.records import Record

log = logging.getLogger(__name__)

PASSED = "passed"


@dataclass(frozen=True)
class Outcome(Record):
    """What a probation came to. ``evidence``: its id; empty where there was nothing to observe."""

    passed: bool
    reasons: tuple[str, ...]
    evidence: str


def begin(use_case: Folder, version: int, *, origin: str, actor: str) -> int | None:
    """Begin the first step; its generation, None where there is no champion to compare with."""
    config = use_case.config
    if not config.promotion.steps:
        raise ValueError(f"{config.name}: promotion.steps is empty in use_case.yaml: there is no rollout to begin")
    head = ledger.head(config.name)
    if head is None or head.champion is None:
        return None
    if head.challenger not in (None, version) and _is_left_over(head):
        left = f"the promotion that tried version {head.challenger} was broken off, and another one came"
        rollout.stop(use_case, origin=origin, actor=actor, reasons=(left,))
    return _try(use_case, version, 0, origin, actor)


def advance(use_case: Folder, begun: int | None, *, origin: str, actor: str) -> Outcome | None:
    """Judge the step in force of the walk that began with a generation, and go on to the next one where it has passed.

    None as long as it lasts. Where a step fails, the rollout is ended and an alert raised; too few requests at the end
    of a period are a failure, and so is a change that somebody else has made in between.
    """
    if begun is None:
        return Outcome(True, ("there was no champion to try it beside",), "")
    config = use_case.config
    tried = ledger.head(config.name)
    if tried is None or not _is_step(tried, begun, origin):
        return _ended(use_case, begun, origin, actor)
    version, number = tried.challenger or 0, _number(tried, config.promotion)
    if number is not None and not was_kept(tried):
        _try(use_case, version, number, origin, actor)  # it was broken off before every replica had it
    outcome = _passed(tried) if number is not None else None
    if outcome is None:
        outcome = _judge(use_case, tried, number, origin, actor)
    if outcome is None or not outcome.passed or number is None:
        return outcome
    if number + 1 == len(config.promotion.steps):
        return outcome
    _try(use_case, version, number + 1, origin, actor)
    return None


def _judge(use_case: Folder, tried: Generation, number: int | None, origin: str, actor: str) -> Outcome | None:
    rules = use_case.config.promotion
    found = observation.collect(use_case, tried)
    evidence.keep_newest(found)
    decision = may_go_on(found, rules)
    if number is None:
        decision = GoOn("stop", (f"{_name(tried)} is none of promotion.steps in use_case.yaml any more",))
    elif decision.action == "wait":
        if found.until - found.since < rules.period:
            log.info("%s: %s: %s", tried.use_case, _name(tried), "; ".join(decision.reasons))
            return None
        decision = GoOn("stop", ("the period is over, and it has not shown enough", *decision.reasons))
    outcome = Outcome(decision.action == "go", decision.reasons, evidence.keep(found))
    log.info("%s: %s: %s: %s", tried.use_case, _name(tried), decision.action, "; ".join(decision.reasons))
    if outcome.passed:
        _keep(tried, outcome, origin, actor)
    else:
        rollout.stop(use_case, origin=origin, actor=actor, reasons=outcome.reasons, evidence=(outcome.evidence,))
        _alert(tried, outcome)
    return outcome


def _try(use_case: Folder, version: int, number: int, origin: str, actor: str) -> int:
    """Bring a step to every replica; its generation."""
    rules = use_case.config.promotion
    step = rules.steps[number]
    mode, weight = ("shadow", 0.0) if step == "shadow" else ("canary", step)
    reason = f"step {number + 1} of {len(rules.steps)}, for {rules.period}"
    done = rollout.start(use_case, version, mode, weight, origin=origin, actor=actor, reason=reason)  # type: ignore[arg-type]
    return done.generation


def _is_step(head: Generation, begun: int, origin: str) -> bool:
    return head.challenger is not None and (head.kind, head.origin) == ("rollout", origin) and head.number >= begun


def _number(tried: Generation, rules: PromotionConfig) -> int | None:
    """Which of the steps it is; None where the use case has changed its steps since."""
    step = "shadow" if tried.mode == "shadow" else tried.weight
    return rules.steps.index(step) if step in rules.steps else None


def _name(tried: Generation) -> str:
    return "shadow" if tried.mode == "shadow" else f"canary of {tried.weight:.3g}"


def _passed(tried: Generation) -> Outcome | None:
    """The decision that the step has passed, if it was kept already."""
    for each in history.read(tried.use_case):
        if (each.kind, each.outcome, each.details.get("generation")) == ("rollout", PASSED, tried.number):
            return Outcome(True, each.reasons, each.evidence[0])
    return None


def _is_left_over(tried: Generation) -> bool:
    """Whether a promotion began the rollout, by the verdict of the same run: of those there is one at a time."""
    return any((each.kind, each.origin) == ("gate", tried.origin) for each in history.read(tried.use_case))


def _ended(use_case: Folder, begun: int, origin: str, actor: str) -> Outcome:
    """The walk is over: this attempt has ended it before it was broken off, or somebody else did."""
    name = use_case.config.name
    head = ledger.head(name)
    ours = head if head is not None and head.origin == origin and head.number > begun else None
    if ours is not None and ours.kind == TAKEN_BACK:
        return Outcome(False, (ours.reason,), "")
    if ours is not None and ours.kind == "rollout" and (tried := ledger.before(ours)) is not None:
        seen = evidence.newest(tried)
        outcome = Outcome(False, (ours.reason,), seen.id if seen else "")
        if not was_kept(ours):
            kept = (seen.id,) if seen else ()
            rollout.stop(use_case, origin=origin, actor=actor, reasons=outcome.reasons, evidence=kept)
        _alert(tried, outcome)
        return outcome
    what = f"generation {head.number}, {head.kind} by {head.actor or head.origin}" if head else "nothing"
    return Outcome(False, (f"another change came during the rollout: {what} is in force",), "")


def _alert(tried: Generation, outcome: Outcome) -> None:
    words = f"version {tried.challenger} was stopped as {_name(tried)}: {'; '.join(outcome.reasons)}"
    alerts.raise_alert(tried.use_case, ALERT, str(tried.challenger), words)


def _keep(tried: Generation, outcome: Outcome, origin: str, actor: str) -> None:
    history.append(
        Decision(
            use_case=tried.use_case,
            kind="rollout",
            origin=origin,
            outcome=PASSED,
            version=tried.challenger,
            previous=tried.champion,
            reasons=outcome.reasons,
            actor=actor,
            evidence=(outcome.evidence,),
            details={"generation": tried.number, "mode": tried.mode, "weight": tried.weight},
        )
    )
