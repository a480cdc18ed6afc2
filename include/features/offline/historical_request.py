"""What a request for historical features asks: which entity rows, and which columns of which sources.

All that can be refused without reading a source is refused here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from feast.base_feature_view import BaseFeatureView
from feast.data_source import DataSource
from feast.feature_view import DUMMY_ENTITY_ID, FeatureView
from feast.infra.offline_stores.offline_store import RetrievalMetadata
from feast.infra.offline_stores.offline_utils import infer_event_timestamp_from_entity_df
from feast.on_demand_feature_view import OnDemandFeatureView
from feast.utils import _parse_feature_ref

from include.features.offline import parquet_source
from include.features.offline.point_in_time import AsOf, values_as_of
from include.features.offline.retrieval_job import NULLABLE, with_nullable_types


@dataclass(frozen=True)
class EntityRows:
    """The rows to which features are joined; `time` names their time column, which is in UTC."""

    table: pa.Table
    time: str

    @classmethod
    def read(cls, entity_df: pd.DataFrame | str | None, repo_path: Path | None) -> EntityRows:
        """Take a pandas frame or the path of a Parquet file; naive times are UTC, ISO 8601 strings are times.

        Raises TypeError for another form of `entity_df` and for times of another type, ValueError for
        strings that are not ISO 8601.
        """
        if isinstance(entity_df, str) and entity_df.endswith(".parquet"):
            stored = pq.read_table(parquet_source.local_path(entity_df, repo_path))
            entity_df = stored.to_pandas(types_mapper=NULLABLE.get)
        if not isinstance(entity_df, pd.DataFrame):
            given = f"the string {entity_df!r}" if isinstance(entity_df, str) else type(entity_df).__name__
            raise TypeError(f"entity_df must be a pandas frame or the path of a .parquet file, not {given}")
        time = infer_event_timestamp_from_entity_df(entity_df.dtypes.to_dict())
        rows = entity_df.assign(**{time: _utc(entity_df[time])})
        return cls(pa.Table.from_pandas(rows, preserve_index=False), time)

    def metadata(self, feature_refs: list[str]) -> RetrievalMetadata:
        """What Feast records of a retrieval: references, key columns, first and last time."""
        times = self.table[self.time].to_pandas()
        first, last = (None if pd.isna(end) else end.to_pydatetime() for end in (times.min(), times.max()))
        keys = [name for name in self.table.column_names if name != self.time]
        return RetrievalMetadata(feature_refs, keys, min_event_timestamp=first, max_event_timestamp=last)


class Asked(NamedTuple):
    """One feature of a request, and the column of the result that gets it."""

    ref: str
    view: BaseFeatureView
    feature: str
    column: str


def features_asked(
    views: Sequence[FeatureView],
    on_demand: Sequence[OnDemandFeatureView],
    refs: list[str],
    full_names: bool,
) -> list[Asked]:
    """Resolve the references in their order.

    Raises ValueError for a reference to no view, and for two features that would share a column.
    """
    asked: list[Asked] = []
    for ref in dict.fromkeys(refs):
        view_name, version, feature = _parse_feature_ref(ref)
        wanted = view_name if version is None else f"{view_name}@v{version}"
        found = [view for view in (*views, *on_demand) if view.projection.name_to_use() == wanted]
        if not found:
            raise ValueError(f"no feature view for the reference {ref}")
        base = found[0].projection.name_alias or found[0].name
        column = f"{base}__{feature}" if full_names else feature
        twin = next((other.ref for other in asked if other.column == column), None)
        if twin:
            raise ValueError(f"{twin} and {ref} would both be called {column}: use full_feature_names=True")
        asked.append(Asked(ref, found[0], feature, column))
    return asked


@dataclass(frozen=True)
class Join:
    """One feature view to join; `values` maps a column of the result to a column of the source."""

    rule: AsOf
    source: DataSource
    values: dict[str, str]

    @classmethod
    def of(cls, view: FeatureView, asked: list[Asked], time: str, exclude_created_after: bool) -> Join:
        """Translate the view's keys, times and features to columns of the entity rows and of its source."""
        source, aliases = view.batch_source, view.projection.join_key_map
        if source is None:
            raise ValueError(f"feature view {view.name}: it has no batch source to read")
        keys = [column.name for column in view.entity_columns if column.name != DUMMY_ENTITY_ID]
        created = source.created_timestamp_column
        rule = AsOf(
            name=f"feature view {view.projection.name_to_use()}",
            keys=tuple((aliases.get(key, key), source_column(source, key)) for key in keys),
            entity_time=time,
            event_time=source_column(source, source.timestamp_field),
            created_time=source_column(source, created) if created else None,
            ttl=view.ttl or None,
            exclude_created_after=exclude_created_after,
        )
        values = {one.column: source_column(source, one.feature) for one in asked if one.view is view}
        return cls(rule, source, values)


def source_column(source: DataSource, name: str) -> str:
    """The source's own column for a name of the view: field_mapping read backwards."""
    mapped = {ours: theirs for theirs, ours in (source.field_mapping or {}).items()}
    return str(mapped.get(name, name))


def check_columns(columns: list[str], joins: list[Join], asked: list[Asked]) -> None:
    """Raise ValueError if the entity rows lack a join key or already have a column of a feature's name."""
    taken = [f"{one.column} (feature {one.ref})" for one in asked if one.column in columns]
    if taken:
        raise ValueError(f"entity_df already has a column {', '.join(taken)}: rename it")
    for join in joins:
        missing = [ours for ours, _ in join.rule.keys if ours not in columns]
        if missing:
            raise ValueError(f"{join.rule.name}: entity_df lacks the join key {', '.join(missing)}")


def join_features(rows: EntityRows, joins: list[Join], asked: list[Asked], repo_path: Path | None) -> pa.Table:
    """The entity rows with the asked features that come from a source, in the order they were asked for."""
    keys = {ours for join in joins for ours, _ in join.rule.keys}
    frame = pl.DataFrame(rows.table.select(sorted(keys | {rows.time})))
    found: dict[str, pl.Series] = {}
    for join in joins:
        features = parquet_source.scan(join.source, repo_path, join.rule.name)
        found |= values_as_of(frame, features, join.rule, join.values).to_dict()
    columns = [one.column for one in asked if one.column in found]
    table = rows.table
    for column in columns:
        values = found.pop(column).to_arrow(compat_level=pl.CompatLevel.oldest())
        table = table.append_column(column, values)
    return with_nullable_types(table, columns)


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
