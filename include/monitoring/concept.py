"""Has what the inputs mean changed? A sequential test on the losses of the days, one after the other.

Watched is what the inputs do not explain: for a classification the log-loss of a row less what its own probability
lets expect, so that a stretch of hard rows is no news; for a regression its error.

Rows of one day hang together, so a day is one observation. Its loss is ranked among all days before it, those of the
gate's test stretch first. Without a change these sequential ranks are independent, whatever the distribution of the
losses is (Rényi 1962, "Théorie des éléments saillants d'une suite d'observations"), and their normal scores are
summed by a one-sided CUSUM (Page 1954; with sequential ranks: McDonald 1990, "A CUSUM procedure based on sequential
ranks"). Nothing about the losses is estimated, so that a short test stretch does not make false alarms.
``benchmarks/concept_drift.py`` counts them, also where days follow the day before them and the rate no longer holds.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right, insort
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate

import numpy as np
import polars as pl
from numpy.typing import ArrayLike

from include.contract.monitoring import ConceptConfig
from include.contract.use_case import Task
from include.features.compute import LABEL
from include.gate.slices import by_value
from include.records import Record
from include.resampling import Sample, Vector
from include.training.evaluate import PREDICTION
from include.training.training_set import BLOCK

ALL = "all rows"
SHIFT = 0.5  # standard deviations of a day's loss; the CUSUM is at its best for a change of this size
FEWEST = 7  # days to begin with
SPARSE = 0.25  # a day with fewer rows than this share of the usual is another kind of observation
CLOSEST = 1e-7


@dataclass(frozen=True)
class DayLoss(Record):
    """What a day adds: the mean over its labelled rows."""

    day: str
    loss: float
    rows: int


@dataclass(frozen=True)
class Change(Record):
    """What the sequential test says of all rows, or of one slice."""

    what: str
    computed: bool
    drifted: bool
    reason: str
    statistic: float | None = None
    limit: float | None = None
    since: str | None = None  # the day after which the sum was never 0: the change began about then
    detected: str | None = None  # the first day above the limit since then
    increase: float | None = None  # mean loss since then less that of all days before
    days: int = 0
    every: float | None = None  # days between two false alarms, where the days are independent


def surprise(task: Task, metric: str, labels: ArrayLike, predictions: ArrayLike) -> Vector:
    """The loss of each row that is watched (rows,): see above; squared errors where the metric is rmse or r2."""
    y, p = np.asarray(labels, dtype=np.float64), np.asarray(predictions, dtype=np.float64)
    if task == "regression":
        return np.abs(y - p) if metric == "mae" else (y - p) ** 2
    p = np.clip(p, CLOSEST, 1 - CLOSEST)
    odds: Vector = np.log(p) - np.log1p(-p)
    return (p - y) * odds  # -log p(y) + p log p + (1 - p) log(1 - p)


def day_losses(task: Task, metric: str, labelled: pl.DataFrame) -> tuple[DayLoss, ...]:
    """The mean loss of each day, in their order. ``labelled`` has label, prediction and block."""
    sample = Sample.of(labelled[LABEL], labelled[PREDICTION], labelled[BLOCK])
    sums = sample.sums(surprise(task, metric, sample.labels, sample.predictions))
    names = labelled[BLOCK].unique().sort()
    return tuple(
        DayLoss(day, float(total / rows), int(rows))
        for day, total, rows in zip(names, sums, sample.counts, strict=True)
    )


def losses(task: Task, metric: str, labelled: pl.DataFrame, slices: Sequence[str]) -> dict[str, tuple[DayLoss, ...]]:
    """The same for all rows, and for each value of each slice column that the frame has."""
    found = {ALL: day_losses(task, metric, labelled)} if labelled.height else {}
    for column in slices:
        if column in labelled.columns:
            for value, at in by_value(labelled[column], 1):
                found[f"{column} {'missing' if value is None else value}"] = day_losses(task, metric, labelled[at])
    return found


def watch(
    reference: Mapping[str, Sequence[DayLoss]], stream: Mapping[str, Sequence[DayLoss]], config: ConceptConfig
) -> tuple[Change, ...]:
    """Test all rows and every slice that the reference has enough rows of; the largest change first among slices.

    All slices together are allowed as many false alarms as all rows are.
    """
    every = config.false_alarms.total_seconds() / 86_400
    large = [
        name
        for name, days in reference.items()
        if name != ALL and sum(each.rows for each in days) >= config.minimum_rows * len(days) and len(days) >= FEWEST
    ]
    found = [detect(ALL, reference.get(ALL, ()), stream.get(ALL, ()), every)]
    sliced = [detect(name, reference[name], stream.get(name, ()), every * len(large)) for name in large]
    return (*found, *sorted(sliced, key=lambda each: (not each.drifted, -(each.statistic or 0.0), each.what)))


def detect(what: str, reference: Sequence[DayLoss], stream: Sequence[DayLoss], every: float) -> Change:
    """Test whether the losses of the ``stream`` rose above those of the ``reference`` days at some time.

    ``every``: days between two false alarms. Days with far fewer rows than the reference has are passed over.
    """
    if len(reference) < FEWEST:
        return _unknown(what, f"the test stretch has {len(reference)} days of it, {FEWEST} are needed")
    usual = SPARSE * float(np.median([each.rows for each in reference]))
    days = [each for each in stream if each.rows >= usual]
    if not days:
        return _unknown(what, "no day with labels yet")
    sums = cusum([each.loss for each in reference], [each.loss for each in days])
    height = limit(every)
    start = max((position + 1 for position, total in enumerate(sums) if not total), default=0)
    crossed = next((position for position in range(start, len(sums)) if sums[position] > height), None)
    total = sums[-1]
    drifted = total > height
    change = Change(what, True, drifted, "", statistic=total, limit=height, days=len(days), every=every)
    if drifted and crossed is not None:
        change = replace(
            change,
            since=days[start].day,
            detected=days[crossed].day,
            increase=_mean(days[start:]) - _mean([*reference, *days[:start]]),
        )
    return replace(change, reason=_in_words(change))


def limit(every: float) -> float:
    """The sum at which a CUSUM of independent normal scores alarms falsely once in ``every`` days.

    By Siegmund (1985, "Sequential Analysis"): ``every = (exp(a b) - a b - 1) / (a^2 / 2)``, a the shift and b the limit
    and 1.166 for the overshoot.
    """
    from scipy.optimize import brentq

    def excess(barrier: float) -> float:
        return (math.expm1(SHIFT * barrier) - SHIFT * barrier) / (SHIFT**2 / 2) - every

    return max(0.0, float(brentq(excess, 1e-6, 200 / SHIFT)) - 1.166)


def cusum(reference: Sequence[float], stream: Sequence[float]) -> list[float]:
    """The sum after each loss of the stream. Equal losses share the middle of their ranks."""
    from scipy.special import ndtri

    known, shares = sorted(reference), []
    for loss in stream:
        rank = (bisect_left(known, loss) + bisect_right(known, loss)) / 2
        shares.append((rank + 0.5) / (len(known) + 1))
        insort(known, loss)
    scores = ndtri(np.array(shares)).tolist()
    return list(accumulate(scores, lambda total, score: max(0.0, total + score - SHIFT / 2), initial=0.0))[1:]


def _mean(days: Sequence[DayLoss]) -> float:
    return sum(each.loss * each.rows for each in days) / sum(each.rows for each in days)


def _unknown(what: str, why: str) -> Change:
    return Change(what, computed=False, drifted=False, reason=f"could not be computed: {why}")


def _in_words(change: Change) -> str:
    told = (
        f"sum {change.statistic:.3g}, limit {change.limit:.3g}: "
        f"one false alarm in {change.every:,.0f} days of independent losses"
    )
    if change.drifted:
        return f"since about {change.since} the loss is higher by {change.increase:.3g} than inputs explain ({told})"
    return f"no lasting rise of the loss in {change.days} day{'s' if change.days > 1 else ''} ({told})"
