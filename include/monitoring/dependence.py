"""How much the rows of one block (a day) hang together: how many independent draws a sample is worth.

A share over n rows in blocks has ``deff = 1 + (b - 1) rho`` times the variance that independent rows would give it,
with b the rows of a row's block on average and rho the correlation within blocks (Kish 1965, "Survey Sampling", chapter
5). So n rows are worth ``n / deff`` draws: the 6,000 flights of a week are, as to the weather, worth about seven.

Neighbouring blocks hang together, too (a storm lasts, a week has its rhythm). rho is therefore estimated from sums over
single blocks and over seven in a row (overlapping batch means: Meketon & Schmeiser 1984), and the larger one is kept;
it exceeds 1 where a week of days is worth less than seven draws. An estimate from few batches is itself unsure, which
``freedom`` carries into the p value as Student's t does.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import cast

import numpy as np
import polars as pl
from numpy.typing import NDArray

from include.records import Record

Vector = NDArray[np.float64]
Codes = NDArray[np.int64]

SPAN = 7  # blocks in a row that are looked at together: a week of days
BATCHES = 8  # least number of spans that fit into the blocks, otherwise shorter spans are taken
NAMES = 200  # categories that are looked at singly
SHARES = np.linspace(0.05, 0.95, 19)  # where a distribution function is looked at


@dataclass(frozen=True)
class Blocks:
    """The block of each row as a number in the order of the labels: ``codes`` (rows,), ``sizes`` (blocks,)."""

    codes: Codes
    sizes: Vector

    @classmethod
    def of(cls, labels: pl.Series) -> Blocks:
        """Labels must sort by time, as dates do. ``ValueError`` for a row without one."""
        if missing := labels.null_count():
            raise ValueError(f"block column {labels.name!r}: {missing} of {labels.len()} rows have none")
        codes = (labels.rank("dense").cast(pl.Int64) - 1).to_numpy()
        return cls(codes, np.bincount(codes).astype(np.float64))

    @property
    def size(self) -> float:
        """Rows of the block that a row is in, on average."""
        return float((self.sizes**2).sum() / self.sizes.sum())


@dataclass(frozen=True)
class Dependence(Record):
    """Correlations within the blocks of the reference, each 0 where rows vary as independent ones."""

    blocks: int
    size: float  # rows of the block that a row is in, on average
    freedom: float  # degrees of freedom of the estimates
    level: float = 0.0  # of the ranks; of categories the mean over their shares
    mean: float = 0.0  # of the numbers themselves
    shape: float = 0.0  # the largest of the shares of values below a quantile
    evenness: float = 1.0  # degrees of freedom by which categories vary between blocks, as a share of those they have
    missing: float = 0.0
    outliers: float = 0.0

    @classmethod
    def of(cls, blocks: Blocks) -> Dependence:
        span = _span(len(blocks.sizes))
        batches = len(blocks.sizes) / span
        return cls(len(blocks.sizes), blocks.size, max(1.0, batches - 1 if span == 1 else 1.5 * (batches - 1)))

    def of_numbers(self, values: Vector, blocks: Blocks, fences: tuple[float, float] | None) -> Dependence:
        """With what numbers (rows,) show; those that are not finite are missing."""
        present = np.isfinite(values)
        found = replace(self, missing=self.of_rows(~present, blocks))
        kept, codes = values[present], blocks.codes[present]
        if not len(kept) or fences is None:
            return found
        edges = np.unique(np.quantile(kept, SHARES, method="inverted_cdf"))
        counts = _counts(np.searchsorted(edges, kept, "left"), codes, len(blocks.sizes), len(edges) + 1)
        sizes, shares = counts.sum(axis=1), counts.sum(axis=0) / len(kept)
        ranks = np.cumsum(shares) - shares / 2 - 0.5  # the middle of each bin, centred
        cumulated = np.cumsum(shares)[:-1]
        below = np.cumsum(counts, axis=1)[:, :-1] - sizes[:, None] * cumulated
        each = blocks.size * len(kept) / len(values)
        level = _correlation((counts @ ranks)[:, None], len(kept) * np.array([shares @ ranks**2]), each)
        shape = _correlation(below, len(kept) * cumulated * (1 - cumulated), each)
        scaled = kept / max(float(np.abs(kept).max()), np.finfo(np.float64).tiny)  # so that no square overflows
        scaled -= scaled.mean()
        totals = np.bincount(codes, weights=scaled, minlength=len(blocks.sizes)).astype(np.float64)
        mean = _correlation(totals[:, None], np.array([scaled @ scaled]), each)
        outside = (values < fences[0]) | (values > fences[1])
        return replace(
            found,
            level=float(level[0]),
            mean=float(mean[0]),
            shape=float(shape.max(initial=0.0)),
            outliers=self.of_rows(outside, blocks),
        )

    def of_categories(self, column: pl.Series, blocks: Blocks) -> Dependence:
        """With what the categories of a column show."""
        present = column.is_not_null().to_numpy()
        found = replace(self, missing=self.of_rows(~present, blocks))
        names = column.drop_nulls().rank("dense").to_numpy().astype(np.int64) - 1
        if not len(names) or names.max() == 0:
            return found
        names = _frequent(names)
        counts = _counts(names, blocks.codes[present], len(blocks.sizes), int(names.max()) + 1)
        shares = counts.sum(axis=0) / len(names)
        apart = (counts - counts.sum(axis=1)[:, None] * shares) / np.sqrt(shares)
        each = blocks.size * len(names) / column.len()
        # The mean design effect of the terms of X2 (Rao & Scott 1981), of which there are categories - 1.
        level = _correlation(apart, np.array([len(names) * (len(shares) - 1.0)]), each, pooled=True)
        return replace(found, level=float(level[0]), evenness=_evenness(apart))

    def of_rows(self, marked: NDArray[np.bool_], blocks: Blocks) -> float:
        """The correlation of a mark (rows,)."""
        share = float(marked.mean())
        sums = np.bincount(blocks.codes, weights=marked, minlength=len(blocks.sizes)) - blocks.sizes * share
        return float(_correlation(sums[:, None], np.array([len(marked) * share * (1 - share)]), blocks.size)[0])


def draws(rows: int, size: float, rho: float) -> float:
    """The independent draws that ``rows`` are worth; ``size``: rows of a row's block on average."""
    return rows / (1 + max(size - 1, 0.0) * rho)


def unsure(p_value: float, freedom: float) -> float:
    """A two-sided p value of a normal statistic as that of Student's t: its variance was estimated."""
    from scipy.stats import norm, t

    return float(2 * t.sf(norm.isf(p_value / 2), freedom)) if np.isfinite(freedom) else p_value


def _counts(bins: Codes, codes: Codes, blocks: int, width: int) -> Vector:
    return np.bincount(codes * width + bins, minlength=blocks * width).reshape(blocks, width).astype(np.float64)


def _frequent(names: Codes) -> Codes:
    """The same with the rare ones as one, so that a column of identifiers fits into memory."""
    rows = np.bincount(names)
    if len(rows) <= NAMES:
        return names
    codes = np.full(len(rows), NAMES)
    codes[np.argsort(-rows, kind="stable")[:NAMES]] = np.arange(NAMES)
    return codes[names]


def _span(blocks: int) -> int:
    return max(1, min(SPAN, blocks // BATCHES))


def _variance(sums: Vector) -> Vector:
    """Of the totals of centred sums by block (blocks, columns), from those of single blocks and of every span."""
    blocks = len(sums)
    running = np.vstack([np.zeros(sums.shape[1]), np.cumsum(sums, axis=0)])
    found = []
    for span in {1, _span(blocks)}:
        totals = running[span:] - running[:-span]
        found.append((totals**2).mean(axis=0) * blocks / span / (1 - span / blocks))
    return cast(Vector, np.max(found, axis=0))


def _correlation(sums: Vector, independent: Vector, size: float, *, pooled: bool = False) -> Vector:
    """rho by column of centred sums (blocks, columns); ``independent``: the variance of totals of independent rows.

    ``pooled``: one for the sum of all columns' variances.
    """
    if len(sums) < 2:  # one block says nothing: its rows count as one draw
        return np.ones(len(independent))
    if size <= 1:
        return np.zeros(len(independent))
    found = _variance(sums)
    if pooled:
        found = found.sum(keepdims=True)
    effects = np.divide(found, independent, out=np.ones_like(found), where=independent > 0)
    return np.maximum(0.0, (effects - 1) / (size - 1))


def _evenness(sums: Vector) -> float:
    """Second-order correction of X2 (Rao & Scott 1984): ``(sum d)^2 / sum d^2`` of the design effects d.

    As a share of their number, and without what few blocks add to the inverse by chance.
    """
    blocks, categories = sums.shape
    products = sums @ sums.T
    squares = float((products**2).sum())
    if not squares:
        return 1.0
    contrasts = categories - 1
    inverse = max(squares / float(np.trace(products)) ** 2 - 1 / blocks, 1 / contrasts)
    return float(1 / (inverse * contrasts))
