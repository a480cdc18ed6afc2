"""Join keys of both sides in one type in which they compare exactly."""

from __future__ import annotations

import polars as pl

_TEXT = (pl.String, pl.Categorical, pl.Enum)
_EXACT_IN_FLOAT = 2**53


def common_type(name: str, pair: tuple[str, str], entity: pl.Schema, source: pl.Schema) -> pl.DataType:
    """The type in which both sides of a key compare exactly. Raises TypeError where there is none."""
    ours, theirs = entity[pair[0]], source[pair[1]]
    if ours in _TEXT and theirs in _TEXT:
        return pl.String()
    if ours in (theirs, pl.Null):
        return theirs
    if theirs == pl.Null:
        return ours
    if ours.is_float() and theirs.is_float():
        return pl.Float64()
    if all(dtype.is_integer() or dtype.is_float() for dtype in (ours, theirs)):
        return pl.Int64()
    raise TypeError(
        f"{name}: entity column {pair[0]} is {ours} but the source's key {pair[1]} is {theirs}; cast one of them"
    )


def key_value(name: str, frame: pl.LazyFrame, column: str, common: pl.DataType) -> pl.Expr:
    """The key in its common type; what has no value there (NaN, 1.5 as an integer) becomes null.

    Raises ValueError for a float that is too large to be exact as an integer.
    """
    key, own = pl.col(column), frame.collect_schema()[column]
    if own.is_float():
        key = key.fill_nan(None)
        if common.is_integer():
            largest = frame.select(key.abs().max()).collect().item()
            if largest is not None and largest >= _EXACT_IN_FLOAT:
                raise ValueError(f"{name}: key {column} holds {largest} as {own}: not exact, use integers")
            key = pl.when(key.floor() == key).then(key)
    return key.cast(common, strict=False)
