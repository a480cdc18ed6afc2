"""Distributions of one column in a bounded size, so that a reference is read once and kept with the model."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from include.monitoring.dependence import Blocks, Dependence
from include.records import Record

Vector = NDArray[np.float64]
Kind = Literal["numeric", "categorical"]

POINTS = 2_000  # a distribution function made of this many quantiles is off by at most 1 / (2 * POINTS)
CATEGORIES = 1_000
TAIL = 0.001  # the fences of outliers stand beyond the quantiles of this share at each end ...
BEYOND = 0.5  # ... by this part of their distance from the median


class WrongTypeError(ValueError):
    """A column whose type cannot be read as the kind that is expected."""


@dataclass(frozen=True)
class NumericProfile(Record):
    """A numeric column. Missing: null, NaN and infinite values."""

    points: tuple[float, ...]  # ascending: all values, or POINTS quantiles at (i + 1/2) / POINTS
    n: int  # values that are not missing
    missing: int
    mean: float
    sd: float  # with divisor n
    fences: tuple[float, float] | None = None  # outside them a value is an outlier; None without values
    outside: int = 0  # values that are
    dependence: Dependence | None = None  # of the rows of a block; None where rows are independent

    @classmethod
    def of(cls, column: pl.Series, blocks: Blocks | None = None) -> NumericProfile:
        """``WrongTypeError`` where the column does not hold numbers."""
        if not (column.dtype.is_numeric() or column.dtype in (pl.Null, pl.Boolean)):
            raise WrongTypeError(f"its values are {column.dtype}, not numbers")
        rows = column.cast(pl.Float64).to_numpy()
        values = np.sort(rows[np.isfinite(rows)])
        n = len(values)
        points = values
        if n > POINTS:
            points = values[np.floor((np.arange(POINTS) + 0.5) * (n / POINTS)).astype(np.int64)]
        mean = sd = 0.0
        if n and values[0] == values[-1]:  # rounding must not give a constant a spread
            mean = float(values[0])
        elif n:
            scale = max(abs(values[0]), abs(values[-1]))  # so that no square overflows
            scaled = values / scale
            centre = float(scaled.mean())
            scaled -= centre
            mean, sd = centre * float(scale), math.sqrt(float(scaled @ scaled) / n) * float(scale)
        fences = _fences(values) if n else None
        outside = _outside(values, fences) if fences else 0
        dependence = Dependence.of(blocks).of_numbers(rows, blocks, fences) if blocks else None
        return cls(tuple(points.tolist()), n, column.len() - n, mean, sd, fences, outside, dependence)

    @property
    def kind(self) -> Kind:
        return "numeric"

    @property
    def rounding(self) -> float:
        """By how much the distribution function of the points may be off: 0 where all values are kept."""
        return 0.0 if self.n == len(self.points) else 0.5 / len(self.points)

    @property
    def array(self) -> Vector:
        return np.array(self.points, dtype=np.float64)

    def share_within(self, edges: Vector) -> Vector:
        """Shares of the values in ``(edge i-1, edge i]``, with an open bin at each end: (edges + 1,)."""
        below = np.searchsorted(self.array, edges, "right") / max(len(self.points), 1)
        return np.diff(below, prepend=0.0, append=1.0)


@dataclass(frozen=True)
class CategoricalProfile(Record):
    """A categorical column: rows by category, the most frequent first; the rest is counted together."""

    counts: Mapping[str, int]
    n: int
    missing: int
    other: int = 0  # rows of the categories that were not kept
    dependence: Dependence | None = None  # of the rows of a block; None where rows are independent

    @classmethod
    def of(cls, column: pl.Series, keep: int | None = CATEGORIES, blocks: Blocks | None = None) -> CategoricalProfile:
        """``WrongTypeError`` where values cannot be named. Whole floats are named as integers: 3.0 is category 3."""
        if column.dtype.is_nested() or column.dtype in (pl.Object, pl.Binary):
            raise WrongTypeError(f"its values are {column.dtype}, not categories")
        if column.dtype.is_float():
            column = column.fill_nan(None)
            present = column.drop_nulls()
            if present.is_finite().all() and (present == present.round()).all() and present.abs().lt(2**53).all():
                column = column.cast(pl.Int64)
        every = column.cast(pl.String)
        named = every.drop_nulls().alias("category")
        rows = named.value_counts(name="rows").sort(["rows", "category"], descending=[True, False])
        kept = rows if keep is None else rows.head(keep)
        counts = dict(zip(kept["category"].to_list(), kept["rows"].to_list(), strict=True))
        other = named.len() - sum(counts.values())
        dependence = Dependence.of(blocks).of_categories(every, blocks) if blocks else None
        return cls(counts, named.len(), column.len() - named.len(), other, dependence)

    @property
    def kind(self) -> Kind:
        return "categorical"


Profile = NumericProfile | CategoricalProfile


def profile_of(column: pl.Series, kind: Kind, keep: int | None = CATEGORIES, blocks: Blocks | None = None) -> Profile:
    """The distribution of a column, read as ``kind``; with ``blocks`` also how much the rows of one hang together."""
    if kind == "numeric":
        return NumericProfile.of(column, blocks)
    return CategoricalProfile.of(column, keep, blocks)


def _fences(values: Vector) -> tuple[float, float]:
    """Of ascending values: skewed ones have their fences at unequal distances."""
    low, middle, high = values[np.floor(np.array([TAIL, 0.5, 1 - TAIL]) * len(values)).astype(np.int64)]
    largest = np.finfo(np.float64).max
    with np.errstate(over="ignore"):
        found = np.clip([low - BEYOND * (middle - low), high + BEYOND * (high - middle)], -largest, largest)
    return float(found[0]), float(found[1])


def kind_of(column: pl.Series) -> Kind:
    """What a column is by its type; ``WrongTypeError`` for types that are neither (times, lists, structs)."""
    if column.dtype.is_numeric() or column.dtype == pl.Null:
        return "numeric"
    if column.dtype in (pl.String, pl.Categorical, pl.Enum, pl.Boolean):
        return "categorical"
    raise WrongTypeError(f"column {column.name!r} has type {column.dtype}, which is neither numeric nor categorical")


def _outside(values: Vector, fences: tuple[float, float]) -> int:
    """How many of ascending values lie beyond the fences."""
    return int(np.searchsorted(values, fences[0], "left") + len(values) - np.searchsorted(values, fences[1], "right"))


@dataclass(frozen=True)
class Histogram(Record):
    """Shares of the reference and the current values in the same bins, for a plot."""

    labels: tuple[str, ...]
    reference: tuple[float, ...]
    current: tuple[float, ...]
    edges: tuple[float, ...] = ()  # of numeric bins, one more than bins; the outer bins hold the tails, too


def numeric_histogram(reference: NumericProfile, current: NumericProfile, bins: int = 16) -> Histogram:
    """Bins of one width over the central 99 % of both samples."""
    ends = [np.quantile(side.array, [0.005, 0.995]) for side in (reference, current) if side.n]
    low, high = min(float(end[0]) for end in ends), max(float(end[1]) for end in ends)
    if not math.isfinite(high - low) or high <= low:
        low, high = low - 0.5, low + 0.5
    edges: Vector = np.linspace(low, high, bins + 1)
    if high - low < 1e9 and all(np.array_equal(side.array, np.round(side.array)) for side in (reference, current)):
        step = float(math.ceil((high - low + 1) / bins))  # whole numbers: every bin holds as many of them
        edges = np.arange(math.floor(low), math.ceil(high) + step + 1, step, dtype=np.float64) - 0.5
    labels = [f"{left:.4g} to {right:.4g}" for left, right in pairwise(edges)]
    labels[0], labels[-1] = f"up to {edges[1]:.4g}", f"above {edges[-2]:.4g}"
    inner = edges[1:-1]
    return Histogram(tuple(labels), _tuple(reference, inner), _tuple(current, inner), tuple(edges.tolist()))


def _tuple(side: NumericProfile, edges: Vector) -> tuple[float, ...]:
    return tuple(side.share_within(edges).tolist())


def categorical_histogram(labels: tuple[str, ...], reference: Vector, current: Vector, bars: int = 8) -> Histogram:
    """The largest categories (rows by category in either sample), the rest as one."""
    first, second = reference / max(reference.sum(), 1), current / max(current.sum(), 1)
    order = np.argsort(-(first + second), kind="stable")
    kept, rest = order[:bars], order[bars:]
    names = [labels[position] for position in kept]
    shares = [list(side[kept]) for side in (first, second)]
    if len(rest):
        names.append(f"{len(rest)} others")
        shares = [[*own, side[rest].sum()] for own, side in zip(shares, (first, second), strict=True)]
    return Histogram(tuple(names), tuple(map(float, shares[0])), tuple(map(float, shares[1])))
