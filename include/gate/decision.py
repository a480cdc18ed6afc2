"""The gate: may this candidate become the champion? A check that could not be computed has failed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from include.contract.gate import GateConfig
from include.contract.use_case import Task
from include.gate import (
    amount,
    balance,
    behaviour,
    calibration,
    champion,
    cost,
    documents,
    freshness,
    limits,
    signature,
    skew,
    slice_checks,
    stability,
    staging,
)
from include.gate.check import DECISIVE, Check, Verdict
from include.gate.evidence import Evidence


def judge(evidence: Evidence, task: Task, config: GateConfig) -> Verdict:
    """Hold a candidate against every check that its task has. Approves only if each of them passes."""
    checks = tuple(_checks(evidence, task, config))
    failed = tuple(check for check in checks if not check.passed)
    return Verdict(
        candidate=evidence.candidate,
        champion=evidence.champion,
        approved=not failed,
        checks=checks,
        reasons=tuple(check.reason for check in failed) or _merits(checks),
    )


def _merits(checks: Sequence[Check]) -> tuple[str, ...]:
    decisive = [check.reason for check in checks if check.name in DECISIVE]
    return (*decisive, f"all {len(checks)} checks passed")


def _checks(evidence: Evidence, task: Task, config: GateConfig) -> Iterator[Check]:
    """First how good the candidate is, then how it behaves, then whether it can be served and answered for."""
    yield from amount.check(evidence, task, config)
    yield from limits.check(evidence.metrics, config.limits)
    yield from champion.check(evidence, config.champion)
    if task == "classification":
        yield from balance.check(evidence.balance, config.balance)
        yield from calibration.check(evidence.calibration, config.calibration)
    yield from slice_checks.check(evidence.slices, config)
    yield from stability.check(evidence.stability, config.stability, evidence.champion)
    yield from behaviour.check(evidence.behaviours)
    yield from signature.check(evidence.signature, evidence.champion)
    yield from skew.check(evidence.skew)
    yield from freshness.check(evidence.freshness, config.maximum_age)
    yield from staging.check(evidence.trial)
    yield from cost.check(evidence.trial.cost if evidence.trial else None, config.cost)
    yield from documents.check(evidence.documents)
    yield _whole(evidence.failures)


def _whole(failures: Mapping[str, str]) -> Check:
    """Why a check above had nothing to go by."""
    words = "; ".join(f"{what}: {error}" for what, error in sorted(failures.items()))
    return Check("evidence", not failures, len(failures), 0, words or "all that the checks need could be computed")
