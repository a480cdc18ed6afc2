"""Parquet files on a local disk as the source of a Feast feature view: found, scanned and added to.

A source is one file, a directory (its *.parquet at any depth, in the order of their paths) or a glob.
Names that start with "." or "_" are not read: they are files that are still being written.
"""

from __future__ import annotations

import glob
import hashlib
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import polars as pl
import polars.selectors as cs
import pyarrow as pa
import pyarrow.parquet as pq
from feast.data_format import ParquetFormat
from feast.data_source import DataSource
from feast.infra.offline_stores.file_source import FileSource


def local_path(uri: str, repo_path: Path | None) -> Path:
    """The path that a Feast source means; a relative one starts at the feature repository."""
    uri = uri.removeprefix("file://")
    if "://" in uri:
        raise ValueError(f"{uri}: only Parquet files on a local disk can be read")
    return Path(FileSource.get_uri_for_file_path(repo_path, uri))


def scan(source: DataSource | None, repo_path: Path | None, reader: str) -> pl.LazyFrame:
    """Scan the source lazily; categories come as strings.

    `reader` says who needs it, e.g. "feature view daily". Raises FileNotFoundError if the source has no
    file yet, TypeError and ValueError if it is not made of local Parquet files.
    """
    found = _some_files(source, repo_path, reader)
    # A list of files is never read as a pattern: a folder name may hold [ or *.
    frame = pl.scan_parquet(found, glob=False, hive_partitioning=False, extra_columns="ignore")
    return frame.with_columns((cs.categorical() | cs.enum()).cast(pl.String))


def files(source: DataSource | None, repo_path: Path | None, reader: str) -> list[Path]:
    """The files that the source has now, in the order in which their rows are read.

    Raises TypeError and ValueError if it is not made of local Parquet files.
    """
    return _files(_path(source, repo_path, reader))


def schema(source: DataSource | None, repo_path: Path | None, reader: str) -> pa.Schema:
    """The Arrow schema of the source, which is that of its first file. Raises as `scan` does."""
    return pq.read_schema(_some_files(source, repo_path, reader)[0])


def folders(table: pa.Table, columns: list[str]) -> Iterator[tuple[str, pa.Table]]:
    """The rows of each combination of values of `columns`, with a folder name of its own, relative and safe."""
    if not columns:
        yield "", table
        return
    numbered = pl.DataFrame(table.select(columns)).with_row_index("")
    for values, rows in numbered.group_by(columns, maintain_order=True):
        yield "/".join(map(_folder, values)), table.take(rows[""].to_arrow())


def append(table: pa.Table, source: DataSource | None, repo_path: Path | None, reader: str) -> None:
    """Add rows to a source; in a directory, writing the same rows again changes nothing.

    A directory gets one more file, named by its content; a single file is read, extended and replaced,
    which is not safe for two writers at once. Raises ValueError for a glob and for columns that differ
    from those of the source.
    """
    path = _path(source, repo_path, reader)
    found = _files(path)
    if glob.has_magic(str(path)) and not path.exists():
        raise ValueError(f"{reader}: rows cannot be added to the pattern {path}; name a file or a directory")
    if found:
        table = _in_schema(table, pq.read_schema(found[0]), reader)
    if path.suffix == ".parquet":
        old = [pq.read_table(path, partitioning=None)] if found else []
        write_atomically(pa.concat_tables([*old, table]), path)
    else:
        write_atomically(table, path / f"batch-{_digest(table)}.parquet")


def write_atomically(table: pa.Table, path: Path) -> None:
    """Write one Parquet file so that a reader sees the old file or the whole new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = _beside(path)
    try:
        pq.write_table(table, draft)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def write_directory(table: pa.Table, path: Path) -> None:
    """Write the table as a directory of one Parquet file, in place of the directory that is there."""
    draft, old = _beside(path), _beside(path)
    write_atomically(table, draft / "data.parquet")
    if path.exists():
        path.rename(old)
    draft.rename(path)
    shutil.rmtree(old, ignore_errors=True)


def _beside(path: Path) -> Path:
    return path.with_name(f".{path.name}-{uuid.uuid4().hex}")


def _some_files(source: DataSource | None, repo_path: Path | None, reader: str) -> list[Path]:
    found = files(source, repo_path, reader)
    if not found:
        path = _path(source, repo_path, reader)
        raise FileNotFoundError(f"{reader}: no Parquet file at {path}; ingest the data and compute the features first")
    return found


def _folder(value: object) -> str:
    name = quote("null" if value is None else str(value), safe="")
    # A folder that starts so would be taken for one that is still being written.
    return f"%{ord(name[0]):02X}{name[1:]}" if name.startswith((".", "_")) else name or "%"


def _path(source: DataSource | None, repo_path: Path | None, reader: str) -> Path:
    if not isinstance(source, FileSource):
        raise TypeError(f"{reader}: the source must be a feast FileSource, not {type(source).__name__}")
    if source.file_format is not None and not isinstance(source.file_format, ParquetFormat):
        raise ValueError(f"{reader}: the format must be Parquet, not {type(source.file_format).__name__}")
    return local_path(source.path, repo_path)


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    if path.is_dir():
        found = [(file, file.relative_to(path).parts) for file in sorted(path.rglob("*.parquet"))]
        return [file for file, parts in found if not any(part.startswith((".", "_")) for part in parts)]
    matches = map(Path, sorted(glob.glob(str(path), recursive=True)))  # noqa: PTH207 - pathlib: relative only
    return [match for match in matches if match.is_file() and not match.name.startswith((".", "_"))]


def _in_schema(table: pa.Table, schema: pa.Schema, reader: str) -> pa.Table:
    if set(table.column_names) != set(schema.names):
        raise ValueError(f"{reader}: the rows have columns {table.column_names}, the source {schema.names}")
    return table.select(schema.names).cast(schema)


def _digest(table: pa.Table) -> str:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table.combine_chunks())
    return hashlib.sha256(sink.getvalue()).hexdigest()[:16]
