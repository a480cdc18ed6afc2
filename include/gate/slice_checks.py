"""Does a challenger serve every group of rows: by itself, no worse than the champion did, and one like the other?"""

from __future__ import annotations

import math
from collections.abc import Iterator

from include.contract.gate import GateConfig, SlicesConfig
from include.gate import fairness
from include.gate.check import Check, not_computed
from include.gate.slices import Group, Slices

NAMED = 5  # groups that a reason names
WORST, HARM = "worst group", "groups against the champion"


def check(slices: Slices | None, config: GateConfig) -> Iterator[Check]:
    """The checks of groups.

    *worst group*: the error of the worst group is at most ``slices.ratio`` times that of all rows.

    *groups against the champion*: no group's error is proven to be higher than the champion's by more than
    ``slices.tolerance`` of it. A group fails where the whole interval of the difference lies beyond the tolerance, at
    ``slices.confidence`` over all groups together (Bonferroni). The burden of proof is on harm, other than in the
    comparison over all rows: of 40 groups of a few hundred rows hardly one ever proves that nothing was lost, so that
    to ask for it would refuse every candidate; as it is, chance alone refuses about one in twenty. Harm that the
    test stretch is too short to show passes.

    *fairness*: what each rule asks for, see ``include.gate.fairness``.

    A column without any group to judge fails, and so does a group on which the metric is not defined.
    """
    if slices is None:
        names = [WORST, HARM, *map(fairness.name, config.fairness)]
        yield from (not_computed(name, None, "the groups of rows") for name in names)
        return
    if not slices.small and not config.fairness:
        yield Check("slices", True, None, None, "the use case names no slices: no group is judged by itself")
        return
    yield _worst(slices, config.slices)
    yield _harm(slices, config.slices)
    for rule in config.fairness:
        groups = {str(group): group.fairness.get(rule.measure) for group in slices.of(rule.column)}
        yield fairness.check(rule, groups, config.slices.minimum_rows)


def _worst(slices: Slices, config: SlicesConfig) -> Check:
    if missing := _missing(slices, config, [group for group in slices.groups if not _known(group.challenger)]):
        return Check(WORST, False, None, config.ratio, missing)
    errors = [(slices.error(group.challenger), group) for group in slices.groups if group.challenger is not None]
    error, worst = max(errors, key=lambda each: each[0])
    overall = slices.error(slices.challenger)
    ratio = error / overall if overall else (math.inf if error else 1.0)
    passed = ratio <= config.ratio
    reason = (
        f"{slices.metric} is {worst.challenger:.4g} for {worst} ({worst.rows} rows), the worst of {len(errors)} "
        f"groups, and {slices.challenger:.4g} for all rows: {ratio:.3g} times their error, "
        f"{'at most' if passed else 'above'} {config.ratio:g} times"
    )
    return Check(WORST, passed, ratio, config.ratio, reason)


def _harm(slices: Slices, config: SlicesConfig) -> Check:
    if slices.champion is None:
        return Check(HARM, True, None, None, "there is no champion yet that served a group better")
    undefined = [
        group for group in slices.groups if not _known(group.challenger, group.champion, *(group.interval or (None,)))
    ]
    if missing := _missing(slices, config, undefined):
        return Check(HARM, False, None, 0, missing)
    harmed = [
        f"{group} ({group.rows} rows): {slices.metric} {group.challenger:.4g} instead of {group.champion:.4g}, "
        f"worse by {group.interval[0]:.3g} to {group.interval[1]:.3g}"
        for group in slices.groups
        if group.champion is not None
        and group.interval is not None
        and group.interval[0] > config.tolerance * slices.error(group.champion)
    ]
    said = (
        f"with {config.confidence:.0%} confidence the error of {len(harmed) or 'none'} of {len(slices.groups)} groups "
        f"is more than {config.tolerance:.0%} above the champion's"
    )
    reason = f"{said}: {'; '.join(harmed[:NAMED])}" if harmed else said
    return Check(HARM, not harmed, len(harmed), 0, reason)


def _known(*values: float | None) -> bool:
    return all(value is not None and math.isfinite(value) for value in values)


def _missing(slices: Slices, config: SlicesConfig, undefined: list[Group]) -> str:
    """Why the groups cannot be judged, with the cure; empty where they can."""
    if not slices.small:
        return "no column of groups could be computed"
    if empty := [each.column for each in slices.small if not slices.of(each.column)]:
        return (
            f"no group of {', '.join(empty)} could be computed: none has {config.minimum_rows} rows on two days; "
            f"test longer (training.test) or lower gate.slices.minimum_rows"
        )
    if undefined:
        named = ", ".join(str(group) for group in undefined[:NAMED])
        return (
            f"{slices.metric} could not be computed for {named}: too few of one class; raise gate.slices.minimum_rows"
        )
    return ""
