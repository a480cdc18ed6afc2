"""The point-in-time join: for each entity row, the newest feature row that was known at its time.

Polars frames in, a polars frame out; nothing here knows Feast.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import reduce
from operator import xor

import polars as pl

from include.features.offline.instants import Unit, finest_unit, instant, require_columns, within
from include.features.offline.key_values import common_type, key_value


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

    @property
    def key_columns(self) -> list[str]:
        """The names of the keys inside the join, on both sides."""
        return [f"k{i}" for i in range(len(self.keys))]

    @property
    def order(self) -> list[str]:
        """The columns of feature rows, inside the join, by which the newest wins."""
        return ["event", "created"] if self.created_time else ["event"]

    @property
    def waits(self) -> bool:
        """Whether a row is seen only when it is created."""
        return self.created_time is not None and self.exclude_created_after


def values_as_of(
    entities: pl.DataFrame, features: pl.LazyFrame, rule: AsOf, values: Mapping[str, str], parts: int = 1
) -> pl.DataFrame:
    """Look up the feature values that each entity row could know at its time.

    `values` maps a column of the result to a column of `features`. The result has exactly one row for
    each row of `entities`, in its order, and only the columns of `values`: null where nothing was known.
    The join is done in `parts`, one after the other, each with its share of the keys (without keys: of the
    time) in memory; the result does not depend on their number, but `features` are read once for each.
    Raises ValueError for a missing column or a float key too large to be exact, TypeError for a time
    column that holds no times and for keys whose types cannot be compared.
    """
    schema = features.collect_schema()
    times = [rule.event_time] + ([rule.created_time] if rule.created_time else [])
    require_columns(rule.name, schema, [*times, *(source for _, source in rule.keys), *values.values()])
    unit = finest_unit(entities[rule.entity_time], [schema[column] for column in times])
    key_types = [common_type(rule.name, pair, entities.schema, schema) for pair in rule.keys]
    left = _entity_rows(entities, rule, key_types, unit)
    needed = _feature_columns(features, rule, key_types, list(values.values()), unit)
    source = pl.repeat(None, entities.height, dtype=pl.get_index_type(), eager=True)
    found: list[pl.DataFrame] = []
    for known, answers in _joined(left, features, needed, rule, unit=unit, parts=parts):
        source.scatter(known["row"], known["source"] + sum(other.height for other in found))
        found.append(answers)
    del known, answers
    columns = pl.concat(found, rechunk=False).get_columns()
    found.clear()
    # Column by column, so that only one is held twice.
    return pl.DataFrame([columns.pop(0).gather(source).alias(name) for name in values])


def _joined(
    left: pl.LazyFrame, features: pl.LazyFrame, needed: list[pl.Expr], rule: AsOf, *, unit: Unit, parts: int
) -> Iterator[tuple[pl.DataFrame, pl.DataFrame]]:
    """For each part, the columns row and source of its matches, and the feature values v0.. that `source` counts."""
    schema, best = features.collect_schema(), pl.DataFrame()
    total = features.select(pl.len()).collect().item()
    for ours, theirs in _parts(left, rule, parts):
        rows = left.filter(ours).sort("t").collect()
        candidates = features.filter(_window(schema, rows, rule, unit)).select(needed).filter(theirs)
        if rule.keys and rows.height < total / parts:
            # Few entity rows: most keys of the features are not asked for. Else looking would cost more than it saves.
            wanted = rows.lazy().select(rule.key_columns).unique()
            candidates = candidates.join(wanted, on=rule.key_columns, how="semi", maintain_order="left")
        right = candidates.collect()
        if not rule.keys:
            right = pl.concat([best, right]) if best.width else right
            best = right.sort(*rule.order, nulls_last=False, maintain_order=True).tail(1)
        known = _newest_known(rows, right, rule, unit)
        del rows
        answers = right.drop(*rule.key_columns, *rule.order)
        del right
        yield (known, answers) if parts == 1 else _only_used(known, answers)


def _parts(left: pl.LazyFrame, rule: AsOf, parts: int) -> list[tuple[pl.Expr, pl.Expr]]:
    """Filters of the entity rows and of the feature rows that can match them, for one part after the other."""
    if parts == 1:
        return [(pl.lit(True), pl.lit(True))]
    if rule.keys:
        # Another seed for each key: equal values in two columns must not cancel out.
        mixed = reduce(xor, (pl.col(key).hash(seed) for seed, key in enumerate(rule.key_columns)))
        return [(mixed % parts == part, mixed % parts == part) for part in range(parts)]
    times = left.select(pl.col("t").sort()).collect()["t"]
    # Each slice but the last ends at an entity row, so that no slice without one holds feature rows for the next.
    ends = [times[times.len() * part // parts] for part in range(1, parts)] if times.len() else []
    slices = list(zip([None, *ends], [*ends, None], strict=True))
    return [(_between(pl.col("t"), *ends), _between(_seen(rule), *ends)) for ends in slices]


def _between(time: pl.Expr, first: int | None, last: int | None) -> pl.Expr:
    inside = pl.lit(True) if first is None else time > first
    return inside if last is None else inside & (time <= last)


def _seen(rule: AsOf) -> pl.Expr:
    """When a feature row becomes visible; null, which is never, for a row of unknown creation."""
    if not rule.waits:
        return pl.col("event")
    return pl.when(pl.col("created").is_not_null()).then(pl.max_horizontal("event", "created"))


def _entity_rows(entities: pl.DataFrame, rule: AsOf, key_types: list[pl.DataType], unit: Unit) -> pl.LazyFrame:
    """Columns row, k0.., t (Int64), without the rows that can match nothing."""
    time_type, rows = entities.schema[rule.entity_time], entities.lazy()
    columns = [instant(rule.name, rule.entity_time, time_type, unit).alias("t")]
    for key, (ours, _), dtype in zip(rule.key_columns, rule.keys, key_types, strict=True):
        columns.append(key_value(rule.name, rows, ours, dtype).alias(key))
    return rows.select(columns).with_row_index("row").drop_nulls()


def _feature_columns(
    features: pl.LazyFrame, rule: AsOf, key_types: list[pl.DataType], values: list[str], unit: Unit
) -> list[pl.Expr]:
    """Columns k0.., event, created, v0.."""
    schema = features.collect_schema()
    columns = [instant(rule.name, rule.event_time, schema[rule.event_time], unit).alias("event")]
    if rule.created_time:
        columns.append(instant(rule.name, rule.created_time, schema[rule.created_time], unit).alias("created"))
    for key, (_, theirs), dtype in zip(rule.key_columns, rule.keys, key_types, strict=True):
        columns.append(key_value(rule.name, features, theirs, dtype).alias(key))
    return columns + [pl.col(source).alias(f"v{i}") for i, source in enumerate(values)]


def _window(schema: pl.Schema, left: pl.DataFrame, rule: AsOf, unit: Unit) -> pl.Expr:
    if left.is_empty():
        return pl.lit(False)
    per_us = 1_000 if unit == "ns" else 1
    # Rounded outwards: the exact comparison follows. What cannot match is left out here, with null times.
    first, last = left["t"][0] // per_us, -(-left["t"][-1] // per_us)
    ttl = None if rule.ttl is None else rule.ttl // timedelta(microseconds=1)
    inside = within(rule.event_time, schema[rule.event_time], None if ttl is None else first - ttl, last)
    if rule.created_time and rule.waits:
        inside = inside & within(rule.created_time, schema[rule.created_time], None, last)
    return inside


def _newest_known(left: pl.DataFrame, right: pl.DataFrame, rule: AsOf, unit: Unit) -> pl.DataFrame:
    """Columns row (of the entities) and source (row of `right`), for the rows that have a match."""
    keys = rule.key_columns
    # asof takes the last of equal times, so the order among them decides ties.
    candidates = (
        right.select(*keys, *rule.order)
        .with_row_index("source")
        .sort(*rule.order, nulls_last=False, maintain_order=True)
        .with_columns(pl.col("event").alias("seen"))
    )
    if rule.waits and (right["created"] > right["event"]).any():
        candidates = _best_seen_so_far(candidates, keys)
    matched = left.join_asof(
        candidates.select(*keys, "seen", "source", *(["event"] if rule.ttl is not None else [])),
        left_on="t",
        right_on="seen",
        by=keys or None,
        strategy="backward",
        check_sortedness=False,
    ).drop_nulls("source")
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


def _only_used(known: pl.DataFrame, answers: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The same without the feature rows that answer no entity row, which would be held until the last part."""
    used = known["source"].unique().sort()
    return known.with_columns(source=used.search_sorted(known["source"]).cast(used.dtype)), answers[used]
