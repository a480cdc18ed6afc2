"""What a request for historical features asks: which entity rows, and which columns of which sources.

All that can be refused without reading a source is refused here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import polars as pl
import pyarrow as pa
from feast.base_feature_view import BaseFeatureView
from feast.data_source import DataSource
from feast.errors import RequestDataNotFoundInEntityDfException
from feast.feature_view import FeatureView
from feast.on_demand_feature_view import OnDemandFeatureView
from feast.utils import _parse_feature_ref

from include.features.offline import entity_rows, parquet_source
from include.features.offline.columns import join_keys, source_column
from include.features.offline.entity_rows import EntityRows
from include.features.offline.point_in_time import AsOf, values_as_of
from include.features.offline.retrieval_job import with_nullable_types
from include.features.offline.working_memory import parts_within


@dataclass(frozen=True)
class Limits:
    """What a retrieval may use: MiB of working memory, and threads of an entity query."""

    memory_mib: int
    sql_threads: int


def read_entity_rows(
    entity_df: pd.DataFrame | str | None,
    views: Sequence[FeatureView],
    repo_path: Path | None,
    limits: Limits,
    window: tuple[datetime | None, datetime | None],
) -> EntityRows:
    """Take a pandas frame, the path of a Parquet file, an SQL query, or all rows of the views in the window.

    Raises TypeError for another form of `entity_df`, and what the form in question raises.
    """
    if entity_df is None:
        return entity_rows.from_window(views, repo_path, *window)
    if isinstance(entity_df, pd.DataFrame):
        return entity_rows.from_pandas(entity_df)
    if not isinstance(entity_df, str):
        given = type(entity_df).__name__
        raise TypeError(f"entity_df must be a pandas frame, the path of a .parquet file or SQL, not {given}")
    if entity_df.endswith(".parquet"):
        return entity_rows.from_parquet(parquet_source.local_path(entity_df, repo_path))
    from include.features.offline import entity_query  # brings DuckDB, which only SQL needs: a replica has none

    found = entity_query.run(entity_df, views, repo_path, threads=limits.sql_threads, memory_mib=limits.memory_mib)
    return entity_rows.from_arrow(found)


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
        keys, source = join_keys(view), view.batch_source
        created = source.created_timestamp_column
        rule = AsOf(
            name=f"feature view {view.projection.name_to_use()}",
            keys=keys,
            entity_time=time,
            event_time=source_column(source, source.timestamp_field),
            created_time=source_column(source, created) if created else None,
            ttl=view.ttl or None,
            exclude_created_after=exclude_created_after,
        )
        values = {one.column: source_column(source, one.feature) for one in asked if one.view is view}
        return cls(rule, source, values)


def check_columns(columns: list[str], joins: list[Join], asked: list[Asked]) -> None:
    """Raise ValueError if the entity rows lack a join key or already have a column of a feature's name.

    Raises Feast's RequestDataNotFoundInEntityDfException if they lack the request data of an on-demand view.
    """
    taken = [f"{one.column} (feature {one.ref})" for one in asked if one.column in columns]
    if taken:
        raise ValueError(f"entity_df already has a column {', '.join(taken)}: rename it")
    for join in joins:
        missing = [ours for ours, _ in join.rule.keys if ours not in columns]
        if missing:
            raise ValueError(f"{join.rule.name}: entity_df lacks the join key {', '.join(missing)}")
    for view in {one.view.name: one.view for one in asked}.values():
        if isinstance(view, OnDemandFeatureView):
            _require_request_data(columns, view)


def join_features(
    rows: EntityRows, joins: list[Join], asked: list[Asked], repo_path: Path | None, limits: Limits
) -> pa.Table:
    """The entity rows with the asked features that come from a source, in the order they were asked for.

    A join whose keys, times and feature rows would need more than `limits.memory_mib` is done in parts.
    """
    found: dict[str, pa.Array] = {}
    for join in joins:
        rule = join.rule
        features = parquet_source.scan(join.source, repo_path, rule.name)
        files = parquet_source.files(join.source, repo_path, rule.name)
        looked_up = rows.table.select(sorted({rows.time, *(ours for ours, _ in rule.keys)}))
        working = [theirs for _, theirs in rule.keys] + [rule.event_time, rule.created_time or rule.event_time]
        parts = parts_within(limits.memory_mib, files, working, list(join.values.values()), looked_up)
        values = values_as_of(pl.DataFrame(looked_up), features, rule, join.values, parts)
        found |= {
            name: column.to_arrow(compat_level=pl.CompatLevel.oldest()) for name, column in values.to_dict().items()
        }
    columns = [one.column for one in asked if one.column in found]
    table = rows.table
    for column in columns:
        table = table.append_column(column, found[column])
    return with_nullable_types(table, columns)


def _require_request_data(columns: list[str], view: OnDemandFeatureView) -> None:
    for name in view.get_request_data_schema():
        if name not in columns:
            raise RequestDataNotFoundInEntityDfException(feature_name=name, feature_view_name=view.name)
