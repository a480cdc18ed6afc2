"""Rules by which a challenger may be held against the champion, and how often each errs.

The gate's; the better metric wins; a paired t-test that takes flights, not days, for independent; and the percentiles
of the gate's own bootstrap of days, expanded for few blocks (Hesterberg 2015, section 5.3).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm, t

from include.contract.metrics import METRICS
from include.gate.comparison import compare_paired
from include.resampling import Vector, draw

CONFIDENCE, RESAMPLES = 0.9, 2000

Interval = tuple[float, float]
Rates = dict[str, list[float]]  # by rule: shares that erred high, that erred low, and that promoted without a margin


@dataclass(frozen=True, eq=False)
class Pair:
    """Two models' predictions of the same rows, and by how much the challenger is better in truth."""

    labels: Vector
    days: NDArray[np.int64]
    challenger: Vector
    champion: Vector
    truth: float

    def on(self, days: NDArray[np.int64]) -> Pair:
        rows = np.isin(self.days, days)
        return Pair(self.labels[rows], self.days[rows], self.challenger[rows], self.champion[rows], self.truth)

    @property
    def gains(self) -> Vector:
        """By row."""
        return losses(self.labels, self.champion) - losses(self.labels, self.challenger)

    def spread(self) -> tuple[float, float]:
        """The standard deviation of the days' mean gains, and the correlation of gains within a day (by ANOVA)."""
        _, codes, counts = np.unique(self.days, return_inverse=True, return_counts=True)
        means = np.bincount(codes, self.gains) / counts
        within = float(np.mean((self.gains - means[codes]) ** 2))
        between = max(0.0, float(means.var(ddof=1)) - within / float(counts.mean()))
        return float(means.std(ddof=1)), between / (between + within)


def losses(labels: Vector, predictions: Vector) -> Vector:
    return -np.where(labels == 1, np.log(predictions), np.log1p(-predictions))


def gate(pair: Pair, metric: str, seed: int, confidence: float = CONFIDENCE, days: int = 1) -> Interval:
    """With blocks of so many days."""
    options: dict[str, Any] = {"margin": 0.0, "confidence": confidence, "resamples": RESAMPLES, "seed": seed}
    blocks = (pair.days - pair.days.min()) // days
    return compare_paired(pair.labels, pair.challenger, pair.champion, blocks, METRICS[metric], **options).interval


def usual(pair: Pair, metric: str, _: int) -> Interval:
    """The better metric wins."""
    judged = METRICS[metric]
    gain = judged.loss(judged(pair.labels, pair.champion)) - judged.loss(judged(pair.labels, pair.challenger))
    return gain, gain


def by_rows(pair: Pair, _: str, __: int) -> Interval:
    """A paired t-test of the losses; the t of thousands of rows is normal."""
    mean, error = pair.gains.mean(), pair.gains.std(ddof=1) / np.sqrt(len(pair.gains))
    return float(mean - norm.ppf(CONFIDENCE) * error), float(mean + norm.ppf(CONFIDENCE) * error)


def percentiles(pair: Pair, __: str, seed: int) -> Interval:
    """Of the mean gain, over the gate's own resamples."""
    _, codes, counts = np.unique(pair.days, return_inverse=True, return_counts=True)
    days, weights = len(counts), draw(len(counts), RESAMPLES, seed)
    level = float(norm.cdf(np.sqrt(days / (days - 1)) * t.ppf(CONFIDENCE, days - 1)))
    low, high = np.quantile((weights @ np.bincount(codes, pair.gains)) / (weights @ counts), [1 - level, level])
    return float(low), float(high)


RULES: dict[str, Callable[..., Interval]] = {
    "gate": gate, "usual": usual, "rows": by_rows, "percentiles": percentiles,
}  # fmt: skip
STRICTER: dict[str, Callable[..., Interval]] = {
    "95 %": lambda pair, metric, seed: gate(pair, metric, seed, confidence=0.95),
    "two days": lambda pair, metric, seed: gate(pair, metric, seed, days=2),
}


def rates(pairs: Iterable[Pair], rules: dict[str, Callable[..., Interval]], metric: str = "log_loss") -> Rates:
    found: dict[str, list[tuple[bool, bool, bool]]] = {name: [] for name in rules}
    for seed, pair in enumerate(pairs):
        for name, rule in rules.items():
            low, high = rule(pair, metric, seed)
            found[name].append((low > pair.truth, high < pair.truth, low > 0))
    return {name: np.mean(values, axis=0).tolist() for name, values in found.items()}
