"""Times as instants: of any unit, zone or type of column, compared exactly.

All instants are whole microseconds since the epoch, or nanoseconds where a side is finer, so that time
zones, units and sub-microsecond times all compare exactly. Times without a zone are UTC; a date is its midnight.
"""

from __future__ import annotations

from typing import Literal

import polars as pl

Unit = Literal["us", "ns"]

_INT64_MAX = 2**63 - 1
_PER_UNIT = {("ms", "us"): 1_000, ("ms", "ns"): 1_000_000, ("us", "ns"): 1_000}


def require_columns(name: str, schema: pl.Schema, wanted: list[str]) -> None:
    """Raise ValueError that names the columns of `wanted` that `schema` lacks."""
    missing = [column for column in dict.fromkeys(wanted) if column not in schema]
    if missing:
        raise ValueError(f"{name}: no column {', '.join(missing)}; there are {', '.join(schema)}")


def utc(name: str, column: str, dtype: pl.DataType) -> pl.Expr:
    """The times of a column as Datetime in UTC. Raises TypeError for a column of no times."""
    if not isinstance(dtype, pl.Datetime):
        if dtype not in (pl.Date, pl.Null):
            raise _no_times(name, column, dtype)
        return pl.col(column).cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
    zoned = pl.col(column).dt
    return zoned.convert_time_zone("UTC") if dtype.time_zone else zoned.replace_time_zone("UTC")


def within(column: str, dtype: pl.DataType, first: int | None, last: int | None) -> pl.Expr:
    """Rows whose time lies in [first, last], in microseconds since the epoch; None leaves an end open.

    The column itself is compared where its type allows, so that a Parquet scan can skip by statistics.
    """
    instant = pl.col(column)
    if not isinstance(dtype, pl.Datetime) or dtype.time_unit == "ms":
        # A bound rounded to the coarser type would move by up to a day.
        dtype = pl.Datetime("us", dtype.time_zone if isinstance(dtype, pl.Datetime) else None)
        instant = instant.cast(dtype)
    factor = 1_000 if dtype.time_unit == "ns" else 1
    inside = pl.lit(True)
    if first is not None:
        inside = inside & (instant >= _time_literal(first * factor, dtype))
    if last is not None:
        inside = inside & (instant <= _time_literal(last * factor, dtype))
    return inside


def finest_unit(entity_times: pl.Series, source_types: list[pl.DataType]) -> Unit:
    """The unit in which the times of both sides compare exactly."""
    if any(isinstance(dtype, pl.Datetime) and dtype.time_unit == "ns" for dtype in source_types):
        return "ns"
    dtype = entity_times.dtype
    if isinstance(dtype, pl.Datetime) and dtype.time_unit == "ns":
        return "ns" if (entity_times.to_physical() % 1_000 != 0).any() else "us"
    return "us"


def instant(name: str, column: str, dtype: pl.DataType, unit: Unit) -> pl.Expr:
    """Int64 time since the epoch in `unit`; the caller has made sure that this loses nothing."""
    if dtype == pl.Null:
        return pl.lit(None, dtype=pl.Int64)
    if dtype == pl.Date:
        return _instant_of(pl.col(column).cast(pl.Datetime("us")), "us", unit)
    if not isinstance(dtype, pl.Datetime):
        raise _no_times(name, column, dtype)
    return _instant_of(pl.col(column), dtype.time_unit, unit)


def _no_times(name: str, column: str, dtype: pl.DataType) -> TypeError:
    return TypeError(f"{name}: column {column} must hold times, but is {dtype}")


def _instant_of(times: pl.Expr, own: str, unit: Unit) -> pl.Expr:
    physical = times.to_physical()
    if own == unit:
        return physical
    if own == "ns":
        return physical // 1_000
    factor = _PER_UNIT[own, unit]
    limit = _INT64_MAX // factor
    # Year 9999 does not fit in nanoseconds: it stays the far future instead of wrapping round.
    return physical.clip(-limit, limit) * factor


def _time_literal(value: int, dtype: pl.DataType) -> pl.Expr:
    return pl.lit(max(-_INT64_MAX, min(value, _INT64_MAX)), dtype=pl.Int64).cast(dtype)
