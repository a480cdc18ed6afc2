"""Rows pulled from a source as they are, for materialization, saved datasets and logs."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import polars as pl
import pyarrow as pa
from feast.data_source import DataSource
from feast.feature_view import DUMMY_ENTITY_ID, DUMMY_ENTITY_VAL

from include.features.moments import microseconds
from include.features.offline import parquet_source
from include.features.offline.instants import require_columns, within
from include.features.offline.retrieval_job import with_nullable_types


def between(
    source: DataSource, repo_path: Path | None, times: list[str], start: datetime | None, end: datetime | None
) -> pl.LazyFrame:
    """The rows whose first of `times` lies in [start, end]; None leaves an end open."""
    reader = f"source {source.name}"
    rows = parquet_source.scan(source, repo_path, reader)
    schema = rows.collect_schema()
    require_columns(reader, schema, times)
    first, last = (None if day is None else microseconds(day) for day in (start, end))
    return rows.filter(within(times[0], schema[times[0]], first, last))


def projected(
    rows: pl.LazyFrame, source: DataSource, keys: list[str], features: list[str], times: list[str]
) -> pl.LazyFrame:
    """The columns asked for: all of them where Feast names no feature, for a transformation to choose."""
    columns = list(dict.fromkeys([*keys, *features, *times]))
    require_columns(f"source {source.name}", rows.collect_schema(), columns)
    return rows.select(columns) if features else rows


def latest(rows: pl.LazyFrame, keys: list[str], times: list[str]) -> pl.LazyFrame:
    """The row of each key that is last by `times`, then in its source; rows with a null key are left out."""
    ordered = rows.drop_nulls(keys).sort(times, nulls_last=False, maintain_order=True)
    return ordered.unique(subset=keys, keep="last", maintain_order=True) if keys else ordered.tail(1)


def pulled(rows: pl.LazyFrame, keys: list[str]) -> pa.Table:
    """The rows as Feast takes them."""
    if not keys:
        # Feast's online stores look up a view without entities by this key.
        rows = rows.with_columns(pl.lit(DUMMY_ENTITY_VAL).alias(DUMMY_ENTITY_ID))
    # Feast writes only the first chunk of a table online.
    table = rows.collect().rechunk().to_arrow(compat_level=pl.CompatLevel.oldest())
    return with_nullable_types(table, table.column_names)
