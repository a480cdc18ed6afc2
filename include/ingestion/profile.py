"""What one raw table of one partition looks like, small enough to be kept with the partition.

The partitions that follow are held against the profiles of the recent past, so that the past is not read again.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import polars as pl

from include.records import Record

SAMPLE = 1_000_000  # rows from which quartiles are taken: off by at most some 0.1 % in rank
CATEGORIES = 200
LONGEST = 100  # characters of a category: longer text is content and names nothing
DIGITS = 9  # sums depend on the order in which threads add: fewer digits than that makes equal tables equal profiles

TEXT = (pl.String, pl.Categorical, pl.Enum)


@dataclass(frozen=True)
class ColumnProfile(Record):
    """One column. Statistics of numbers are those of the finite values; what a type does not have is None."""

    dtype: str  # of Polars, with unit and time zone; a Categorical or Enum without its categories
    nulls: float  # share of rows that are null or NaN; 0 in a table without rows
    distinct: int | None = None  # different values, null and NaN aside; None where it was not counted (see `profile`)
    categories: Mapping[str, int] | None = None  # rows by value, the most frequent first; text and booleans only
    minimum: float | None = None
    maximum: float | None = None
    mean: float | None = None
    deviation: float | None = None  # standard deviation with divisor n
    quartiles: tuple[float, float, float] | None = None  # 25, 50 and 75 % of |x| over the finite values other than 0
    measured: int | None = None  # the values from which the quartiles were taken
    earliest: str | None = None  # dates and times in ISO 8601; an instant is in UTC
    latest: str | None = None


@dataclass(frozen=True)
class TableProfile(Record):
    """One raw table of one partition, its columns in their order."""

    table: str
    rows: int
    columns: Mapping[str, ColumnProfile]


def profile(table: str, frame: pl.LazyFrame) -> TableProfile:
    """The profile of a table that need not fit into memory.

    Exact: rows, nulls, minimum, maximum, mean, deviation and categories, in one pass over all columns and one over
    each column of few values. Quartiles, and whether a column has few values, come from every k-th row of at most
    ``SAMPLE`` rows. ``distinct`` is exact for tables of at most ``SAMPLE`` rows and for columns of few values.
    """
    schema = frame.collect_schema()
    rows = int(frame.select(pl.len()).collect(engine="streaming").item())
    facts = _exact(frame, schema)
    step = max(1, math.ceil(rows / SAMPLE))
    columns = {
        name: ColumnProfile(
            dtype=_type_name(dtype),
            nulls=_rounded(facts[name]["nulls"] / max(rows, 1)) or 0.0,
            **_statistics(facts[name], dtype),
            **_sampled(frame.select(value=pl.col(name)), dtype, step),
        )
        for name, dtype in schema.items()
    }
    return TableProfile(table, rows, columns)


def _exact(frame: pl.LazyFrame, schema: pl.Schema) -> dict[str, dict[str, Any]]:
    """Counts and statistics by column, in one pass over the table."""
    # Columns are named by position: whatever names the table has, they do not collide.
    values = [pl.col(name).alias(f"{position}") for position, name in enumerate(schema)]
    finite = [_finite(pl.col(name), dtype).alias(f"{position} finite") for position, (name, dtype) in _numbers(schema)]
    wanted = {
        f"{position}/{fact}": expression
        for position, dtype in enumerate(schema.dtypes())
        for fact, expression in _facts(position, dtype).items()
    }
    if not wanted:
        return {}
    found = frame.select(*values, *finite).select(**wanted).collect(engine="streaming").row(0, named=True)
    facts: dict[str, dict[str, Any]] = {name: {} for name in schema}
    for key, value in found.items():
        position, fact = key.split("/")
        facts[schema.names()[int(position)]][fact] = value
    return facts


def _numbers(schema: pl.Schema) -> list[tuple[int, tuple[str, pl.DataType]]]:
    return [(position, column) for position, column in enumerate(schema.items()) if column[1].is_numeric()]


def _finite(values: pl.Expr, dtype: pl.DataType) -> pl.Expr:
    """Numbers as floats; null where they are not finite."""
    return pl.when(values.is_finite()).then(values.cast(pl.Float64)) if dtype.is_float() else values.cast(pl.Float64)


def _facts(position: int, dtype: pl.DataType) -> dict[str, pl.Expr]:
    values, finite = pl.col(f"{position}"), pl.col(f"{position} finite")
    facts = {"nulls": values.null_count()}
    if dtype.is_float():
        facts["nulls"] = values.null_count() + values.is_nan().sum()
    if dtype.is_numeric():
        facts |= {"minimum": finite.min(), "maximum": finite.max(), "mean": finite.mean()}
        facts["deviation"] = finite.std(ddof=0)
    if dtype in (pl.Date, pl.Datetime):
        units = values if dtype == pl.Date else values.cast(pl.Datetime("us"))
        facts |= {"earliest": units.min().to_physical(), "latest": units.max().to_physical()}
    return facts


def _statistics(facts: Mapping[str, Any], dtype: pl.DataType) -> dict[str, Any]:
    if dtype in (pl.Date, pl.Datetime):
        return {fact: _moment(facts[fact], dtype) for fact in ("earliest", "latest")}
    if not dtype.is_numeric():
        return {}
    low, high = facts["minimum"], facts["maximum"]
    largest = max(abs(low), abs(high)) if low is not None else None
    return {
        "minimum": _rounded(low),
        "maximum": _rounded(high),
        "mean": _rounded(facts["mean"], largest),
        "deviation": _rounded(facts["deviation"], largest),
    }


def _sampled(column: pl.LazyFrame, dtype: pl.DataType, step: int) -> dict[str, Any]:
    """What needs the values of the column ``value`` side by side; every ``step``-th is in memory."""
    if dtype.is_nested() or dtype in (pl.Object, pl.Null):
        return {}
    if dtype == pl.Boolean:
        return _categories(column)
    if step > 1 and not dtype.is_numeric() and dtype not in TEXT:
        return {}
    values = _every(column, step)
    found: dict[str, Any] = {"distinct": values.drop_nulls().n_unique()} if step == 1 else {}
    if dtype.is_numeric():
        found |= _sizes(values)
    # Of 200 values the estimate finds less than 400: it only spares counting where the values are many.
    estimate = pl.col("value").cast(pl.String).approx_n_unique()
    if dtype in TEXT and values.to_frame().select(estimate).item() < 2 * CATEGORIES:
        found |= _categories(column)
    return found


def _every(column: pl.LazyFrame, step: int) -> pl.Series:
    """Every ``step``-th value, NaN as null."""
    if step > 1:
        column = column.with_row_index("row").filter(pl.col("row") % step == 0).select("value")
    values = column.collect(engine="streaming")["value"]
    return values.fill_nan(None) if values.dtype.is_float() else values


def _sizes(values: pl.Series) -> dict[str, Any]:
    sizes = values.cast(pl.Float64).abs()
    sizes = sizes.filter(sizes.is_finite() & (sizes != 0)).sort()
    if sizes.is_empty():
        return {"measured": 0}
    quartiles = (sizes.quantile(share, "linear") for share in (0.25, 0.5, 0.75))
    return {"measured": sizes.len(), "quartiles": tuple(map(_rounded, quartiles))}


def _categories(column: pl.LazyFrame) -> dict[str, Any]:
    """The number of values, and the rows by value; nothing where they are too many or too long."""
    named = column.select(pl.col("value").cast(pl.String)).drop_nulls()
    rows = named.group_by("value").len("rows").collect(engine="streaming")
    if rows.height > CATEGORIES or (rows["value"].str.len_chars() > LONGEST).any():
        return {}
    ordered = rows.sort(["rows", "value"], descending=[True, False])
    counts = dict(zip(ordered["value"].to_list(), ordered["rows"].to_list(), strict=True))
    return {"distinct": len(counts), "categories": counts}


def _rounded(value: float | None, scale: float | None = None) -> float | None:
    """A number at ``DIGITS`` significant digits of ``scale`` (of itself by default); None where it is not finite."""
    if value is None or not math.isfinite(value):
        return None
    size = abs(value) if scale is None else scale
    if size == 0:
        return 0.0
    rounded = round(float(value), DIGITS - 1 - math.floor(math.log10(size)))
    return (rounded or 0.0) if math.isfinite(rounded) else None  # 0.0, not -0.0


def _moment(units: int | None, dtype: pl.DataType) -> str | None:
    """Days or microseconds since 1970 as text; None outside the years 1 to 9999."""
    if units is None:
        return None
    try:
        if dtype == pl.Date:
            return (date(1970, 1, 1) + timedelta(days=units)).isoformat()
        moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=units)
    except OverflowError:
        return None
    zoned = isinstance(dtype, pl.Datetime) and dtype.time_zone is not None
    return (moment if zoned else moment.replace(tzinfo=None)).isoformat()


def _type_name(dtype: pl.DataType) -> str:
    return "Enum" if dtype == pl.Enum else str(dtype)
