"""Against the champion: is there something to gain, and was that measured fairly and as configured?"""

from __future__ import annotations

import math
from collections.abc import Iterator

from include.contract.gate import ChampionConfig
from include.gate.check import FIRST, GAIN, Check, not_computed, number, number_or_none
from include.gate.comparison import Comparison
from include.gate.evidence import Evidence


def check(evidence: Evidence, config: ChampionConfig) -> Iterator[Check]:
    """Without a champion only that the candidate has not been rolled back before."""
    yield _withdrawn(evidence.withdrawn)
    champion, comparison = evidence.champion, evidence.comparison
    if champion is None:
        yield Check(FIRST, True, None, None, "there is no champion yet: judged by the absolute limits alone")
        return
    same = evidence.same_digest or (comparison is not None and comparison.identical)
    said = f"the candidate {'is the same as' if same else 'differs from'} champion {champion}"
    yield Check("different", not same, None, None, f"{said}: nothing to gain" if same else said)
    yield _later(evidence, champion)
    if comparison is None:
        yield not_computed("comparison", config.margin, f"the comparison with champion {champion}")
        return
    wrong = _mismatches(comparison, config, evidence)
    said = f"the comparison is not the one asked for: {'; '.join(wrong)}" if wrong else "compared as configured"
    yield Check("comparison", not wrong, None, None, said)
    yield _gain(comparison, champion)


def _withdrawn(versions: tuple[str, ...]) -> Check:
    if not versions:
        return Check("not withdrawn", True, None, None, "the same model has never been rolled back from production")
    which = f"version {versions[0]} is" if len(versions) == 1 else f"versions {', '.join(versions)} are"
    was = "was" if len(versions) == 1 else "were"
    reason = f"{which} the same model and {was} rolled back from production; to bring it back use the rollback DAG"
    return Check("not withdrawn", False, None, None, reason)


def _later(evidence: Evidence, champion: str) -> Check:
    learned, start = evidence.champion_learned_until, evidence.test_start
    if learned is None:
        return not_computed("later window", None, f"until when champion {champion} has learned")
    if start is None:
        return not_computed("later window", None, "the start of the test stretch")
    passed = learned <= start
    words = "the rows are new to both" if passed else "it may know these rows, and the comparison is not fair"
    reason = f"champion {champion} has learned until {learned:%Y-%m-%d %H:%M %Z}, the test stretch starts "
    return Check("later window", passed, None, None, f"{reason}{start:%Y-%m-%d %H:%M %Z}: {words}")


def _mismatches(comparison: Comparison, config: ChampionConfig, evidence: Evidence) -> list[str]:
    asked = {
        "metric": (comparison.metric, config.metric),
        "rule": (comparison.rule, config.rule),
        "margin": (comparison.margin, config.margin),
        "confidence": (comparison.confidence, config.confidence),
        "rows": (comparison.rows, evidence.rows),
        "blocks": (comparison.blocks, evidence.blocks),
    }
    return [f"{name} {got} instead of {wanted}" for name, (got, wanted) in asked.items() if got != wanted]


def _gain(comparison: Comparison, champion: str) -> Check:
    """The rule itself, from the numbers: where one of them is not finite it never passes."""
    odds, (low, high) = comparison.probabilities, comparison.interval
    values = (comparison.challenger_value, comparison.champion_value, comparison.difference, low, high)
    if not all(map(math.isfinite, (*values, odds.better, odds.alike, odds.worse))):
        return not_computed(GAIN, number_or_none(comparison.least), f"the gain over champion {champion}")
    passed = comparison.convincing
    reason = (
        f"{comparison.metric} {number(comparison.challenger_value)} is {_apart(comparison.difference)} that of "
        f"champion {champion}, {number(comparison.champion_value)} (gain {low:+.4g} to {high:+.4g}); with "
        f"{comparison.confidence:.4g} confidence the gain is {'above' if passed else 'not above'} "
        f"{number(comparison.least)} ({comparison.rule}); with a margin of {number(comparison.margin)} the probability "
        f"to be better is {odds.better:.4g}, alike {odds.alike:.4g}, worse {odds.worse:.4g}"
    )
    return Check(GAIN, passed, comparison.difference, number_or_none(comparison.least), reason)


def _apart(difference: float) -> str:
    if difference == 0:
        return "the same as"
    return f"{number(abs(difference))} {'better' if difference > 0 else 'worse'} than"
