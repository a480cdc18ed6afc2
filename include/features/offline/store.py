"""A Feast offline store whose historical features are exact at each point in time.

Use it in any feature repository that has this project on its Python path:

    offline_store:
        type: include.features.offline.store.PolarsOfflineStore

Its sources are Feast `FileSource`s of Parquet files on a local disk: one file, a directory
(`<root>/<view>/<partition>.parquet`) or a glob.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from feast.data_source import DataSource
from feast.feature_logging import LoggingConfig, LoggingSource
from feast.feature_view import FeatureView
from feast.infra.offline_stores.file_source import FileLoggingDestination, FileSource
from feast.infra.offline_stores.offline_store import OfflineStore, RetrievalJob
from feast.infra.registry.base_registry import BaseRegistry
from feast.on_demand_feature_view import OnDemandFeatureView
from feast.repo_config import FeastConfigBaseModel, RepoConfig
from pydantic import Field, PositiveInt, StrictBool, StrictStr
from typing_extensions import override

from include.features.offline import parquet_source
from include.features.offline.columns import source_column
from include.features.offline.historical_request import (
    Join,
    Limits,
    check_columns,
    features_asked,
    join_features,
    read_entity_rows,
)
from include.features.offline.instants import require_columns
from include.features.offline.pulled_rows import between, latest, projected, pulled
from include.features.offline.retrieval_job import PolarsRetrievalJob


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

    memory_limit_mib: PositiveInt = Field(
        default=2048,
        description=(
            "Working memory of a retrieval in MiB, beyond its entity rows and its result: a join that would "
            "need more is done in parts, with the same result, and an SQL query for entity rows spills to disk."
        ),
    )

    sql_threads: PositiveInt = Field(
        default=1, description="Threads of an SQL query for entity rows; polars takes POLARS_MAX_THREADS."
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
        start_date: datetime | None = None,
        end_date: datetime | None = None,
    ) -> RetrievalJob:
        """Join to each row of `entity_df` the feature values that were known at its time.

        `entity_df` is a pandas frame, the path of a Parquet file, or one SELECT statement of DuckDB in which
        each view of the request can be selected by its name; it has the join keys and the time: the column
        event_timestamp, else its only datetime column. None stands for each key and event time that the
        views have in [`start_date`, `end_date`]. The result has these rows in their order and their columns,
        the time in UTC, then the features in the order of `feature_refs`.
        Raises ValueError or TypeError, before features are joined, for a request that has no exact answer.
        """
        settings: PolarsOfflineStoreConfig = config.offline_store
        limits = Limits(settings.memory_limit_mib, settings.sql_threads)
        rows = read_entity_rows(entity_df, feature_views, config.repo_path, limits, (start_date, end_date))
        on_demand = OnDemandFeatureView.get_requested_odfvs(feature_refs, project, registry)
        asked = features_asked(feature_views, on_demand, feature_refs, full_feature_names)
        as_known = settings.exclude_created_after or filter_by_created_timestamp
        joins = [Join.of(view, asked, rows.time, as_known) for view in feature_views]
        check_columns(rows.table.column_names, joins, asked)
        return PolarsRetrievalJob(
            lambda: join_features(rows, joins, asked, config.repo_path, limits),
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
            rows = between(data_source, config.repo_path, times, start_date, end_date)
            rows = projected(rows, data_source, join_key_columns, feature_name_columns, times)
            return pulled(latest(rows, join_key_columns, times), join_key_columns)

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
            rows = between(data_source, config.repo_path, times, start_date, end_date)
            rows = projected(rows, data_source, join_key_columns, feature_name_columns, times)
            return pulled(rows, join_key_columns)

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

    @staticmethod
    @override
    def write_logged_features(
        config: RepoConfig,
        data: pa.Table | Path,
        source: LoggingSource,
        logging_config: LoggingConfig,
        registry: BaseRegistry,
    ) -> None:
        """Add the logged rows, a table or a Parquet file or directory, to a FileLoggingDestination.

        The destination is a directory; writing the same rows again changes nothing. With `partition_by` each
        combination of values has a folder of its own, and the files keep these columns.
        """
        destination = logging_config.destination
        if not isinstance(destination, FileLoggingDestination):
            raise TypeError(f"features are logged to a FileLoggingDestination, not {type(destination).__name__}")
        table = pq.read_table(data, partitioning=None) if isinstance(data, Path) else data
        reader = f"log destination {destination.path}"
        for folder, rows in parquet_source.folders(table, destination.partition_by or []):
            part = FileSource(
                path=str(Path(destination.path, folder)), timestamp_field=source.get_log_timestamp_column()
            )
            parquet_source.append(rows, part, config.repo_path, reader)

    @override
    def validate_data_source(self, config: RepoConfig, data_source: DataSource) -> None:
        """Refuse a source that is not made of local Parquet files, or whose files lack a time column.

        A source without files is valid: its first rows may come later.
        """
        reader = f"source {data_source.name}"
        if parquet_source.files(data_source, config.repo_path, reader):
            times = [data_source.timestamp_field, data_source.created_timestamp_column]
            schema = parquet_source.scan(data_source, config.repo_path, reader).collect_schema()
            require_columns(reader, schema, [source_column(data_source, time) for time in times if time])

    @override
    def get_table_column_names_and_types_from_data_source(
        self, config: RepoConfig, data_source: DataSource
    ) -> list[tuple[str, str]]:
        """Names and Arrow types of the columns, from which Feast infers the schema of a view."""
        schema = parquet_source.schema(data_source, config.repo_path, f"source {data_source.name}")
        return [(field.name, str(field.type)) for field in schema]
