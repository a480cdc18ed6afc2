"""Turns the complete segments of the online prediction log into Parquet, and removes what is older than it is kept.

A segment becomes a Parquet file of the same name beside it, is on the disk as such, and only then removed. A reader
takes the Parquet file where there are both, so that at every moment it finds each line once, wherever a run is killed;
the next one goes on. A line that comes late to a day is in a segment of its own, and follows with the next run.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from itertools import islice, repeat
from pathlib import Path
from typing import Any, BinaryIO

import orjson
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from include.contract.use_case import UseCase
from include.files import locked, replacing
from include.records import Record
from include.serving import log_lines, segments
from include.serving.log_lines import Line, Reader

log = logging.getLogger(__name__)

DAYS = "[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]"
BATCH = 10_000  # lines in memory at a time, and of a row group
TORN = b"torn"
# Models have different features, and of a name different types: as JSON they come back as they were.
JSON = ("entity", "features")
MORE = "more"  # whatever else a line says, as one JSON object
TYPED = {
    "source": pa.string(),
    "request_id": pa.string(),
    "model_version": pa.int64(),
    "run_id": pa.string(),
    "prediction": pa.float64(),
}
OWN = {*TYPED, *JSON}
READ = [*TYPED, *JSON, MORE]  # the time is in MORE, as it was written
SCHEMA = pa.schema({"time": pa.timestamp("us", "UTC"), **TYPED, **dict.fromkeys((*JSON, MORE), pa.string())})


@dataclass(frozen=True)
class Compaction(Record):
    """What a run did. ``open``: segments that a server still writes to; ``removed``: days kept for long enough."""

    segments: int
    lines: int
    torn: int
    open: int
    removed: tuple[str, ...]


def compact(use_case: UseCase, today: date | None = None) -> Compaction:
    """Compact all segments that are complete, of whatever day, and remove the days that are older than
    ``serving.log.keep``. ``OSError`` leaves what it could not do for the next run."""
    folder = segments.folder(use_case.name)
    found: list[tuple[int, int]] = []
    still_open = 0
    with locked(folder / "compaction"):
        for leftover in folder.glob(f"{DAYS}/.*"):
            leftover.unlink()
        for path in sorted(folder.glob(f"{DAYS}/*{segments.OPEN}")):
            with segments.complete(path) as stream:
                if stream is None:
                    still_open += 1
                else:
                    found.append(_compact(path, stream))
        keep = use_case.serving.log.keep
        removed = () if keep is None else tuple(_remove(folder, (today or datetime.now(UTC).date()) - keep))
    rows, torn = (sum(counts) for counts in zip((0, 0), *found, strict=True))
    done = Compaction(len(found), rows, torn, still_open, removed)
    log.info("%s: %s", use_case.name, done)
    if done.torn:
        log.warning("%s: %d torn lines, which were not answered, are kept in .torn files", use_case.name, done.torn)
    return done


def read(path: Path) -> Iterator[Line | None]:
    """The lines of a file of the log, whether it is compacted, or is while it is asked for; None for a torn one."""
    if path.suffix == segments.OPEN:
        try:
            stream = path.open("rb")
        except FileNotFoundError:
            path = path.with_suffix(segments.COMPACTED)
        else:
            with stream:
                yield from log_lines.lines(stream)
            return
    try:
        yield from lines(path)
    except FileNotFoundError:
        log.info("%s is gone: it was empty, or kept for as long as it should be", path)


def lines(path: Path) -> Iterator[Line | None]:
    """The lines of a compacted segment as they were written, and None for each that was torn."""
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(BATCH, columns=READ):
            yield from map(line, pl.DataFrame(batch).iter_rows(named=True))
        yield from repeat(None, int(file.metadata.metadata[TORN]))


def line(row: Mapping[str, Any]) -> Line:
    """A line of the log from its row in Parquet."""
    typed = {name: row[name] for name in TYPED}
    return {**orjson.loads(row[MORE]), **typed, **{name: orjson.loads(row[name]) for name in JSON}}


def _table(lines: Sequence[Line]) -> pa.Table:
    columns: dict[str, list[Any]] = {name: [line[name] for line in lines] for name in TYPED}
    columns["time"] = [datetime.fromisoformat(line["time"]) for line in lines]
    columns |= {name: [orjson.dumps(line[name]).decode() for line in lines] for name in JSON}
    more = ({name: value for name, value in line.items() if name not in OWN} for line in lines)
    columns[MORE] = [orjson.dumps(each).decode() for each in more]
    return pa.table(columns, SCHEMA)


def _compact(path: Path, stream: BinaryIO) -> tuple[int, int]:
    """How many lines it has, and how many are torn."""
    target = path.with_suffix(segments.COMPACTED)
    if not target.is_file() and os.fstat(stream.fileno()).st_size:
        _write(target, stream)
    counted = (0, 0)
    if target.is_file():
        segments.sync_folder(path.parent)
        metadata = pq.read_metadata(target)
        counted = metadata.num_rows, int(metadata.metadata[TORN])
    path.unlink()
    return counted


def _write(target: Path, stream: BinaryIO) -> None:
    torn: list[bytes] = []
    with replacing(target) as temporary:
        with pq.ParquetWriter(temporary, SCHEMA, compression="zstd") as writer:
            whole = _whole(stream, torn)
            while batch := list(islice(whole, BATCH)):
                writer.write_table(_table(batch))
            writer.add_key_value_metadata({TORN: str(len(torn))})
        _sync(temporary)
        if torn:
            with replacing(target.with_suffix(".torn")) as beside:
                beside.write_bytes(b"\n".join(text.removesuffix(b"\n") for text in torn) + b"\n")
                _sync(beside)


def _whole(stream: Iterable[bytes], torn: list[bytes]) -> Iterator[Line]:
    """The lines of a segment; what is none is put into ``torn``."""
    reader = Reader()
    for text in stream:
        rows = reader.rows(text)
        if rows is None:
            torn.append(text)
        yield from rows or ()


def _sync(path: Path) -> None:
    with path.open("rb") as stream:
        os.fsync(stream.fileno())


def _remove(folder: Path, first: date) -> Iterator[str]:
    """Remove the days before ``first``, and tell which."""
    for day in sorted(folder.glob(DAYS)):
        if date.fromisoformat(day.name) >= first:
            continue
        for path in sorted(day.iterdir()):
            if path.suffix != segments.OPEN:
                path.unlink()
        try:
            day.rmdir()
        except OSError:
            log.info("%s: a server still writes to it", day)
        else:
            yield day.name
