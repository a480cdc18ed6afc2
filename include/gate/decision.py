"""The gate: may this candidate become the champion? A check that could not be computed has failed."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from include.contract.gate import ChampionConfig, GateConfig, Limit
from include.gate.check import Check, Verdict
from include.gate.comparison import Comparison
from include.records import Record


@dataclass(frozen=True)
class Evidence(Record):
    """What is known of a candidate on the test stretch. A metric that was not computed is absent, None or NaN."""

    candidate: str  # model version
    champion: str | None  # model version; None: there is none yet
    metrics: Mapping[str, float | None]
    rows: int
    blocks: int
    comparison: Comparison | None = None
    positives: int | None = None  # rows of the positive class; None: a regression
    same_digest: bool = False  # the candidate's model is, byte for byte, the champion's


def judge(evidence: Evidence, config: GateConfig) -> Verdict:
    """Hold a candidate against the absolute limits and against the champion. Approves only if every check passes."""
    checks = (
        *_amount(evidence, config),
        *_limits(evidence.metrics, config.limits),
        *_against_champion(evidence, config),
    )
    failed = tuple(check for check in checks if not check.passed)
    return Verdict(
        candidate=evidence.candidate,
        champion=evidence.champion,
        approved=not failed,
        checks=checks,
        reasons=tuple(check.reason for check in failed or checks),
    )


def _amount(evidence: Evidence, config: GateConfig) -> Iterator[Check]:
    """Is there enough to judge by?"""
    for name, count, least in (
        ("rows", evidence.rows, config.minimum_rows),
        ("blocks", evidence.blocks, config.minimum_blocks),
    ):
        words = "are enough" if count >= least else "are too few"
        yield Check(
            name, count >= least, count, least, f"{count} {name} in the test stretch {words} (at least {least})"
        )
    if evidence.positives is not None:
        both = 0 < evidence.positives < evidence.rows
        words = "both classes occur" if both else "only one class occurs"
        reason = f"{words} in the test stretch: {evidence.positives} positives in {evidence.rows} rows"
        yield Check("classes", both, evidence.positives, 1, reason)


def _limits(metrics: Mapping[str, float | None], limits: Mapping[str, Limit]) -> Iterator[Check]:
    """The absolute limits, both ends included; a metric that is missing, NaN or infinite fails."""
    for name, limit in sorted(limits.items()):
        value = metrics.get(name)
        for end, bound in (("min", limit.min), ("max", limit.max)):
            if bound is None:
                continue
            if value is None or not math.isfinite(value):
                yield Check(
                    f"{name} {end}", False, None, bound, f"{name} could not be computed; a limit of {bound:g} needs it"
                )
                continue
            passed = value >= bound if end == "min" else value <= bound
            words = {"min": ("at least", "below"), "max": ("at most", "above")}[end][0 if passed else 1]
            yield Check(f"{name} {end}", passed, value, bound, f"{name} {value:.6g} is {words} {bound:g}")


def _against_champion(evidence: Evidence, config: GateConfig) -> Iterator[Check]:
    """Is there something to gain over the champion, and was that measured as the configuration asks?"""
    rule, comparison = config.champion, evidence.comparison
    if evidence.champion is None:
        yield Check("champion", True, None, None, "there is no champion yet: judged by the absolute limits alone")
        return
    same = evidence.same_digest or (comparison is not None and comparison.identical)
    said = f"the candidate {'is the same as' if same else 'differs from'} champion {evidence.champion}"
    yield Check("different", not same, None, None, f"{said}: nothing to gain" if same else said)
    if comparison is None:
        reason = f"the comparison with champion {evidence.champion} is missing"
        yield Check("comparison", False, None, rule.margin, reason)
        return
    wrong = _mismatches(comparison, rule, evidence)
    said = f"the comparison is not the one asked for: {'; '.join(wrong)}" if wrong else "compared as configured"
    yield Check("comparison", not wrong, None, None, said)
    yield _gain(comparison, rule, evidence.champion)


def _mismatches(comparison: Comparison, rule: ChampionConfig, evidence: Evidence) -> list[str]:
    asked = {
        "metric": (comparison.metric, rule.metric),
        "margin": (comparison.margin, rule.margin),
        "confidence": (comparison.confidence, rule.confidence),
        "rows": (comparison.rows, evidence.rows),
        "blocks": (comparison.blocks, evidence.blocks),
    }
    return [f"{name} {got} instead of {wanted}" for name, (got, wanted) in asked.items() if got != wanted]


def _gain(comparison: Comparison, rule: ChampionConfig, champion: str) -> Check:
    """The rule itself, from the numbers and not from ``comparison.better`` alone: NaN never passes."""
    low, high = comparison.interval
    passed = comparison.better and low > rule.margin and math.isfinite(comparison.difference)
    better = "better" if comparison.difference > 0 else "worse"
    side = "above" if passed else "not above"
    reason = (
        f"{comparison.metric} is {abs(comparison.difference):.4g} {better} than that of champion {champion} "
        f"(gain {low:+.4g} to {high:+.4g}); with {rule.confidence:.0%} confidence the gain is {side} "
        f"the margin of {rule.margin:g}"
    )
    return Check("better", passed, _number(comparison.difference), rule.margin, reason)


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None
