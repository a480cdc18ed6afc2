"""The quality of each day, beside the simplest baseline on the same rows and what was estimated without labels.

A day's interval says how exactly its own figure is known from its rows, not how other days will be.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl

from include.contract.metrics import METRICS, Metric, evaluate
from include.contract.use_case import Task
from include.features.compute import LABEL
from include.monitoring import estimate
from include.records import Record
from include.resampling import Sample, Vector, bounds, draw, limited, statistic
from include.training.evaluate import PREDICTION
from include.training.training_set import BLOCK

GROUPS = 30
RESAMPLES = 300
FEWEST = 10  # rows of which the spread can be told


@dataclass(frozen=True)
class Day(Record):
    """One local day of events. ``rows``: predictions whose label has come; ``gain``: by how much the loss is lower than
    the baseline's."""

    day: str
    predictions: int
    rows: int
    coverage: float  # rows / predictions
    values: Mapping[str, float]  # every metric of the task that is defined on these rows
    interval: tuple[float, float] | None  # of the judged metric, one-sided bounds
    baseline: float | None  # the judged metric of the baseline
    gain: float | None
    estimated: float | None  # the judged metric as expected from all probabilities of the day


def by_day(
    task: Task, metric: str, rows: pl.DataFrame, baseline: float, *, confidence: float, seed: int
) -> tuple[Day, ...]:
    """The days of the predictions, in their order.

    ``rows`` has the prediction, its block and its label (null: not come yet); ``baseline`` predicts the same for every
    row. ``ValueError`` where a value is not finite.
    """
    return tuple(
        _day(str(day), task, METRICS[metric], part, baseline, confidence, seed)
        for (day,), part in sorted(rows.partition_by(BLOCK, as_dict=True).items())
    )


def _day(  # noqa: PLR0917 - the rows first, then how to look at them
    day: str, task: Task, metric: Metric, rows: pl.DataFrame, baseline: float, confidence: float, seed: int
) -> Day:
    known = rows.filter(pl.col(LABEL).is_not_null())
    sample = Sample.of(known[LABEL], known[PREDICTION], np.arange(known.height))
    values = _values(task, sample.labels, sample.predictions)
    simple = _values(task, sample.labels, np.full(known.height, baseline)).get(metric.name)
    value = values.get(metric.name)
    return Day(
        day=day,
        predictions=rows.height,
        rows=known.height,
        coverage=known.height / rows.height,
        values=values,
        interval=None if value is None else within_day(metric, sample, confidence, seed),
        baseline=simple,
        gain=None if value is None or simple is None else metric.loss(simple) - metric.loss(value),
        estimated=estimate.expected(metric.name, rows[PREDICTION]) if task == "classification" else None,
    )


def _values(task: Task, labels: Vector, predictions: Vector) -> dict[str, float]:
    """r2 of a single row is not a number, and other metrics of no row are not defined."""
    if not len(labels):
        return {}
    if len(labels) == 1:
        rowwise = (each for each in METRICS.values() if each.task == task and each.rowwise)
        return {each.name: each(labels, predictions) for each in rowwise}
    return {name: value for name, value in evaluate(task, labels, predictions).items() if math.isfinite(value)}


def within_day(metric: Metric, sample: Sample, confidence: float, seed: int) -> tuple[float, float] | None:
    """Bounds of a metric over independent rows; None for fewer than 10, or where one class is too rare.

    Random groups (Wolter 2007, "Introduction to Variance Estimation", chapter 2) are drawn with replacement in place of
    rows, so that the cost does not grow with the square of their number.
    """
    rows = len(sample.labels)
    if rows < FEWEST:
        return None
    groups = np.random.default_rng(seed).permutation(rows) % min(rows, GROUPS)
    dealt = Sample.of(sample.labels, sample.predictions, groups)
    try:
        drawn = statistic(metric, dealt)(draw(dealt.blocks, limited(metric, RESAMPLES), seed))
        return bounds(drawn, confidence, dealt.blocks)
    except ValueError:
        return None
