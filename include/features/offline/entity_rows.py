"""The rows to which features are joined, from any form in which Feast's users give them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from feast.feature_view import FeatureView
from feast.infra.offline_stores.offline_store import RetrievalMetadata
from feast.infra.offline_stores.offline_utils import (
    DEFAULT_ENTITY_DF_EVENT_TIMESTAMP_COL,
    infer_event_timestamp_from_entity_df,
)
from feast.utils import compute_non_entity_date_range

from include.features.moments import microseconds
from include.features.offline import parquet_source
from include.features.offline.columns import join_keys, source_column
from include.features.offline.instants import Unit, require_columns, utc, within
from include.features.offline.key_values import common_type
from include.features.offline.retrieval_job import with_nullable_types

_PANDAS_INDEX = re.compile(r"__index_level_\d+__")


@dataclass(frozen=True)
class EntityRows:
    """A table with the join keys and the column `time`, which holds times in UTC.

    `first` and `last` are the ends of the time range that was asked for, or None where there is no row.
    """

    table: pa.Table
    time: str
    first: datetime | None
    last: datetime | None

    def metadata(self, feature_refs: list[str]) -> RetrievalMetadata:
        """What Feast records of a retrieval: references, key columns, first and last time."""
        keys = [name for name in self.table.column_names if name != self.time]
        return RetrievalMetadata(feature_refs, keys, min_event_timestamp=self.first, max_event_timestamp=self.last)


def from_pandas(frame: pd.DataFrame) -> EntityRows:
    """Take the rows of a pandas frame; naive times are UTC, ISO 8601 strings are times.

    Raises TypeError for times of another type, ValueError for strings that are not ISO 8601.
    """
    time = infer_event_timestamp_from_entity_df(frame.dtypes.to_dict())
    rows = frame.assign(**{time: _utc(frame[time])})
    return _with_ends(pa.Table.from_pandas(rows, preserve_index=False), time)


def from_arrow(table: pa.Table) -> EntityRows:
    """Take the rows of an Arrow table; naive times are UTC, ISO 8601 strings are times.

    Integers and booleans come to pandas as nullable types. Raises TypeError and ValueError as `from_pandas`.
    """
    table = with_nullable_types(table.replace_schema_metadata(None), table.column_names)
    time = infer_event_timestamp_from_entity_df(table.schema.empty_table().to_pandas().dtypes.to_dict())
    times = table[time]
    if pa.types.is_timestamp(times.type):
        times = times.cast(pa.timestamp(times.type.unit, "UTC"))
    else:
        times = pa.array(_utc(times.to_pandas().rename(time)))
    return _with_ends(table.set_column(table.column_names.index(time), time, times), time)


def from_parquet(path: Path) -> EntityRows:
    """Take the rows of a Parquet file, without the index that pandas may have stored."""
    columns = [name for name in pq.read_schema(path).names if not _PANDAS_INDEX.fullmatch(name)]
    return from_arrow(pq.read_table(path, columns=columns, partitioning=None))


def from_window(
    views: Sequence[FeatureView], repo_path: Path | None, start: datetime | None, end: datetime | None
) -> EntityRows:
    """Take each pair of key and event time that a view has in [start, end], once and in the order of time.

    That is what Feast documents for a retrieval without entity rows: all of a window, point-in-time correct.
    By default `end` is now and `start` is the longest ttl of the views (30 days without any) before it. Rows
    with a null key are left out. A view without entities adds no rows to those of the others.
    Raises ValueError for an empty window and for views of different keys, TypeError for keys of different types.
    """
    first, last = (day.astimezone(UTC) for day in compute_non_entity_date_range(list(views), start, end))
    if first > last:
        raise ValueError(f"start_date {first.isoformat()} is after end_date {last.isoformat()}: no row can match")
    keyed = [view for view in views if join_keys(view)] or list(views)
    names = [ours for ours, _ in join_keys(keyed[0])]
    for view in keyed:
        if {ours for ours, _ in join_keys(view)} != set(names):
            both = f"feature views {keyed[0].name} and {view.name}"
            raise ValueError(f"{both} have different join keys: without entity_df, ask for them one by one")
    time = DEFAULT_ENTITY_DF_EVENT_TIMESTAMP_COL
    found = [_moments(view, repo_path, names, first, last) for view in keyed]
    schemas = [rows.collect_schema() for rows in found]
    for view, schema in zip(keyed, schemas, strict=True):
        for name in names:
            common_type(f"feature view {view.name}", (name, name), schemas[0], schema)
    # The common type of two units would be the coarser one.
    unit: Unit = "ns" if any(schema[time] == pl.Datetime("ns", "UTC") for schema in schemas) else "us"
    finest = pl.col(time).cast(pl.Datetime(unit, "UTC"))
    together = pl.concat([rows.with_columns(finest) for rows in found], how="vertical_relaxed")
    rows = together.unique().sort(time, *names).collect(engine="streaming")
    table = rows.to_arrow(compat_level=pl.CompatLevel.oldest())
    return EntityRows(with_nullable_types(table, names), time, first, last)


def _moments(
    view: FeatureView, repo_path: Path | None, names: list[str], first: datetime, last: datetime
) -> pl.LazyFrame:
    reader, source = f"feature view {view.name}", view.batch_source
    rows = parquet_source.scan(source, repo_path, reader)
    schema, event = rows.collect_schema(), source_column(source, source.timestamp_field)
    theirs = dict(join_keys(view))
    require_columns(reader, schema, [event, *theirs.values()])
    keys = [
        (pl.col(theirs[name]).fill_nan(None) if schema[theirs[name]].is_float() else pl.col(theirs[name])).alias(name)
        for name in names
    ]
    moment = utc(reader, event, schema[event]).alias(DEFAULT_ENTITY_DF_EVENT_TIMESTAMP_COL)
    inside = within(event, schema[event], microseconds(first), microseconds(last))
    return rows.filter(inside).select(moment, *keys).drop_nulls().unique()


def _with_ends(table: pa.Table, time: str) -> EntityRows:
    ends = pc.min_max(table[time])
    # By way of pandas: Python's datetime has no nanoseconds, and Arrow refuses to drop them.
    first, last = (
        pd.Timestamp(ends[end].value, unit=ends[end].type.unit, tz="UTC").to_pydatetime(warn=False)
        if ends[end].is_valid
        else None
        for end in ("min", "max")
    )
    return EntityRows(table, time, first, last)


def _utc(times: pd.Series) -> pd.Series:
    accepted = f"entity_df column {times.name} must hold times or ISO 8601 strings"
    if pd.api.types.is_datetime64_any_dtype(times.dtype):
        return pd.to_datetime(times, utc=True)
    if not (pd.api.types.is_object_dtype(times.dtype) or pd.api.types.is_string_dtype(times.dtype)):
        raise TypeError(f"{accepted}, not {times.dtype}")
    try:
        return pd.to_datetime(times, utc=True, format="ISO8601")
    except ValueError as error:
        raise ValueError(f"{accepted}: {error}") from error
