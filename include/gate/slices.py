"""How a challenger and the champion serve every group of rows; judged in ``include.gate.slice_checks``.

An error is a metric turned so that 0 is perfect and groups compare as ratios: the value of a loss, and 1 less the value
of a score (ROC AUC, average precision, R2).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray

from include.contract.gate import GateConfig
from include.contract.metrics import METRICS, Metric
from include.contract.use_case import Task
from include.gate import fairness
from include.records import Record
from include.resampling import Sample, Vector, bounds, draw, statistic

MOST_SLICES = 50  # of one column, the largest; a column of many values is no grouping that a person reads
RESAMPLES = 400  # for a standard error


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
