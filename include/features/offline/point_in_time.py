"""The point-in-time join: for each entity row, the newest feature row that was known at its time.

Polars frames in, a polars frame out; nothing here knows Feast. All instants are compared as whole
microseconds since the epoch, or nanoseconds where a side is finer, so that time zones, units and
sub-microsecond times all compare exactly. Times without a zone are UTC.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

import polars as pl

Unit = Literal["us", "ns"]

_INT64_MAX = 2**63 - 1
_PER_UNIT = {("ms", "us"): 1_000, ("ms", "ns"): 1_000_000, ("us", "ns"): 1_000}
_TEXT = (pl.String, pl.Categorical, pl.Enum)
_EXACT_IN_FLOAT = 2**53


@dataclass(frozen=True)
class AsOf:
    """What is joined to what, and which feature rows count as known.

    `keys` pairs an entity column with the feature column it must equal; without keys every entity row
    looks at all feature rows. A feature row is known at time t when its event time lies in
    [t - ttl, t] (no lower end without a ttl) and, with `exclude_created_after` and a created column,
    its created time is not after t. Of the known rows the latest (event, created) wins, then the last.
    `name` stands for the feature frame in errors.
    """

    name: str
    keys: tuple[tuple[str, str], ...]
    entity_time: str
    event_time: str
    created_time: str | None = None
    ttl: timedelta | None = None
    exclude_created_after: bool = True


def values_as_of(entities: pl.DataFrame, features: pl.LazyFrame, rule: AsOf, values: Mapping[str, str]) -> pl.DataFrame:
    """Look up the feature values that each entity row could know at its time.

    `values` maps a column of the result to a column of `features`. The result has exactly one row for
    each row of `entities`, in its order, and only the columns of `values`: null where nothing was known.
    Raises ValueError for a missing column or a float key too large to be exact, TypeError for a time
    column that holds no times and for keys whose types cannot be compared.
    """
    schema = features.collect_schema()
    times = [rule.event_time] + ([rule.created_time] if rule.created_time else [])
    require_columns(rule.name, schema, [*times, *(source for _, source in rule.keys), *values.values()])
    unit = _finest_unit(entities[rule.entity_time], [schema[column] for column in times])
    key_types = [_key_type(rule.name, pair, entities.schema, schema) for pair in rule.keys]
    left = _entity_rows(entities, rule, key_types, unit)
    right = _feature_rows(features, left, rule, key_types=key_types, values=list(values.values()), unit=unit)
    known = _newest_known(left, right, rule, unit)
    rows = pl.DataFrame({"row": pl.int_range(entities.height, dtype=pl.get_index_type(), eager=True)})
    source = rows.join(known, on="row", how="left", maintain_order="left")["source"]
    renamed = {f"v{i}": output for i, output in enumerate(values)}
    return right.select(list(renamed)).select(pl.all().gather(source)).rename(renamed)


def require_columns(name: str, schema: pl.Schema, wanted: list[str]) -> None:
    """Raise ValueError that names the columns of `wanted` that `schema` lacks."""
    missing = [column for column in dict.fromkeys(wanted) if column not in schema]
    if missing:
        raise ValueError(f"{name}: no column {', '.join(missing)}; there are {', '.join(schema)}")


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


def _time_literal(value: int, dtype: pl.DataType) -> pl.Expr:
    return pl.lit(max(-_INT64_MAX, min(value, _INT64_MAX)), dtype=pl.Int64).cast(dtype)


def _finest_unit(entity_times: pl.Series, source_types: list[pl.DataType]) -> Unit:
    if any(isinstance(dtype, pl.Datetime) and dtype.time_unit == "ns" for dtype in source_types):
        return "ns"
    dtype = entity_times.dtype
    if isinstance(dtype, pl.Datetime) and dtype.time_unit == "ns":
        return "ns" if (entity_times.to_physical() % 1_000 != 0).any() else "us"
    return "us"


def _instant(name: str, column: str, dtype: pl.DataType, unit: Unit) -> pl.Expr:
    """Int64 time since the epoch in `unit`; the caller has made sure that this loses nothing."""
    if dtype == pl.Null:
        return pl.lit(None, dtype=pl.Int64)
    if dtype == pl.Date:
        return _instant_of(pl.col(column).cast(pl.Datetime("us")), "us", unit)
    if not isinstance(dtype, pl.Datetime):
        raise TypeError(f"{name}: column {column} must hold times, but is {dtype}")
    return _instant_of(pl.col(column), dtype.time_unit, unit)


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


def _key_type(name: str, pair: tuple[str, str], entity: pl.Schema, source: pl.Schema) -> pl.DataType:
    """The type in which both sides of a key compare exactly."""
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


def _key(name: str, frame: pl.LazyFrame, column: str, common: pl.DataType) -> pl.Expr:
    """The key in its common type; what has no value there (NaN, 1.5 as an integer) becomes null."""
    key, own = pl.col(column), frame.collect_schema()[column]
    if own.is_float():
        key = key.fill_nan(None)
        if common.is_integer():
            largest = frame.select(key.abs().max()).collect().item()
            if largest is not None and largest >= _EXACT_IN_FLOAT:
                raise ValueError(f"{name}: key {column} holds {largest} as {own}: not exact, use integers")
            key = pl.when(key.floor() == key).then(key)
    return key.cast(common, strict=False)


def _entity_rows(entities: pl.DataFrame, rule: AsOf, key_types: list[pl.DataType], unit: Unit) -> pl.DataFrame:
    """Columns row, k0.., t (Int64), sorted by t, without the rows that can match nothing."""
    time_type = entities.schema[rule.entity_time]
    columns = [_instant(rule.name, rule.entity_time, time_type, unit).alias("t")]
    for i, (ours, _) in enumerate(rule.keys):
        columns.append(_key(rule.name, entities.lazy(), ours, key_types[i]).alias(f"k{i}"))
    return entities.select(columns).with_row_index("row").drop_nulls().sort("t")


def _feature_rows(
    features: pl.LazyFrame,
    left: pl.DataFrame,
    rule: AsOf,
    *,
    key_types: list[pl.DataType],
    values: list[str],
    unit: Unit,
) -> pl.DataFrame:
    """Columns k0.., event, created, v0..: only rows that some entity row could match."""
    schema = features.collect_schema()
    keys = [f"k{i}" for i in range(len(rule.keys))]
    needed = [_key(rule.name, features, theirs, key_types[i]).alias(keys[i]) for i, (_, theirs) in enumerate(rule.keys)]
    needed.append(_instant(rule.name, rule.event_time, schema[rule.event_time], unit).alias("event"))
    if rule.created_time:
        created_type = schema[rule.created_time]
        needed.append(_instant(rule.name, rule.created_time, created_type, unit).alias("created"))
    needed += [pl.col(source).alias(f"v{i}") for i, source in enumerate(values)]
    rows = features.filter(_window(schema, left, rule, unit)).select(needed)
    if keys:
        # Null keys find no partner here. The rows keep their order: it decides among equal (event, created).
        rows = rows.join(left.lazy().select(keys).unique(), on=keys, how="semi", maintain_order="left")
    return rows.collect()


def _window(schema: pl.Schema, left: pl.DataFrame, rule: AsOf, unit: Unit) -> pl.Expr:
    if left.is_empty():
        return pl.lit(False)
    per_us = 1_000 if unit == "ns" else 1
    # Rounded outwards: the exact comparison follows. What cannot match is left out here, with null times.
    first, last = left["t"][0] // per_us, -(-left["t"][-1] // per_us)
    ttl = None if rule.ttl is None else rule.ttl // timedelta(microseconds=1)
    inside = within(rule.event_time, schema[rule.event_time], None if ttl is None else first - ttl, last)
    if rule.created_time and rule.exclude_created_after:
        inside = inside & within(rule.created_time, schema[rule.created_time], None, last)
    return inside


def _newest_known(left: pl.DataFrame, right: pl.DataFrame, rule: AsOf, unit: Unit) -> pl.DataFrame:
    """Columns row (of the entities) and source (row of `right`), for the rows that have a match."""
    keys = [f"k{i}" for i in range(len(rule.keys))]
    order = ["event", "created"] if rule.created_time else ["event"]
    # asof takes the last of equal times, so the order among them decides ties.
    candidates = (
        right.select(*keys, *order)
        .with_row_index("source")
        .sort(*order, "source", nulls_last=False)
        .with_columns(pl.col("event").alias("seen"))
    )
    if rule.created_time and rule.exclude_created_after and (right["created"] > right["event"]).any():
        candidates = _best_seen_so_far(candidates, keys)
    matched = left.join_asof(
        candidates.select(*keys, "seen", "event", "source"),
        left_on="t",
        right_on="seen",
        by=keys or None,
        strategy="backward",
        check_sortedness=False,
    )
    if rule.ttl is not None:
        ttl = rule.ttl // timedelta(microseconds=1) * (1_000 if unit == "ns" else 1)
        wide = pl.col("event", "t").cast(pl.Int128)  # a ttl of centuries overflows 64 bits of nanoseconds
        matched = matched.with_columns(wide).filter(pl.col("event") >= pl.col("t") - pl.lit(ttl, pl.Int128))
    return matched.select("row", "source")


def _best_seen_so_far(candidates: pl.DataFrame, keys: list[str]) -> pl.DataFrame:
    """Exact with late rows: a row is seen from max(event, created) on, and the newest event seen wins.

    Ordered by the time they are seen, the running maximum of the rows' rank by (event, created) is the
    best row seen until then; a late row of an old event never replaces a newer one that was seen before.
    """
    best = pl.col("rank").cum_max()
    seen = (
        candidates.with_row_index("rank")
        .with_columns(pl.max_horizontal("event", "created").alias("seen"))
        .sort("seen", maintain_order=True)
        .with_columns((best.over(keys) if keys else best).alias("best"))
    )
    newest = candidates.select(pl.col("event", "source").gather(seen["best"]))
    return seen.select(*keys, "seen").hstack(newest)
