"""Entity rows from SQL: one SELECT statement, run by DuckDB in this process over the views' Parquet files."""

from __future__ import annotations

import glob
import tempfile
from collections.abc import Sequence
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
from feast.feature_view import FeatureView

from include.features.offline import parquet_source


def run(sql: str, views: Sequence[FeatureView], repo_path: Path | None, *, threads: int, memory_mib: int) -> pa.Table:
    """The rows of the query; each view can be selected by its name, relative paths start at the feature repository.

    A view shows every column of its source, under the view's names. The session's time zone is UTC. Beyond
    `memory_mib` DuckDB spills to a temporary folder. The semantics are DuckDB's: names are case-insensitive
    and NaN counts as the greatest float, where statistics of Parquet files may hide it from a comparison.
    Raises ValueError, with DuckDB's own words, for all but one SELECT statement and for a query that fails.
    """
    with tempfile.TemporaryDirectory() as spill, duckdb.connect() as connection:
        settings = {"threads": threads, "memory_limit": f"{memory_mib}MiB", "temp_directory": spill, "TimeZone": "UTC"}
        # Nothing is to be fetched from elsewhere while features are joined.
        settings |= {"autoinstall_known_extensions": False}
        if repo_path is not None:
            settings["file_search_path"] = str(repo_path)
        for name, value in settings.items():
            connection.execute(f"SET {name} = {_literal(str(value))}")
        try:
            _require_select(connection, sql)
            for view in {view.name: view for view in views}.values():
                _register(connection, view, repo_path)
            return connection.sql(sql).to_arrow_table()
        except duckdb.OutOfMemoryException as error:
            cure = "raise memory_limit_mib of the offline store"
            raise ValueError(f"entity_df: the SQL needs more than {memory_mib} MiB; {cure}: {error}") from error
        except duckdb.Error as error:
            raise ValueError(f"entity_df: the SQL fails: {error}\n{sql}") from error


def _require_select(connection: duckdb.DuckDBPyConnection, sql: str) -> None:
    kinds = [statement.type.name for statement in connection.extract_statements(sql)]
    if kinds != ["SELECT"]:
        raise ValueError(f"entity_df must be one SELECT statement or end in .parquet, not {kinds or 'empty'}: {sql!r}")


def _register(connection: duckdb.DuckDBPyConnection, view: FeatureView, repo_path: Path | None) -> None:
    """A view over the files; nothing where there are none yet, so that only a query that needs them fails."""
    files = parquet_source.files(view.batch_source, repo_path, f"feature view {view.name}")
    if not files:
        return
    there = set(pq.read_schema(files[0]).names)
    mapping = {theirs: ours for theirs, ours in view.batch_source.field_mapping.items() if theirs in there}
    renamed = ", ".join(f"{_name(theirs)} AS {_name(ours)}" for theirs, ours in mapping.items() if theirs != ours)
    columns = f"* RENAME ({renamed})" if renamed else "*"
    # DuckDB reads every path as a pattern.
    listed = ", ".join(_literal(glob.escape(str(file))) for file in files)
    rows = f"read_parquet([{listed}], hive_partitioning = false)"
    connection.execute(f"CREATE VIEW {_name(view.name)} AS SELECT {columns} FROM {rows}")  # noqa: S608 - quoted


def _name(identifier: str) -> str:
    return '"' + identifier.replace('"', '""') + '"'


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
