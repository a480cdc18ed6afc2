"""A Feast offline store whose historical features are exact at each point in time.

Use it in any feature repository that has this project on its Python path:

    offline_store:
        type: include.features.offline.store.PolarsOfflineStore

Its sources are Feast `FileSource`s of Parquet files on a local disk: one file, a directory
(`<root>/<view>/<partition>.parquet`) or a glob.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd
import polars as pl
import pyarrow as pa
from feast.data_source import DataSource
from feast.feature_view import DUMMY_ENTITY_ID, DUMMY_ENTITY_VAL, FeatureView
from feast.infra.offline_stores.offline_store import OfflineStore, RetrievalJob
from feast.infra.registry.base_registry import BaseRegistry
from feast.on_demand_feature_view import OnDemandFeatureView
from feast.repo_config import FeastConfigBaseModel, RepoConfig
from pydantic import Field, StrictBool, StrictStr
from typing_extensions import override

from include.features.offline import parquet_source
from include.features.offline.historical_request import (
    EntityRows,
    Join,
    check_columns,
    features_asked,
    join_features,
    source_column,
)
from include.features.offline.point_in_time import require_columns, within
from include.features.offline.retrieval_job import PolarsRetrievalJob, with_nullable_types

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class PolarsOfflineStoreConfig(FeastConfigBaseModel):  # type: ignore[misc]
    """Configuration of PolarsOfflineStore."""

    type: StrictStr = "include.features.offline.store.PolarsOfflineStore"

    exclude_created_after: StrictBool = Field(
        default=True,
        description=(
            "Where a source has a created timestamp column, a row created after the entity's time (or at "
            "an unknown time) is not seen, however early its event: nobody knew it yet. False reads "
            "history as it is known today, so that backfills and corrections leak into training; "
            "filter_by_created_timestamp=True then still excludes them in one retrieval."
        ),
    )


class PolarsOfflineStore(OfflineStore):  # type: ignore[misc]
    """Historical features by point-in-time joins in polars, over Parquet files."""

    supports_filter_by_created_timestamp = True

    @staticmethod
    @override
    def get_historical_features(
        config: RepoConfig,
        feature_views: list[FeatureView],
        feature_refs: list[str],
        entity_df: pd.DataFrame | str | None,
        registry: BaseRegistry,
        project: str,
        full_feature_names: bool = False,
        filter_by_created_timestamp: bool = False,
        **_dates: Any,
    ) -> RetrievalJob:
        """Join to each row of `entity_df` the feature values that were known at its time.

        `entity_df` is a pandas frame, or the path of a Parquet file, with the join keys and the time: the
        column event_timestamp, else its only datetime column. The result has its rows in their order and
        its columns, the time in UTC, then the features in the order of `feature_refs`.
        Raises ValueError or TypeError, before a source is read, for a request that has no exact answer.
        """
        rows = EntityRows.read(entity_df, config.repo_path)
        on_demand = OnDemandFeatureView.get_requested_odfvs(feature_refs, project, registry)
        asked = features_asked(feature_views, on_demand, feature_refs, full_feature_names)
        as_known = config.offline_store.exclude_created_after or filter_by_created_timestamp
        joins = [Join.of(view, asked, rows.time, as_known) for view in feature_views]
        check_columns(rows.table.column_names, joins, asked)
        return PolarsRetrievalJob(
            lambda: join_features(rows, joins, asked, config.repo_path),
            config.repo_path,
            full_feature_names=full_feature_names,
            on_demand_feature_views=on_demand,
            metadata=rows.metadata(feature_refs),
        )

    @staticmethod
    @override
    def pull_latest_from_table_or_query(
        config: RepoConfig,
        data_source: DataSource,
        join_key_columns: list[str],
        feature_name_columns: list[str],
        timestamp_field: str,
        created_timestamp_column: str | None,
        start_date: datetime,
        end_date: datetime,
    ) -> RetrievalJob:
        """Read the latest row of each key with an event time in [start_date, end_date].

        Ties go to the row created last, then to the last row of the files. Rows with a null key are left
        out: nothing could look them up.
        """
        times = [timestamp_field, *([created_timestamp_column] if created_timestamp_column else [])]

        def evaluate() -> pa.Table:
            rows = _between(config, data_source, times, start_date, end_date)
            rows = _projected(rows, data_source, join_key_columns, feature_name_columns, times)
            latest = rows.drop_nulls(join_key_columns).sort(times, nulls_last=False, maintain_order=True)
            if join_key_columns:
                latest = latest.unique(subset=join_key_columns, keep="last", maintain_order=True)
            else:
                latest = latest.tail(1)
            return _pulled(latest, join_key_columns)

        return PolarsRetrievalJob(evaluate, config.repo_path)

    @staticmethod
    @override
    def pull_all_from_table_or_query(
        config: RepoConfig,
        data_source: DataSource,
        join_key_columns: list[str],
        feature_name_columns: list[str],
        timestamp_field: str,
        created_timestamp_column: str | None = None,
        start_date: datetime | None = None,
        end_date: datetime | None = None,
    ) -> RetrievalJob:
        """Read all rows with an event time in [start_date, end_date], in the order of the files."""
        times = [timestamp_field, *([created_timestamp_column] if created_timestamp_column else [])]

        def evaluate() -> pa.Table:
            rows = _between(config, data_source, times, start_date, end_date)
            rows = _projected(rows, data_source, join_key_columns, feature_name_columns, times)
            return _pulled(rows, join_key_columns)

        return PolarsRetrievalJob(evaluate, config.repo_path)

    @staticmethod
    @override
    def offline_write_batch(
        config: RepoConfig,
        feature_view: FeatureView,
        table: pa.Table,
        progress: Callable[[int], Any] | None,
    ) -> None:
        """Add the rows to the view's source; `progress` is told how many they were.

        Columns have the names of the source or, through its field mapping, those of the view. Raises
        ValueError if they are not the source's columns or if the source is a glob.
        """
        source = feature_view.batch_source
        if source is not None:
            table = table.rename_columns([source_column(source, name) for name in table.column_names])
        parquet_source.append(table, source, config.repo_path, f"feature view {feature_view.name}")
        if progress:
            progress(table.num_rows)


def _between(
    config: RepoConfig,
    source: DataSource,
    times: list[str],
    start: datetime | None,
    end: datetime | None,
) -> pl.LazyFrame:
    reader = f"source {source.name}"
    rows = parquet_source.scan(source, config.repo_path, reader)
    schema = rows.collect_schema()
    require_columns(reader, schema, times)
    first, last = (None if day is None else _microseconds(day) for day in (start, end))
    return rows.filter(within(times[0], schema[times[0]], first, last))


def _projected(
    rows: pl.LazyFrame, source: DataSource, keys: list[str], features: list[str], times: list[str]
) -> pl.LazyFrame:
    """The columns asked for: all of them where Feast names no feature, for a transformation to choose."""
    columns = list(dict.fromkeys([*keys, *features, *times]))
    require_columns(f"source {source.name}", rows.collect_schema(), columns)
    return rows.select(columns) if features else rows


def _microseconds(moment: datetime) -> int:
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return (aware - _EPOCH) // timedelta(microseconds=1)


def _pulled(rows: pl.LazyFrame, keys: list[str]) -> pa.Table:
    if not keys:
        # Feast's online stores look up a view without entities by this key.
        rows = rows.with_columns(pl.lit(DUMMY_ENTITY_VAL).alias(DUMMY_ENTITY_ID))
    # Feast writes only the first chunk of a table online.
    table = rows.collect().rechunk().to_arrow(compat_level=pl.CompatLevel.oldest())
    return with_nullable_types(table, table.column_names)
