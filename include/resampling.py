"""Block bootstrap of metrics: the uncertainty of a metric whose rows hang together within a partition.

Rows of one day share weather, holidays and outages, so days (blocks) are drawn with replacement, not rows
(the cluster bootstrap: Davison & Hinkley 1997, "Bootstrap Methods and their Application", section 3.8). A draw is a
vector of weights, one a block: how often it was drawn. Metrics become functions of these weights; no row is copied.

Bounds are those of Student's t with the bootstrap's standard error (Hesterberg 2015, "What Teachers Should Know about
the Bootstrap"), which for K blocks is too small by ``sqrt((K - 1) / K)`` and is widened by that. Some days are far out,
as when a storm comes: there percentiles of a bootstrap of few days err more often than they say, even when they are
expanded for few blocks (``benchmarks/gate_errors.py`` counts both).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from include.contract.metrics import Metric

Vector = NDArray[np.float64]
Codes = NDArray[np.int64]
Statistic = Callable[[Vector], Vector]  # weights (resamples, blocks) -> values (resamples,), NaN where not defined

RECOMPUTED = 500  # most resamples of a metric that has to be computed anew for each of them
DEFINED = 0.9  # least share of resamples in which the metric must be defined


@dataclass(frozen=True)
class Sample:
    """Checked rows: ``labels`` and ``predictions`` (rows,), and the block number of each, ``0 <= code < blocks``."""

    labels: Vector
    predictions: Vector
    codes: Codes
    blocks: int

    @classmethod
    def of(cls, labels: ArrayLike, predictions: ArrayLike, blocks: ArrayLike) -> Sample:
        """``ValueError`` where lengths differ, or where a value is not a finite number."""
        y, p = np.asarray(labels, dtype=np.float64), np.asarray(predictions, dtype=np.float64)
        keys = np.asarray(blocks)
        if not (y.shape == p.shape == keys.shape and y.ndim == 1):
            raise ValueError(
                f"labels {y.shape}, predictions {p.shape} and blocks {keys.shape} must be vectors of one length"
            )
        for name, values in (("labels", y), ("predictions", p)):
            if bad := int(np.count_nonzero(~np.isfinite(values))):
                raise ValueError(f"{bad} of {len(values)} {name} are not finite numbers")
        names, codes = np.unique(keys, return_inverse=True)
        return cls(y, p, codes.astype(np.int64), len(names))

    def block(self, code: int) -> tuple[Vector, Vector]:
        """Labels and predictions of one block."""
        rows = self.codes == code
        return self.labels[rows], self.predictions[rows]

    @property
    def counts(self) -> Vector:
        """Rows by block."""
        return self.sums(np.ones_like(self.labels))

    def sums(self, values: Vector) -> Vector:
        """Sums of a value per row, by block."""
        return np.bincount(self.codes, weights=values, minlength=self.blocks).astype(np.float64)


def draw(blocks: int, resamples: int, seed: int) -> Vector:
    """How often each block is drawn: (resamples, blocks), each row sums to ``blocks``."""
    generator = np.random.default_rng(seed)
    return generator.multinomial(blocks, np.full(blocks, 1 / blocks), size=resamples).astype(np.float64)


def limited(metric: Metric, resamples: int) -> int:
    """The number of resamples that a metric is worth: those without sums by block are computed anew each time."""
    return resamples if metric.rowwise or metric.name in _BY_SUMS else min(resamples, RECOMPUTED)


def statistic(metric: Metric, sample: Sample) -> Statistic:
    """The metric as a function of block weights; with all weights 1 it is the metric of the sample."""
    if metric.rowwise:
        return weighted_mean(block_means(metric, sample), sample.counts)
    if metric.name in _BY_SUMS:
        return _BY_SUMS[metric.name](sample)
    return _average_precision(sample) if metric.name == "average_precision" else _recomputed(metric, sample)


def block_means(metric: Metric, sample: Sample) -> Vector:
    """A rowwise metric of each block: (blocks,)."""
    return np.array([metric(*sample.block(code)) for code in range(sample.blocks)])


def weighted_mean(means: Vector, counts: Vector) -> Statistic:
    """The mean over rows, of means and row counts by block."""
    return lambda weights: (weights @ (means * counts)) / (weights @ counts)


def bounds(values: Vector, confidence: float, blocks: int) -> tuple[float, float]:
    """Lower and upper bound, each one-sided at ``confidence``. NaNs (not defined) are left out."""
    from scipy.stats import t

    centre, error = _centre_and_error(values, blocks)
    half = float(t.ppf(confidence, blocks - 1)) * error
    return centre - half, centre + half


def probability_above(values: Vector, limit: float, blocks: int) -> float:
    """The confidence at which the lower bound would just reach ``limit``. NaNs (not defined) are left out."""
    from scipy.stats import t

    centre, error = _centre_and_error(values, blocks)
    if not error:  # no spread: nothing to be unsure of
        return float(centre > limit)
    return float(t.cdf((centre - limit) / error, blocks - 1))


def _centre_and_error(values: Vector, blocks: int) -> tuple[float, float]:
    kept = defined(values)
    if np.all(kept == kept[0]):  # sums of equal numbers round
        return float(kept[0]), 0.0
    return float(kept.mean()), float(kept.std() * np.sqrt(blocks / (blocks - 1)))


def defined(values: Vector) -> Vector:
    """The values without NaNs; ``ValueError`` where the metric is not defined in too many resamples."""
    kept = values[~np.isnan(values)]
    if len(kept) < DEFINED * len(values):
        raise ValueError(
            f"the metric is defined in only {len(kept)} of {len(values)} resamples: too few rows of one class"
        )
    return kept


def _rmse(sample: Sample) -> Statistic:
    squares, counts = sample.sums((sample.labels - sample.predictions) ** 2), sample.counts
    return lambda weights: np.sqrt((weights @ squares) / (weights @ counts))


def _r2(sample: Sample) -> Statistic:
    """``1 - SSE / SST``, SST about the mean of the rows that were drawn."""
    centred = sample.labels - sample.labels.mean()  # sums of squares about a far mean would lose digits
    errors, counts = sample.sums((sample.labels - sample.predictions) ** 2), sample.counts
    first, second = sample.sums(centred), sample.sums(centred**2)

    def values(weights: Vector) -> Vector:
        total = weights @ second - (weights @ first) ** 2 / (weights @ counts)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(total > 0, 1 - (weights @ errors) / total, np.nan)

    return values


def _roc_auc(sample: Sample) -> Statistic:
    """The Mann-Whitney statistic, from the wins of block b's positives over block c's negatives (ties count half)."""
    positive = sample.labels == 1
    scores, codes = sample.predictions[positive], sample.codes[positive]
    wins = np.zeros((sample.blocks, sample.blocks))
    for block in range(sample.blocks):
        negatives = np.sort(sample.predictions[~positive & (sample.codes == block)])
        below = np.searchsorted(negatives, scores, "left") + np.searchsorted(negatives, scores, "right")
        wins[:, block] = np.bincount(codes, weights=below / 2, minlength=sample.blocks)
    positives, negatives_ = sample.sums(positive.astype(np.float64)), sample.sums((~positive).astype(np.float64))

    def values(weights: Vector) -> Vector:
        pairs = (weights @ positives) * (weights @ negatives_)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(pairs > 0, np.einsum("rb,bc,rc->r", weights, wins, weights, optimize=True) / pairs, np.nan)

    return values


def _average_precision(sample: Sample) -> Statistic:
    """``sum (R_i - R_{i-1}) P_i`` over falling thresholds; sorted once, one pass over the rows per resample."""
    order = np.argsort(-sample.predictions, kind="stable")
    scores, codes = sample.predictions[order], sample.codes[order]
    positive = sample.labels[order] == 1
    last = np.flatnonzero(np.append(np.diff(scores) != 0, True))  # the last row of each threshold

    def one(weights: Vector) -> float:
        rows = weights[codes]
        seen, hits = np.cumsum(rows)[last], np.cumsum(rows * positive)[last]
        if hits[-1] == 0 or hits[-1] == seen[-1]:
            return float("nan")
        precision = np.divide(hits, seen, out=np.zeros_like(hits), where=seen > 0)
        return float(np.sum(np.diff(hits, prepend=0.0) * precision) / hits[-1])

    return lambda weights: np.array([one(row) for row in weights])


def _recomputed(metric: Metric, sample: Sample) -> Statistic:
    rows = [np.flatnonzero(sample.codes == code) for code in range(sample.blocks)]

    def one(weights: Vector) -> float:
        drawn = np.concatenate([np.tile(rows[code], int(times)) for code, times in enumerate(weights) if times])
        try:
            return metric(sample.labels[drawn], sample.predictions[drawn])
        except ValueError:
            return float("nan")

    return lambda weights: np.array([one(row) for row in weights])


_BY_SUMS: dict[str, Callable[[Sample], Statistic]] = {"rmse": _rmse, "r2": _r2, "roc_auc": _roc_auc}
