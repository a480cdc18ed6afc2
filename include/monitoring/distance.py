"""Distances between two distributions of a column, and the tests of whether they are more than chance."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from include.monitoring.distributions import CategoricalProfile, NumericProfile

Vector = NDArray[np.float64]
Test = TypeVar("Test")

RARE = 5.0  # least expected count of a cell for the chi-square approximation (Cochran 1954)
DECILES = np.linspace(0.1, 0.9, 9)


@dataclass(frozen=True)
class Distance:
    """How far apart two samples are: an effect size, a test statistic with its p value, and the PSI."""

    effect: float
    statistic: float
    p_value: float
    psi: float


def numeric(reference: NumericProfile, current: NumericProfile) -> Distance:
    """Wasserstein-1 distance in reference standard deviations; Kolmogorov-Smirnov test; PSI over reference deciles.

    The p value is the large-sample one for ``n m / (n + m)`` values. Where a side is kept as quantiles, D is lowered by
    what they may be off, so that rounding never makes a difference. Both samples must hold values.
    """
    from scipy.stats import kstwo, wasserstein_distance

    first, second = reference.array, current.array
    if reference.sd == 0:
        return _from_constant(reference, current)
    grid = np.unique(np.concatenate([first, second]))
    apart = np.abs(
        np.searchsorted(first, grid, "right") / len(first) - np.searchsorted(second, grid, "right") / len(second)
    )
    statistic = float(apart.max())
    sure = max(0.0, statistic - reference.rounding - current.rounding)
    size = max(1, round(reference.n * current.n / (reference.n + current.n)))
    edges = np.unique(np.quantile(first, DECILES, method="inverted_cdf"))
    with np.errstate(over="ignore"):
        effect = float(wasserstein_distance(first, second)) / reference.sd
    return Distance(
        effect=effect,
        statistic=statistic,
        p_value=float(kstwo.sf(sure, size)),
        psi=psi(reference.share_within(edges), current.share_within(edges), reference.n, current.n),
    )


def _from_constant(reference: NumericProfile, current: NumericProfile) -> Distance:
    """A reference without spread has no unit of distance: the effect is the share of values that changed."""
    changed = float(np.mean(current.array != reference.points[0]))
    p_value = proportions(0, reference.n, round(changed * current.n), current.n)
    kept = psi(np.array([1.0, 0.0]), np.array([1 - changed, changed]), reference.n, current.n)
    return Distance(effect=changed, statistic=changed, p_value=p_value, psi=kept)


def categorical(reference: Vector, current: Vector) -> Distance:
    """Total variation distance; chi-square test of homogeneity; PSI. Rows by category of both samples: (categories,).

    Categories of which fewer than 5 rows are expected in either sample are counted together for test and PSI.
    """
    n, m = reference.sum(), current.sum()
    effect = 0.5 * float(np.abs(reference / n - current / m).sum())
    first, second = _pooled(reference, current)
    value = psi(first / n, second / m, int(n), int(m))
    if len(first) < 2:
        return Distance(effect, 0.0, 1.0, value)
    if len(first) == 2:
        p_value = proportions(int(first[0]), int(n), int(second[0]), int(m))
        return Distance(effect, float(abs(first[0] / n - second[0] / m)), p_value, value)
    from scipy.stats import chi2_contingency

    result = chi2_contingency(np.array([first, second]), correction=False)
    return Distance(effect, float(result.statistic), float(result.pvalue), value)


def _pooled(first: Vector, second: Vector) -> tuple[Vector, Vector]:
    """Rare categories as one, or with the rarest of the others; where all are rare: the most frequent, and the rest."""
    both = first + second
    smaller = min(first.sum(), second.sum()) / both.sum()
    rare = both * smaller < RARE
    if rare.all():
        rare = np.arange(len(both)) != int(np.argmax(both))
    elif rare.any() and both[rare].sum() * smaller < RARE and np.count_nonzero(~rare) > 1:
        rare[np.argmin(np.where(rare, np.inf, both))] = True  # the rare ones are too few for a cell of their own
    if not rare.any():
        return first, second
    return np.append(first[~rare], first[rare].sum()), np.append(second[~rare], second[rare].sum())


def aligned(
    reference: CategoricalProfile, current: CategoricalProfile
) -> tuple[tuple[str, ...], Vector, Vector, tuple[str, ...], tuple[str, ...]]:
    """Labels with the rows of both samples, and the categories that are new and gone.

    Where the reference does not keep its rare categories, an unknown one may be among them: it is counted with them
    and not called new.
    """
    unknown = [name for name in current.counts if name not in reference.counts]
    gone = [name for name in reference.counts if name not in current.counts] if current.other == 0 else []
    named = sorted(reference.counts if reference.other else {*reference.counts, *unknown})
    first = [reference.counts.get(name, 0) for name in named]
    second = [current.counts.get(name, 0) for name in named]
    rest = current.n - sum(second)
    if reference.other or rest:
        named, first, second = [*named, "other"], [*first, reference.other], [*second, rest]
    new = () if reference.other else tuple(unknown)
    return tuple(named), np.array(first, dtype=np.float64), np.array(second, dtype=np.float64), new, tuple(gone)


def proportions(hits: int, n: int, other_hits: int, m: int) -> float:
    """Two-sided p value for the shares ``hits / n`` and ``other_hits / m`` being equal.

    Chi-square test, or Fisher's exact test where fewer than 5 rows are expected in a cell.
    """
    from scipy.stats import chi2_contingency, fisher_exact

    table = np.array([[hits, n - hits], [other_hits, m - other_hits]], dtype=np.float64)
    columns = table.sum(axis=0)
    if (columns == 0).any() or n == 0 or m == 0:
        return 1.0
    if (columns * min(n, m) / (n + m) < RARE).any():
        return float(fisher_exact(table.astype(np.int64)).pvalue)
    return float(chi2_contingency(table, correction=False).pvalue)


def psi(first: Vector, second: Vector, n: int, m: int) -> float:
    """The population stability index of shares in B bins, without its bias under no drift.

    ``sum (p - q) ln(p / q)`` exceeds 0 by about ``(B - 1)(1/n + 1/m)`` for samples of one distribution (Yurdakul 2018,
    "Statistical properties of the population stability index"), which is subtracted; never below 0. Half a row is
    added to each bin, so that an empty one has a logarithm.
    """
    bins = len(first)
    p, q = (first * n + 0.5) / (n + 0.5 * bins), (second * m + 0.5) / (m + 0.5 * bins)
    return max(0.0, float(np.sum((p - q) * np.log(p / q))) - (bins - 1) * (1 / n + 1 / m))


def adjusted(p_values: Mapping[Test, float]) -> dict[Test, float]:
    """q values: the least false discovery rate at which each is found (Benjamini & Hochberg 1995)."""
    from scipy.stats import false_discovery_control

    if not p_values:
        return {}
    q_values = false_discovery_control(np.clip(list(p_values.values()), 0, 1))
    return dict(zip(p_values, (float(q) for q in q_values), strict=True))
