"""How good are predictions whose labels have not come? Estimated from the probabilities themselves.

Confidence-based performance estimation (CBPE; Kivimäki et al. 2024, "Confidence-based Estimators for Predictive
Performance in Model Monitoring"; NannyML's documentation, "Deep Dive Performance Estimation"): of rows that get the
probability p, the share p is positive if the model is calibrated, so every metric has an expectation. What it rests on
fails with the concept: a model whose inputs have come to mean something else is as confident as before. So each
estimate is held against the truth when it comes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from include.contract.metrics import METRICS
from include.contract.use_case import Task
from include.records import Record
from include.resampling import Codes, Sample, Statistic, Vector, defined, draw, statistic

ESTIMATED = ("log_loss", "brier", "roc_auc")
RESAMPLES = 500


@dataclass(frozen=True)
class Estimate(Record):
    """A metric without labels. ``interval``: where the truth will be, as it was to the estimate on the gate's days."""

    metric: str
    value: float
    interval: tuple[float, float] | None
    truth: float | None = None

    @property
    def error(self) -> float | None:
        return None if self.truth is None else self.value - self.truth

    @property
    def held(self) -> bool | None:
        """Whether the truth is in the interval; None where one of them is missing."""
        if self.truth is None or self.interval is None:
            return None
        return self.interval[0] <= self.truth <= self.interval[1]


@dataclass(frozen=True)
class Estimates(Record):
    """All metrics of some rows, or why there are none."""

    rows: int
    days: int
    metrics: tuple[Estimate, ...]
    reason: str


def expected(metric: str, predictions: ArrayLike) -> float | None:
    """The expectation of a metric for probabilities (rows,); None where it has none or is not defined."""
    p = np.asarray(predictions, dtype=np.float64)
    if metric not in ESTIMATED or not len(p):
        return None
    value = float(_expectation(metric, p, np.zeros(len(p), dtype=np.int64), 1)(np.ones((1, 1)))[0])
    return value if math.isfinite(value) else None


def estimate(  # noqa: PLR0917 - the data first, then how to look at it
    task: Task,
    predictions: ArrayLike,
    blocks: ArrayLike,
    reference: Sample,
    confidence: float,
    seed: int,
    labels: ArrayLike | None = None,
) -> Estimates:
    """Estimate the metrics of probabilities (rows,) with their days; with ``labels`` (rows,) beside the truth.

    ``reference``: the gate's test stretch; how far the truth was from the estimate on its days tells how far it may be
    from this one: as many of them are drawn as the rows have. Ends of intervals are one-sided bounds at ``confidence``.
    ``ValueError`` where lengths differ or a value is not finite.
    """
    p = np.asarray(predictions, dtype=np.float64)
    sample = Sample.of(np.zeros(len(p)) if labels is None else labels, p, blocks)
    if task == "regression":
        return Estimates(len(p), sample.blocks, (), "a regression has no probabilities to estimate its quality from")
    if not len(p):
        return Estimates(0, 0, (), "there are no predictions to estimate the quality of")
    if np.any((p < 0) | (p > 1)):
        raise ValueError("predictions of a classification must be probabilities from 0 to 1")
    found = []
    for name in ESTIMATED:
        if (value := expected(name, p)) is not None:
            found.append(
                Estimate(
                    name,
                    value,
                    _interval(name, value, reference, sample.blocks, confidence, seed),
                    None if labels is None else _truth(name, sample),
                )
            )
    return Estimates(len(p), sample.blocks, tuple(found), "as good as the probabilities are calibrated")


def _truth(metric: str, sample: Sample) -> float | None:
    try:
        return METRICS[metric](sample.labels, sample.predictions)
    except ValueError:
        return None


def _interval(  # noqa: PLR0917 - what was estimated, then how to look at it
    metric: str, value: float, reference: Sample, days: int, confidence: float, seed: int
) -> tuple[float, float] | None:
    """A prediction interval: the spread of so many days, and that of what the reference's mean is known with."""
    from scipy.stats import t

    known = reference.blocks
    if known < 2:
        return None
    weights = np.random.default_rng(seed).multinomial(days, np.full(known, 1 / known), RESAMPLES).astype(np.float64)
    truth, guess = (
        statistic(METRICS[metric], reference),
        _expectation(metric, reference.predictions, reference.codes, known),
    )
    try:
        few, all_ = (defined(truth(drawn) - guess(drawn)) for drawn in (weights, draw(known, RESAMPLES, seed)))
    except ValueError:
        return None
    error = math.sqrt((float(few.var()) + float(all_.var())) * known / (known - 1))
    half = float(t.ppf(confidence, known - 1)) * error
    centre = value + float(few.mean())
    return centre - half, centre + half


def _expectation(metric: str, p: Vector, codes: Codes, blocks: int) -> Statistic:
    """The expected metric as a function of block weights (resamples, blocks)."""
    if metric == "roc_auc":
        return _expected_auc(p, codes, blocks)
    from scipy.special import entr

    rows = p * (1 - p) if metric == "brier" else entr(p) + entr(1 - p)
    sums, counts = np.bincount(codes, rows, blocks), np.bincount(codes, minlength=blocks).astype(np.float64)
    return lambda weights: (weights @ sums) / (weights @ counts)


def _expected_auc(p: Vector, codes: Codes, blocks: int) -> Statistic:
    """The Mann-Whitney statistic in which a row is positive by p and negative by 1 - p; ties count half."""
    wins = np.zeros((blocks, blocks))
    for block in range(blocks):
        scores = np.sort(p[codes == block])
        below = np.concatenate([[0.0], np.cumsum(1 - scores)])
        beaten = below[np.searchsorted(scores, p, "left")] + below[np.searchsorted(scores, p, "right")]
        wins[:, block] = np.bincount(codes, p * beaten / 2, blocks)
    positives, negatives = np.bincount(codes, p, blocks), np.bincount(codes, 1 - p, blocks)

    def values(weights: Vector) -> Vector:
        pairs = (weights @ positives) * (weights @ negatives)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(pairs > 0, np.einsum("rb,bc,rc->r", weights, wins, weights, optimize=True) / pairs, np.nan)

    return values
