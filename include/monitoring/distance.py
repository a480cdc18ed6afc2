"""Distances between two distributions of a column, and the tests of whether they are more than chance."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from include.monitoring.dependence import draws, unsure
from include.monitoring.distributions import CategoricalProfile, NumericProfile, Profile

Vector = NDArray[np.float64]
Test = TypeVar("Test")

RARE = 5.0  # least expected count of a cell for the chi-square approximation (Cochran 1954)
DECILES = np.linspace(0.1, 0.9, 9)


@dataclass(frozen=True)
class Distance:
    """How far apart two samples are: an effect size, a test statistic with its p value, and other measures."""

    effect: float
    statistic: float
    p_value: float
    psi: float
    superiority: float | None = None  # numeric: chance that a current value exceeds one of the reference
    jensen_shannon: float | None = None  # categorical


@dataclass(frozen=True)
class Draws:
    """The independent draws that the values of reference and current sample are worth.

    ``level`` for tests of the ranks or of the categories, ``shape`` for those of the distribution function; ``mean``
    for those of the mean, which are asked for only where rows hang together.
    """

    level: tuple[float, float]
    shape: tuple[float, float]
    freedom: float = math.inf  # of the estimate of these
    evenness: float = 1.0  # of the categories
    mean: tuple[float, float] | None = None

    @classmethod
    def of(cls, reference: Profile, current: Profile, size: float | None = None) -> Draws:
        """``size``: rows of a current row's block; without it rows are independent, as they are without dependence."""
        known = reference.dependence
        if known is None or size is None:
            return cls((reference.n, current.n), (reference.n, current.n))
        sizes = _present(reference) * known.size, _present(current) * size
        level, shape, mean = (
            (draws(reference.n, sizes[0], rho), draws(current.n, sizes[1], rho))
            for rho in (known.level, known.shape, known.mean)
        )
        return cls(level, shape, known.freedom, known.evenness, mean)

    @classmethod
    def of_rows(cls, reference: Profile, current: Profile, rho: float, size: float | None) -> Draws:
        """The same for a mark that rows of all samples bear or not, such as being missing, with its own correlation."""
        known, rows = reference.dependence, (reference.n + reference.missing, current.n + current.missing)
        if known is None or size is None:
            return cls(rows, rows)
        worth = draws(rows[0], known.size, rho), draws(rows[1], size, rho)
        return cls(worth, worth, known.freedom)


def numeric(reference: NumericProfile, current: NumericProfile, worth: Draws | None = None) -> Distance:
    """Wasserstein-1 distance in reference standard deviations; two tests; PSI over reference deciles.

    The p value is that of the surer of two tests, doubled (Bonferroni): of the ranks, which sees a shift best (Wilcoxon
    1945, Mann & Whitney 1947, with the normal approximation and its correction for ties), and of the distribution
    functions, which sees any change (Kolmogorov-Smirnov, for ``n m / (n + m)`` values). Where a side is kept as
    quantiles, both statistics are lowered by what these may be off, so that rounding never makes a difference. Rows
    that hang together may be worth a handful of draws, in which neither can be sure of anything: there the difference
    of the means is a third test. Both samples must hold values.
    """
    from scipy.stats import kstwo, norm, wasserstein_distance

    worth = worth or Draws.of(reference, current)
    if reference.sd == 0:
        return _from_constant(reference, current, worth)
    first, second = reference.array, current.array
    grid = np.unique(np.concatenate([first, second]))
    below = [np.searchsorted(side, grid, "right") / len(side) for side in (first, second)]
    rounding = reference.rounding + current.rounding
    statistic = float(np.abs(below[0] - below[1]).max())
    shares = [np.diff(each, prepend=0.0) for each in below]
    superiority = float(shares[1] @ (below[0] - shares[0] / 2))
    n, m = worth.level
    spread = math.sqrt((1 - _ties(reference, current, shares)) / 12 * (n + m + 1) / (n * m))
    n, m = worth.shape
    found = [
        float(2 * norm.sf(max(0.0, abs(superiority - 0.5) - rounding) / spread)) if spread else 1.0,
        float(kstwo.sf(max(0.0, statistic - rounding), max(1, round(n * m / (n + m))))),
    ]
    if worth.mean is not None:
        apart = abs(current.mean / reference.sd - reference.mean / reference.sd)
        found.append(float(2 * norm.sf(apart / math.sqrt(sum(1 / each for each in worth.mean)))))
    edges = np.unique(np.quantile(first, DECILES, method="inverted_cdf"))
    with np.errstate(over="ignore"):
        effect = float(wasserstein_distance(first, second)) / reference.sd
    return Distance(
        effect=effect,
        statistic=statistic,
        p_value=min(1.0, len(found) * unsure(min(found), worth.freedom)),
        psi=psi(reference.share_within(edges), current.share_within(edges), reference.n, current.n),
        superiority=superiority,
    )


def _ties(reference: NumericProfile, current: NumericProfile, shares: list[Vector]) -> float:
    """What ties take from the variance of the ranks: the sum of the cubes of the shares of equal values."""
    both = (shares[0] * reference.n + shares[1] * current.n) / (reference.n + current.n)
    return float((both**3).sum())


def _from_constant(reference: NumericProfile, current: NumericProfile, worth: Draws) -> Distance:
    """A reference without spread has no unit of distance: the effect is the share of values that changed."""
    changed = float(np.mean(current.array != reference.points[0]))
    p_value = unsure(proportions(0.0, changed, *worth.level), worth.freedom)
    kept = psi(np.array([1.0, 0.0]), np.array([1 - changed, changed]), reference.n, current.n)
    return Distance(effect=changed, statistic=changed, p_value=p_value, psi=kept)


def categorical(reference: Vector, current: Vector, worth: Draws | None = None) -> Distance:
    """Total variation and Jensen-Shannon distance; chi-square test of homogeneity; PSI. Rows by category (categories,).

    Categories of which fewer than 5 draws are expected in either sample are counted together for test and PSI. Where
    rows hang together, X2 is that of the draws they are worth, with fewer degrees of freedom where categories vary
    together (Rao & Scott 1984).
    """
    n, m = float(reference.sum()), float(current.sum())
    worth = worth or Draws((n, m), (n, m))
    effect = 0.5 * float(np.abs(reference / n - current / m).sum())
    apart = jensen_shannon(reference / n, current / m)
    first, second = _pooled(reference * worth.level[0] / n, current * worth.level[1] / m)
    p, q = first / first.sum(), second / second.sum()
    value = psi(p, q, int(n), int(m))
    if len(p) < 2:
        return Distance(effect, 0.0, 1.0, value, jensen_shannon=apart)
    if len(p) == 2:
        p_value = unsure(proportions(p[0], q[0], *worth.level), worth.freedom)
        return Distance(effect, float(abs(p[0] - q[0])), p_value, value, jensen_shannon=apart)
    from scipy.stats import chi2, chi2_contingency

    statistic = float(chi2_contingency(np.array([first, second]), correction=False).statistic)
    freedom = max(1.0, worth.evenness * (len(p) - 1))
    p_value = unsure(float(chi2.sf(statistic * freedom / (len(p) - 1), freedom)), worth.freedom)
    return Distance(effect, statistic, p_value, value, jensen_shannon=apart)


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


def proportions(share: float, other: float, n: float, m: float) -> float:
    """Two-sided p value for the shares ``share`` of n draws and ``other`` of m being equal.

    Chi-square test, or Fisher's exact test where fewer than 5 draws are expected in a cell.
    """
    from scipy.stats import chi2_contingency, fisher_exact

    table = np.array([[share * n, (1 - share) * n], [other * m, (1 - other) * m]])
    columns = table.sum(axis=0)
    if (columns <= 0).any() or n == 0 or m == 0:
        return 1.0
    if (columns * min(n, m) / (n + m) < RARE).any():
        return float(fisher_exact(np.round(table).astype(np.int64)).pvalue)
    return float(chi2_contingency(table, correction=False).pvalue)


def jensen_shannon(first: Vector, second: Vector) -> float:
    """The distance of shares by category: the root of the divergence in bits, 0 to 1 (Endres & Schindelin 2003)."""
    from scipy.spatial.distance import jensenshannon

    found = float(jensenshannon(first, second, base=2))
    return found if math.isfinite(found) else 0.0  # of equal shares rounding can leave a negative divergence


def psi(first: Vector, second: Vector, n: int, m: int) -> float:
    """The population stability index of shares in B bins, without its bias under no drift.

    ``sum (p - q) ln(p / q)`` exceeds 0 by about ``(B - 1)(1/n + 1/m)`` for samples of one distribution (Yurdakul 2018,
    "Statistical properties of the population stability index"), which is subtracted; never below 0. Half a row is
    added to each bin, so that an empty one has a logarithm.
    """
    bins = len(first)
    p, q = (first * n + 0.5) / (n + 0.5 * bins), (second * m + 0.5) / (m + 0.5 * bins)
    return max(0.0, float(np.sum((p - q) * np.log(p / q))) - (bins - 1) * (1 / n + 1 / m))


def _present(side: Profile) -> float:
    return side.n / max(1, side.n + side.missing)


def adjusted(p_values: Mapping[Test, float]) -> dict[Test, float]:
    """q values: the least false discovery rate at which each is found (Benjamini & Hochberg 1995)."""
    from scipy.stats import false_discovery_control

    if not p_values:
        return {}
    q_values = false_discovery_control(np.clip(list(p_values.values()), 0, 1))
    return dict(zip(p_values, (float(q) for q in q_values), strict=True))
