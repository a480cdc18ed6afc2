"""The files of the raw tables that a run reads: their columns, and how they can be read in stretches."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import polars as pl

from include.features.pieces import common_types
from include.features.split import SplitError
from include.features.window import History

Key = tuple[str, ...]  # columns by whose values rows are parted
SLICE_ROWS, SLICE_BYTES = 1_000_000, 2**26  # that a task holds at a time


class RawTables:
    """``files`` by partition and table; ``columns`` that a table has in any partition."""

    def __init__(self, history: History) -> None:
        self.calendar = history.calendar
        self.files = {
            partition: {Path(name).stem: path for name, path in files.items() if _is_table(name)}
            for partition, files in history.files.items()
        }
        self._schemas = [
            (table, pl.read_parquet_schema(path)) for files in self.files.values() for table, path in files.items()
        ]
        self.columns: dict[str, set[str]] = {}
        for table, schema in self._schemas:
            self.columns.setdefault(table, set()).update(schema)

    def parted(self, key: Key) -> frozenset[str]:
        """The tables that have all the columns; the others are seen whole. No columns part nothing."""
        return frozenset(table for table, columns in self.columns.items() if key and {*key} <= columns)

    def types(self, key: Key, where: str) -> dict[str, pl.DataType]:
        """As what the values of the columns are compared; ``SplitError`` where they cannot be, by ``where``."""
        parted = self.parted(key)
        try:
            return common_types([schema for table, schema in self._schemas if table in parted], key)
        except pl.exceptions.SchemaError as error:
            raise SplitError(
                f"{where}: values of {', '.join(key)} are not comparable in {', '.join(sorted(parted))}: {error}; "
                "give them one type in source.py, or name other columns"
            ) from error


@lru_cache(maxsize=4096)
def slices(path: Path) -> tuple[tuple[int, int], ...]:
    """Start and length of stretches of a file that a task can hold; an empty file is one, since it has columns."""
    total = int(pl.scan_parquet(path).select(pl.len()).collect().item())
    step = max(1, min(SLICE_ROWS, total * SLICE_BYTES // max(1, path.stat().st_size)))
    return tuple((start, min(step, total - start)) for start in range(0, max(1, total), step))


def _is_table(name: str) -> bool:
    """Beside the tables lie their profiles, and rows that were refused."""
    return name.endswith(".parquet") and "/" not in name
