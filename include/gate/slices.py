"""Does a challenger serve every group of rows: by itself, no worse than the champion did, and one like the other?

An error is a metric turned so that 0 is perfect and groups compare as ratios: the value of a loss, and 1 less the value
of a score (ROC AUC, average precision, R2).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray

from include.contract.gate import GateConfig, SlicesConfig
from include.contract.metrics import METRICS, Metric
from include.contract.use_case import Task
from include.gate import fairness
from include.gate.check import Check, not_computed
from include.records import Record
from include.resampling import Sample, Vector, bounds, draw, statistic

MOST_SLICES = 50  # of one column, the largest; a column of many values is no grouping that a person reads
RESAMPLES = 400  # for a standard error
NAMED = 5  # groups that a reason names
WORST, HARM = "worst group", "groups against the champion"


@dataclass(frozen=True)
class Group(Record):
    """The rows with one value in a column (None: missing). A number that is not defined on them is None."""

    column: str
    value: str | None
    rows: int
    blocks: int
    challenger: float | None  # the metric
    champion: float | None
    interval: tuple[float, float] | None  # of the challenger's error less the champion's; one-sided bounds
    fairness: Mapping[str, float | None]  # by measure that a rule asks for in this column

    def __str__(self) -> str:
        return f"{self.column} {'missing' if self.value is None else self.value}"


@dataclass(frozen=True)
class Small(Record):
    """What of a column is not judged: too few rows, rows of one block only, or beyond the largest groups."""

    column: str
    groups: int
    rows: int


@dataclass(frozen=True)
class Slices(Record):
    """The groups of every column that was measured, the largest first, and all rows together."""

    metric: str
    challenger: float
    champion: float | None  # None: there is no champion
    groups: tuple[Group, ...]
    small: tuple[Small, ...]  # one a column

    def error(self, value: float) -> float:
        return 1 - value if METRICS[self.metric].higher_is_better else value

    def of(self, column: str) -> list[Group]:
        return [group for group in self.groups if group.column == column]


def by_value(values: pl.Series, smallest: int, most: int = MOST_SLICES) -> list[tuple[object, NDArray[np.int64]]]:
    """The values of at least ``smallest`` rows, the ``most`` largest, the largest first, with their row numbers."""
    found = values.alias("value").to_frame().with_row_index("row").group_by("value").agg(pl.col("row").sort())
    groups = [(value, rows.to_numpy().astype(np.int64)) for value, rows in zip(*found, strict=True)]
    groups.sort(key=lambda group: (-len(group[1]), group[0] is None, str(group[0])))
    return [group for group in groups if len(group[1]) >= smallest][:most]


@dataclass(frozen=True)
class _Part:
    """Rows of both models: vectors (rows,)."""

    labels: Vector
    challenger: Vector
    champion: Vector | None
    blocks: NDArray[np.str_]

    def at(self, rows: NDArray[np.int64]) -> _Part:
        champion = None if self.champion is None else self.champion[rows]
        return _Part(self.labels[rows], self.challenger[rows], champion, self.blocks[rows])

    @property
    def days(self) -> int:
        return len(np.unique(self.blocks))


def measure(  # noqa: PLR0917 - the data first, then how to look at it
    task: Task,
    metric: Metric,
    labels: ArrayLike,
    challenger: ArrayLike,
    champion: ArrayLike | None,
    blocks: ArrayLike,
    columns: Mapping[str, Sequence[str | None]],
    *,
    config: GateConfig,
    threshold: float | None,
    seed: int,
) -> Slices:
    """Measure both models on the groups of each column that have ``slices.minimum_rows`` rows, on two blocks or more.

    All vectors and columns are (rows,); ``blocks`` holds partition keys, ``threshold`` is the probability that means
    yes (None: a regression). ``ValueError`` where lengths differ, a value is not finite, or the metric is not of the
    task or not defined on all rows.
    """
    if metric.task != task:
        raise ValueError(f"{metric.name!r} is no metric of a {task}")
    ours = Sample.of(labels, challenger, blocks)
    theirs = None if champion is None else Sample.of(labels, champion, blocks).predictions
    rows = _Part(ours.labels, ours.predictions, theirs, np.asarray(blocks).astype(str))
    parts: list[tuple[str, str | None, _Part]] = []
    small = []
    for column, values in columns.items():
        if len(values) != len(ours.labels):
            raise ValueError(f"column {column} has {len(values)} values for {len(ours.labels)} rows")
        series = pl.Series(values, dtype=pl.String)
        large = [(value, rows.at(at)) for value, at in by_value(series, config.slices.minimum_rows)]
        taken = [(column, None if value is None else str(value), part) for value, part in large if part.days > 1]
        parts += taken
        left = len(series) - sum(len(part.labels) for *_, part in taken)
        small.append(Small(column, series.n_unique() - len(taken), left))
    groups = tuple(_group(*each, metric, config, threshold, len(parts), seed) for each in parts)
    together = None if theirs is None else metric(ours.labels, theirs)
    return Slices(metric.name, metric(ours.labels, ours.predictions), together, groups, tuple(small))


def _group(  # noqa: PLR0917 - the group first, then how to look at it
    column: str,
    value: str | None,
    part: _Part,
    metric: Metric,
    config: GateConfig,
    threshold: float | None,
    groups: int,
    seed: int,
) -> Group:
    measures = {rule.measure for rule in config.fairness if rule.column == column}
    confidence = 1 - (1 - config.slices.confidence) / groups
    return Group(
        column=column,
        value=value,
        rows=len(part.labels),
        blocks=part.days,
        challenger=fairness.defined(metric, part.labels, part.challenger),
        champion=None if part.champion is None else fairness.defined(metric, part.labels, part.champion),
        interval=_interval(part, metric, confidence, seed),
        fairness={
            name: fairness.statistic(name, part.labels, part.challenger, metric, threshold) for name in sorted(measures)
        },
    )


def _interval(part: _Part, metric: Metric, confidence: float, seed: int) -> tuple[float, float] | None:
    """Of the challenger's error less the champion's, both on the same drawn blocks (``include.resampling``)."""
    if part.champion is None:
        return None
    ours = Sample.of(part.labels, part.challenger, part.blocks)
    theirs = Sample.of(part.labels, part.champion, part.blocks)
    weights = draw(ours.blocks, RESAMPLES, seed)
    turned = metric.loss(1.0) * (statistic(metric, ours)(weights) - statistic(metric, theirs)(weights))
    try:
        return bounds(turned, confidence, ours.blocks)
    except ValueError:  # of one class in too many resamples: the check fails
        return None


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
