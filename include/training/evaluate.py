"""How good a fitted model is, and how sure that is: on the rows of a split, and beside what is simpler.

Intervals come from a bootstrap of whole days (``include.resampling``); each end is a one-sided bound.
"""

from __future__ import annotations

import math
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from include.contract.metrics import METRICS, Metric, evaluate
from include.contract.use_case import Task
from include.gate.comparison import compare_paired
from include.records import Record
from include.resampling import Sample, Vector, bounds, draw, limited, statistic
from include.training.reliability import Calibration, calibration

PREDICTION = "prediction"
CONFIDENCE = 0.9
RESAMPLES = 2000


@dataclass(frozen=True)
class Measured(Record):
    """A metric; no interval where there are too few blocks, or too few rows of one class."""

    value: float
    interval: tuple[float, float] | None = None


@dataclass(frozen=True)
class Evaluation(Record):
    """Every metric of the task that is defined on the rows."""

    metrics: dict[str, Measured]
    rows: int
    blocks: int
    positives: int | None  # of a classification
    calibration: Calibration | None
    confidence: float

    @property
    def values(self) -> dict[str, float]:
        return {name: measured.value for name, measured in self.metrics.items()}


@dataclass(frozen=True)
class Gain(Record):
    """By how much a candidate's loss is lower than that of a baseline on the same rows; positive: better."""

    metric: str
    baseline: str
    candidate_value: float
    baseline_value: float
    gain: float
    interval: tuple[float, float] | None
    better: bool  # the lower end of the interval is above 0
    rows: int
    blocks: int
    sentence: str


def measure(
    task: Task,
    labels: ArrayLike,
    predictions: ArrayLike,
    blocks: ArrayLike,
    *,
    confidence: float = CONFIDENCE,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Evaluation:
    """Measure predictions: three vectors (rows,), ``blocks`` with the day (partition) of each row.

    What is not defined on the rows is left out; fewer than two blocks give no intervals. ``ValueError`` where lengths
    differ or a value is not finite, and for a classification where a label is not 0 or 1 or a prediction is no
    probability.
    """
    sample = Sample.of(labels, predictions, blocks)
    binary = task == "classification"
    if binary:
        _refuse_impossible(sample)
    return Evaluation(
        metrics=_metrics(task, sample, confidence, resamples, seed),
        rows=len(sample.labels),
        blocks=sample.blocks,
        positives=int(sample.labels.sum()) if binary else None,
        calibration=calibration(sample.labels, sample.predictions) if binary and len(sample.labels) else None,
        confidence=confidence,
    )


def compare(  # noqa: PLR0917 - the data first, then how to look at it
    task: Task,
    metric: str,
    labels: ArrayLike,
    candidate: ArrayLike,
    baseline: ArrayLike,
    blocks: ArrayLike,
    *,
    name: str,
    confidence: float = CONFIDENCE,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Gain:
    """Hold a candidate against the baseline ``name`` (e.g. "a logistic regression"), paired by block.

    Four vectors (rows,). With fewer than two blocks, or too few rows of one class, the gain has no interval and is not
    called better. ``ValueError`` where the metric is not of the task or not defined, or a value is not finite.
    """
    judged = METRICS.get(metric)
    if judged is None or judged.task != task:
        raise ValueError(f"{metric!r} is no metric of a {task}")
    ours, theirs = Sample.of(labels, candidate, blocks), Sample.of(labels, baseline, blocks)
    values = judged(ours.labels, ours.predictions), judged(theirs.labels, theirs.predictions)
    if not all(map(math.isfinite, values)):
        raise ValueError(f"{metric} of {len(ours.labels)} rows is not defined")
    options: dict[str, Any] = {"margin": 0.0, "confidence": confidence, "resamples": resamples, "seed": seed}
    found = None
    with suppress(ValueError):  # the values are defined: only the spread between blocks cannot be told
        found = compare_paired(labels, candidate, baseline, blocks, judged, **options)
    interval = found.interval if found else None
    gain = judged.loss(values[1]) - judged.loss(values[0])
    return Gain(
        metric=metric,
        baseline=name,
        candidate_value=values[0],
        baseline_value=values[1],
        gain=gain,
        interval=interval,
        better=found is not None and found.convincing,
        rows=len(ours.labels),
        blocks=ours.blocks,
        sentence=_sentence(metric, name, gain, interval),
    )


def _metrics(task: Task, sample: Sample, confidence: float, resamples: int, seed: int) -> dict[str, Measured]:
    if len(sample.labels) < 2:
        return {}
    values = evaluate(task, sample.labels, sample.predictions)
    weights = draw(sample.blocks, resamples, seed)
    return {
        name: Measured(value, _interval(METRICS[name], sample, weights, confidence))
        for name, value in values.items()
        if math.isfinite(value)
    }


def _interval(metric: Metric, sample: Sample, weights: Vector, confidence: float) -> tuple[float, float] | None:
    if sample.blocks < 2:
        return None
    try:
        return bounds(statistic(metric, sample)(weights[: limited(metric, len(weights))]), confidence, sample.blocks)
    except ValueError:  # one of the classes is missing in too many resamples
        return None


def _refuse_impossible(sample: Sample) -> None:
    if bad := sorted(set(sample.labels.tolist()) - {0.0, 1.0})[:3]:
        raise ValueError(f"labels of a classification are 0 and 1, got {', '.join(f'{value:g}' for value in bad)}")
    if outside := int(np.count_nonzero((sample.predictions < 0) | (sample.predictions > 1))):
        raise ValueError(f"{outside} of {len(sample.predictions)} predictions are no probabilities from 0 to 1")


def _sentence(metric: str, name: str, gain: float, interval: tuple[float, float] | None) -> str:
    size = f"{metric} is {abs(gain):.3g} {'better' if gain > 0 else 'worse'} than that of {name}"
    if not gain:
        size = f"{metric} equals that of {name}"
    if interval is None:
        return f"{size}; how sure that is cannot be told from these days"
    low, high = (end + 0.0 for end in interval)  # no -0
    span = f"(gain {low:+.3g} to {high:+.3g})"
    if low > 0:
        return f"{size} {span}"
    return f"does not beat {name}: {size} {span}{', which may be chance' if gain > 0 else ''}"
