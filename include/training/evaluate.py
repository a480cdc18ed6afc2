"""How good a fitted model is, and how sure that is: by split, by slice, and beside what is simpler.

Intervals come from a bootstrap of whole days (``include.resampling``); each end is a one-sided bound.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray

from include.contract.metrics import METRICS, Metric, evaluate
from include.contract.use_case import Task
from include.features.compute import LABEL
from include.gate.comparison import compare_paired
from include.records import Record
from include.resampling import Sample, Vector, bounds, draw, limited, statistic

PREDICTION = "prediction"
BLOCK = "block"
SMALLEST_SLICE = 50
MOST_SLICES = 50  # values of one column, the largest; a column of many values is no grouping that a person reads
CONFIDENCE = 0.9
RESAMPLES = 2000
SLICE_RESAMPLES = 400  # there are many slices, and nothing is decided by one
BINS = 10
CLOSEST = 1e-7  # predictions of 0 and 1 have no log-odds and are taken as this far from it


@dataclass(frozen=True)
class Measured(Record):
    """A metric; no interval where there are too few blocks, or too few rows of one class."""

    value: float
    interval: tuple[float, float] | None = None


@dataclass(frozen=True)
class Bin(Record):
    """Rows of similar predictions."""

    predicted: float  # mean probability
    observed: float  # share of positives
    rows: int


@dataclass(frozen=True)
class Calibration(Record):
    """Whether of the rows with a probability of 30 % about 30 % are positive.

    ``error``: the expected calibration error, ``sum_b n_b / n * |observed_b - predicted_b|`` (Naeini et al. 2015,
    "Obtaining Well Calibrated Probabilities Using Bayesian Binning") over bins of equal mass; equal predictions share a
    bin. It is not debiased, and never 0: ``chance`` is what to expect of it with perfect probabilities and independent
    rows, ``sum_b n_b / n * sqrt(2 p_b (1 - p_b) / (pi n_b))``.
    ``slope``, ``intercept``: of a logistic regression of the label on the log-odds of the prediction (Cox 1958, "Two
    further applications of a model for binary regression"), 1 and 0 where nothing is to be corrected; a slope below 1
    means too extreme. None where one class or one prediction is all there is, or the predictions separate the classes.
    """

    error: float
    chance: float
    slope: float | None
    intercept: float | None
    bins: tuple[Bin, ...]


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
class Slice(Record):
    """The rows that have one value in a column; the value is None where it is missing."""

    value: str | None
    evaluation: Evaluation


@dataclass(frozen=True)
class Sliced(Record):
    """The slices of one column, the largest first, and what was too small (or too many) to be measured."""

    column: str
    slices: tuple[Slice, ...]
    other_values: int
    other_rows: int

    def worst(self, metric: str) -> Slice | None:
        """The slice with the greatest loss; None where there are not two to choose from."""
        found = [each for each in self.slices if metric in each.evaluation.metrics]
        return (
            max(found, key=lambda each: METRICS[metric].loss(each.evaluation.values[metric]), default=None)
            if len(found) > 1
            else None
        )


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


def constant(labels: NDArray[np.float64], rows: int) -> NDArray[np.float64]:
    """The prediction of the baseline that knows only the mean (the rate) of the training labels."""
    return np.full(rows, labels.mean())


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


def by_slice(
    task: Task,
    rows: pl.DataFrame,
    slices: Sequence[str],
    *,
    confidence: float = CONFIDENCE,
    resamples: int = SLICE_RESAMPLES,
    seed: int = 0,
) -> tuple[Sliced, ...]:
    """Measure each value of each slice column that has at least ``SMALLEST_SLICE`` rows, at most ``MOST_SLICES``.

    ``rows`` has the slice columns, the label, the prediction and the block.
    """
    found = []
    for column in slices:
        groups = [(value, part) for (value,), part in rows.group_by(column)]
        groups.sort(key=lambda group: (-group[1].height, group[0] is None, str(group[0])))
        large = [group for group in groups if group[1].height >= SMALLEST_SLICE][:MOST_SLICES]
        measured = [
            Slice(
                None if value is None else str(value),
                measure(
                    task,
                    part[LABEL],
                    part[PREDICTION],
                    part[BLOCK],
                    confidence=confidence,
                    resamples=resamples,
                    seed=seed,
                ),
            )
            for value, part in large
        ]
        other = rows.height - sum(part.height for _, part in large)
        found.append(Sliced(column, tuple(measured), len(groups) - len(large), other))
    return tuple(found)


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
    interval = None
    with suppress(ValueError):  # the values are defined: only the spread between blocks cannot be told
        interval = compare_paired(labels, candidate, baseline, blocks, judged, **options).interval
    gain = judged.loss(values[1]) - judged.loss(values[0])
    return Gain(
        metric=metric,
        baseline=name,
        candidate_value=values[0],
        baseline_value=values[1],
        gain=gain,
        interval=interval,
        better=interval is not None and interval[0] > 0,
        rows=len(ours.labels),
        blocks=ours.blocks,
        sentence=_sentence(metric, name, gain, interval),
    )


def calibration(labels: Vector, predictions: Vector, bins: int = BINS) -> Calibration:
    """The calibration of probabilities (rows,), at least one, against labels of 0 and 1."""
    edges = np.unique(np.quantile(predictions, np.linspace(0, 1, bins + 1)[1:-1]))
    _, codes = np.unique(np.searchsorted(edges, predictions, "left"), return_inverse=True)
    counts = np.bincount(codes)
    predicted = np.bincount(codes, weights=predictions) / counts
    observed = np.bincount(codes, weights=labels) / counts
    shares = counts / len(labels)
    spread = np.sqrt(2 * np.clip(predicted * (1 - predicted), 0, None) / (math.pi * counts))
    slope, intercept = _recalibration(labels, predictions) or (None, None)
    return Calibration(
        error=float(shares @ np.abs(observed - predicted)),
        chance=float(shares @ spread),
        slope=slope,
        intercept=intercept,
        bins=tuple(Bin(float(p), float(o), int(n)) for p, o, n in zip(predicted, observed, counts, strict=True)),
    )


def _recalibration(labels: Vector, predictions: Vector) -> tuple[float, float] | None:
    from scipy.special import logit
    from sklearn.linear_model import LogisticRegression

    odds = logit(np.clip(predictions, CLOSEST, 1 - CLOSEST))
    no, yes = odds[labels == 0], odds[labels == 1]
    if not len(no) or not len(yes) or np.ptp(odds) == 0 or no.max() <= yes.min() or yes.max() <= no.min():
        return None  # no finite solution
    fitted = LogisticRegression(C=np.inf, solver="newton-cholesky", tol=1e-8).fit(odds[:, None], labels)
    return float(fitted.coef_[0, 0]), float(fitted.intercept_[0])


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
