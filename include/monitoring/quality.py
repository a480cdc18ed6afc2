"""Realized quality: predictions against the labels that have come, and against what was promised at the gate."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from include.contract.metrics import METRICS, Metric, evaluate
from include.contract.monitoring import QualityConfig
from include.records import Record
from include.resampling import (
    Sample,
    Vector,
    block_means,
    bounds,
    draw,
    limited,
    probability_above,
    statistic,
    weighted_mean,
)

RESAMPLES = 2000


@dataclass(frozen=True)
class Promise(Record):
    """A metric on the gate's test stretch, with what is needed to know how sure it is.

    Rowwise metrics keep their mean and row count by block; others keep the standard error of a block bootstrap.
    With neither, the promise is taken as exact.
    """

    metric: str
    value: float
    rows: int
    means: tuple[float, ...] = ()
    counts: tuple[int, ...] = ()
    error: float | None = None

    @classmethod
    def of(cls, metric: Metric, labels: ArrayLike, predictions: ArrayLike, blocks: ArrayLike, seed: int) -> Promise:
        """Measure the promise. ``ValueError`` where the metric is not defined on these rows."""
        sample = Sample.of(labels, predictions, blocks)
        value = metric(sample.labels, sample.predictions)
        if metric.rowwise:
            means, counts = block_means(metric, sample), sample.counts
            return cls(metric.name, value, len(sample.labels), tuple(means.tolist()), tuple(int(n) for n in counts))
        error = None
        if sample.blocks > 1:
            values = statistic(metric, sample)(draw(sample.blocks, limited(metric, RESAMPLES), seed))
            error = float(np.nanstd(values) * math.sqrt(sample.blocks / (sample.blocks - 1)))
        return cls(metric.name, value, len(sample.labels), error=error)

    def draws(self, resamples: int, seed: int) -> Vector:
        """What the promise might as well have been: (resamples,)."""
        if len(self.means) > 1:
            weights = draw(len(self.means), resamples, seed)
            return weighted_mean(np.array(self.means), np.array(self.counts, dtype=np.float64))(weights)
        return np.random.default_rng(seed).normal(self.value, self.error or 0.0, resamples)


@dataclass(frozen=True)
class Increase(Record):
    """By how much the loss now exceeds the promised loss; positive: worse than promised."""

    value: float
    interval: tuple[float, float]  # each end is a one-sided bound at the configured confidence
    probability: float  # the confidence with which it is above the tolerance

    @classmethod
    def of(
        cls, value: float, now: Vector, blocks: int, *, promise: Promise, config: QualityConfig, seed: int
    ) -> Increase:
        """From the metric now, its resamples ``now`` (resamples,) over ``blocks`` blocks, and the promise."""
        metric = METRICS[config.metric]
        spread = metric.loss(1.0) * (now - promise.draws(len(now), seed))
        if len(promise.means) > 1:
            blocks = min(blocks, len(promise.means))
        return cls(
            value=metric.loss(value) - metric.loss(promise.value),
            interval=bounds(spread, config.confidence, blocks),
            probability=probability_above(spread, config.tolerance, blocks),
        )


@dataclass(frozen=True)
class Quality(Record):
    """The quality of a window."""

    metric: str
    values: Mapping[str, float]  # every metric of the task that is defined on these rows
    interval: tuple[float, float] | None  # of ``metric``; each end is a one-sided bound at ``confidence``
    promised: float | None
    increase: Increase | None
    tolerance: float
    confidence: float
    rows: int  # predictions whose label has come
    predictions: int
    coverage: float  # rows / predictions
    blocks: int
    decidable: bool
    worse_than_promised: bool  # decidable, and the lower end of the increase is above the tolerance
    reasons: tuple[str, ...]

    @property
    def value(self) -> float | None:
        return self.values.get(self.metric)


def measure(  # noqa: PLR0917 - the data first, then how to look at it
    labels: ArrayLike,
    predictions: ArrayLike,
    blocks: ArrayLike,
    predicted: int,
    config: QualityConfig,
    task: str,
    promise: Promise | None,
    seed: int,
) -> Quality:
    """Measure the labelled rows of a window, three vectors (rows,), of ``predicted`` predictions in all.

    Worse than promised: the loss exceeds the promised loss by more than the tolerance, with the confidence asked, where
    both are uncertain (block bootstrap, see ``include.resampling``). Too few rows or blocks, a metric that is not
    defined or a missing promise make it undecidable, never worse. Raises ``ValueError`` where values are not finite,
    there are more labels than predictions, or the promise is of another metric.
    """
    sample = Sample.of(labels, predictions, blocks)
    rows, metric = len(sample.labels), METRICS[config.metric]
    if rows > predicted:
        raise ValueError(f"{rows} labelled rows cannot come from {predicted} predictions")
    if promise is not None and promise.metric != metric.name:
        raise ValueError(f"the promise is of {promise.metric}, the configuration asks for {metric.name}")
    values = _values(task, sample)
    obstacles = _obstacles(sample, values, config, promise)
    interval, increase = None, None
    if metric.name in values and sample.blocks > 1:
        now = statistic(metric, sample)(draw(sample.blocks, limited(metric, RESAMPLES), seed))
        try:
            interval = bounds(now, config.confidence, sample.blocks)
            if promise is not None:
                increase = Increase.of(
                    values[metric.name], now, sample.blocks, promise=promise, config=config, seed=seed + 1
                )
        except ValueError as error:
            obstacles.append(f"not decidable: {error}")
    worse = not obstacles and increase is not None and increase.interval[0] > config.tolerance
    return Quality(
        metric=metric.name,
        values=values,
        interval=interval,
        promised=promise.value if promise else None,
        increase=increase,
        tolerance=config.tolerance,
        confidence=config.confidence,
        rows=rows,
        predictions=predicted,
        coverage=rows / predicted if predicted else 0.0,
        blocks=sample.blocks,
        decidable=not obstacles,
        worse_than_promised=worse,
        reasons=tuple(obstacles) or (_in_words(config, values, promise, increase, worse),),
    )


def _values(task: str, sample: Sample) -> dict[str, float]:
    if len(sample.labels) < 2:
        return {}
    return {
        name: value for name, value in evaluate(task, sample.labels, sample.predictions).items() if math.isfinite(value)
    }


def _obstacles(
    sample: Sample, values: Mapping[str, float], config: QualityConfig, promise: Promise | None
) -> list[str]:
    """Why the window cannot be held against the promise."""
    found = []
    if len(sample.labels) < config.minimum_rows:
        found.append(f"not decidable: {len(sample.labels)} labelled rows are too few (at least {config.minimum_rows})")
    if sample.blocks < 2:
        found.append(f"not decidable: {sample.blocks} partition(s) with labels; the spread between them needs 2")
    if config.metric not in values:
        found.append(f"not decidable: {config.metric} is not defined on these rows")
    if promise is None:
        found.append("not decidable: nothing was promised at the gate")
    return found


def _in_words(
    config: QualityConfig, values: Mapping[str, float], promise: Promise | None, increase: Increase | None, worse: bool
) -> str:
    if promise is None or increase is None:
        raise AssertionError("a decidable window has a promise and was compared with it")
    low, high = increase.interval
    return (
        f"{config.metric} {values[config.metric]:.4g} is {abs(increase.value):.3g} "
        f"{'worse' if increase.value > 0 else 'better'} than the promised {promise.value:.4g} "
        f"(loss {low:+.3g} to {high:+.3g}); "
        f"with {config.confidence:.0%} confidence this is {'more' if worse else 'not more'} "
        f"than the tolerance of {config.tolerance:g}"
    )
