"""Great Expectations over DuckDB: the tables of a partition are views of their Parquet files.

A suite then costs a few scans of the columns it names, in memory that is bounded by a setting, and no table is loaded
as a whole. Great Expectations knows DuckDB only as "some SQLAlchemy database"; what that leaves open is mended here:

- it closes the connection between sending a query and fetching its answer, which loses DuckDB's answer;
- SQLAlchemy's reflection asks for PostgreSQL's catalogue, which DuckDB has not;
- it has regular expressions only for databases it knows, Dremio's being DuckDB's;
- PostgreSQL's list of reserved words, which decides what is quoted, is not DuckDB's.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import TYPE_CHECKING, Any, Literal

# Read when the library is imported.
os.environ.setdefault("GX_ANALYTICS_ENABLED", "False")

import great_expectations as gx
import sqlalchemy as sa
from great_expectations.data_context.types.base import ProgressBarsConfig
from great_expectations.datasource.fluent import SQLDatasource
from great_expectations.execution_engine import SqlAlchemyExecutionEngine

from include.ingestion.quarantine import ROW
from include.settings import get_settings

if TYPE_CHECKING:
    from great_expectations.data_context import EphemeralDataContext
    from great_expectations.datasource.fluent.interfaces import Batch

logging.getLogger("great_expectations").setLevel(logging.WARNING)  # it tells of every method it registers


class _Columns:
    """As much of SQLAlchemy's inspector as Great Expectations asks for: the columns of a view."""

    def __init__(self, engine: DuckDBExecutionEngine) -> None:
        self._engine = engine
        self.dialect = engine.engine.dialect

    def get_columns(self, table_name: str, **_: Any) -> list[dict[str, Any]]:
        described = self._engine.run(f"DESCRIBE {_quoted(table_name)}")
        shown = [(name, kind) for name, kind, *_ in described if name != ROW or self._engine.rows_are_named]
        return [{"name": name, "type": _kind(kind)()} for name, kind in shown]

    def get_pk_constraint(self, **_: Any) -> dict[str, Any]:
        return {"constrained_columns": []}


@lru_cache(maxsize=256)
def _kind(name: str) -> type[sa.types.UserDefinedType[Any]]:
    """A column type by DuckDB's own name, such as ``VARCHAR``."""
    return type(name, (sa.types.UserDefinedType,), {"cache_ok": True, "get_col_spec": lambda _, **__: name})


class DuckDBExecutionEngine(SqlAlchemyExecutionEngine):  # type: ignore[misc]
    """Keeps one connection, on which the views are, from the first query to the last.

    ``rows_are_named``: whether ``landed_row`` is one of the columns. Only who asks for rows by it should see it: an
    expectation about the set of columns should not.
    """

    rows_are_named = False
    _connection: sa.Connection | None

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        names = (name for (name,) in self.run("SELECT DISTINCT logical_type FROM duckdb_types()"))
        self.dialect_module = ModuleType("duckdb")
        vars(self.dialect_module).update({"DremioDialect": True, **{name: _kind(name) for name in names}})
        reserved = self.run("SELECT keyword_name FROM duckdb_keywords() WHERE keyword_category <> 'unreserved'")
        preparer = self.engine.dialect.identifier_preparer
        preparer.reserved_words = {*preparer.reserved_words, *(word for (word,) in reserved)}

    def run(self, statement: str) -> list[Any]:
        with self.get_connection() as connection:
            answer = list(connection.exec_driver_sql(statement).fetchall())
            connection.commit()  # the pool has one connection, and a transaction may not begin within another
            return answer

    @contextmanager
    def get_connection(self) -> Iterator[sa.Connection]:
        if self._connection is None:
            self._connection = self.engine.connect()
        yield self._connection

    def get_inspector(self) -> Any:
        return _Columns(self)


class DuckDBDatasource(SQLDatasource):  # type: ignore[misc]
    """A database in memory that several views share."""

    type: Literal["duckdb"] = "duckdb"
    _execution_engine: DuckDBExecutionEngine | None = None

    @property
    def execution_engine_type(self) -> Any:
        return DuckDBExecutionEngine

    def get_execution_engine(self) -> DuckDBExecutionEngine:
        if self._execution_engine is None:
            # No temporary tables: they would be copies of whole tables in memory.
            self._execution_engine = DuckDBExecutionEngine(engine=self.get_engine(), create_temp_table=False)
        return self._execution_engine


@contextmanager
def batches(
    tables: Mapping[str, Path], past: Mapping[str, Mapping[str, Path]] = MappingProxyType({})
) -> Iterator[dict[str, Batch]]:
    """The Great Expectations batch of each Parquet file, by table name; closed with the block.

    Each view has the column ``landed_row`` beside those of its file. An expectation in SQL
    (``UnexpectedRowsExpectation``) may join any table of the partition, and ``<table>_past`` for the tables of
    ``past`` (files by partition key): the rows of earlier partitions with the column ``partition``.

    Files must not hold NaN: from the statistics of Parquet, which leave it out, DuckDB concludes that there is none.
    """
    sources = _context().data_sources
    shared = {"poolclass": sa.StaticPool}
    source = sources.add_duckdb("partition", connection_string="duckdb:///:memory:", kwargs=shared)
    engine = source.get_execution_engine()
    try:
        _limit(engine)
        for name, path in tables.items():
            engine.run(_view(name, path))
        for name, files in past.items():
            engine.run(_past_view(name, files))
        assets = {name: source.add_table_asset(name, table_name=name) for name in tables}
        yield {name: asset.add_batch_definition_whole_table("landed").get_batch() for name, asset in assets.items()}
    finally:
        engine.close()
        source.get_engine().dispose()
        sources.delete("partition")


@lru_cache(maxsize=1)
def _context() -> EphemeralDataContext:
    """One context a process: what is registered with it is the same for every partition."""
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    return context


def _limit(engine: DuckDBExecutionEngine) -> None:
    """What does not fit into the memory that a task may use goes to the disk."""
    settings = get_settings()
    settings.work.mkdir(parents=True, exist_ok=True)
    for name, value in {
        "threads": settings.threads,
        "memory_limit": f"'{settings.memory}MiB'",
        "temp_directory": _literal(str(settings.work / "duckdb")),
        "TimeZone": "'UTC'",
    }.items():
        engine.run(f"SET {name} = {value}")


def _view(name: str, path: Path) -> str:
    """The statement that shows a Parquet file as a view."""
    return (
        f"CREATE VIEW {_quoted(name)} AS SELECT * EXCLUDE (file_row_number), file_row_number AS {ROW} "  # noqa: S608
        f"FROM read_parquet({_literal(str(path))}, file_row_number = true)"
    )


def _past_view(name: str, files: Mapping[str, Path]) -> str:
    parts = [
        f"SELECT *, {_literal(key)} AS partition FROM read_parquet({_literal(str(path))})"  # noqa: S608
        for key, path in files.items()
    ]
    nothing = f"SELECT * EXCLUDE ({ROW}), '' AS partition FROM {_quoted(name)} WHERE false"  # noqa: S608
    return f"CREATE VIEW {_quoted(f'{name}_past')} AS {' UNION ALL BY NAME '.join(parts or [nothing])}"


def _quoted(identifier: str) -> str:
    return '"' + identifier.replace('"', '""') + '"'


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
