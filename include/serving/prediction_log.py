"""What was predicted, with the model version and the features that it saw.

Online, each answer is appended before it is sent, by one write to a file that is only appended to: an answer that a
client has seen is in the log, whatever becomes of the process. In batch, a partition's predictions are one file.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import msgspec
import orjson
import polars as pl
import pyarrow.parquet as pq

from include.files import replacing
from include.settings import get_settings

log = logging.getLogger(__name__)

SEGMENT_BYTES = 64 * 2**20
INSTANT = pl.Datetime("us", "UTC")
REQUIRED: dict[str, pl.DataType] = {
    "request_id": pl.String(),
    "event_timestamp": INSTANT,
    "prediction": pl.Float64(),
    "model_version": pl.Int64(),
    "run_id": pl.String(),
}
TIME = "time"
Source = Literal["online", "shadow"]
ONLINE: Source = "online"

_encode = msgspec.json.Encoder().encode


class PredictionLog:
    """The online log of a use case, as one process writes it. Threads may share it."""

    def __init__(self, root: Path, use_case: str, segment_bytes: int = SEGMENT_BYTES) -> None:
        self._folder = root / use_case / "online"
        self._use_case = use_case
        self._limit = segment_bytes
        self._lock = threading.Lock()
        self._descriptor: int | None = None
        self._day = date.min
        self._size = 0

    def append(self, time: datetime, lines: Iterable[Mapping[str, Any] | msgspec.Struct]) -> None:
        """Write the lines of one answer. ``OSError`` where they are not all written: the answer must not be sent."""
        common = _encode({"use_case": self._use_case, "time": time})[:-1]
        whole = (line if isinstance(line, msgspec.Struct) else {"source": ONLINE, **line} for line in lines)
        content = b"".join([b"%b,%b\n" % (common, _encode(line)[1:]) for line in whole])
        with self._lock:
            descriptor = self._segment(time.astimezone(UTC).date(), len(content))
            written = os.write(descriptor, content)
            self._size += written
            if written != len(content):
                self._close()  # the torn line stays the last of its file
                raise OSError(f"{self._folder}: only {written} of {len(content)} bytes were written")

    def close(self) -> None:
        with self._lock:
            self._close()

    def _segment(self, day: date, needed: int) -> int:
        if self._descriptor is not None and (day != self._day or self._size + needed > self._limit):
            self._close()
        if self._descriptor is None:
            folder = self._folder / day.isoformat()
            folder.mkdir(parents=True, exist_ok=True)
            self._descriptor = _create(folder)
            self._day, self._size = day, 0
        return self._descriptor

    def _close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def _create(folder: Path) -> int:
    """A new file; replicas in containers may have the same process id, so the name alone is not enough."""
    while True:
        start = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%f")
        try:
            return os.open(folder / f"{os.getpid()}-{start}.jsonl", os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND)
        except FileExistsError:
            continue


def read_online(use_case: str, start: datetime, end: datetime, source: Source | None = ONLINE) -> pl.DataFrame:
    """The online predictions answered in ``[start, end)``, in the batch log's columns with ``time`` after ``run_id``.

    ``source`` shadow: what a challenger predicted for the same rows, which nobody was answered; None: both. Predictions
    from complete rows have no entity. Torn lines, which were never answered, are skipped and reported.
    """
    frame, torn = scan_online(use_case, start, end, source)
    if torn:
        log.warning("%s: skipped %d torn lines of the online prediction log", use_case, torn)
    return frame


def online_lines(use_case: str, first: date, last: date, source: Source | None = ONLINE) -> Iterator[dict[str, Any]]:
    """The lines of the predictions that were answered on these days, both included (UTC), without torn ones."""
    return (line for line in _lines(use_case, first, last, source) if line is not None)


def scan_online(
    use_case: str, start: datetime, end: datetime, source: Source | None = ONLINE
) -> tuple[pl.DataFrame, int]:
    """The same with the number of torn lines."""
    found: list[dict[str, Any]] = []
    keys: dict[str, None] = {}
    features: dict[str, None] = {}
    torn = 0
    for line in _lines(use_case, start.astimezone(UTC).date(), end.astimezone(UTC).date(), source):
        if line is None:
            torn += 1
            continue
        time = datetime.fromisoformat(line["time"])
        if not start <= time < end:
            continue
        stamp = line["event_timestamp"]
        keys |= dict.fromkeys(line["entity"] or {})
        features |= dict.fromkeys(line["features"])
        found.append(
            {
                **line["features"],
                **(line["entity"] or {}),
                **{name: line[name] for name in ("request_id", "prediction", "model_version", "run_id")},
                "event_timestamp": datetime.fromisoformat(stamp) if stamp else None,
                TIME: time,
            }
        )
    schema = {**REQUIRED, TIME: INSTANT}
    order = ["request_id", *keys, *list(REQUIRED)[1:], TIME, *features]
    columns = {name: schema.get(name) for name in dict.fromkeys(order)}
    return pl.DataFrame(found, schema=columns, orient="row", infer_schema_length=None), torn


def _lines(use_case: str, first: date, last: date, source: Source | None) -> Iterator[dict[str, Any] | None]:
    """The log's lines of a source; None for a torn one."""
    folder = get_settings().predictions / use_case / "online"
    days = [first + timedelta(days=number) for number in range((last - first).days + 1)]
    for path in [path for day in days for path in sorted((folder / day.isoformat()).glob("*.jsonl"))]:
        *whole, rest = path.read_bytes().split(b"\n")
        for line in whole:
            try:
                content = orjson.loads(line)
            except orjson.JSONDecodeError:
                yield None
                continue
            if source in (None, content["source"]):
                yield content
        if rest:
            yield None


def batch_file(use_case: str, partition_key: str) -> Path:
    if not partition_key or Path(partition_key).name != partition_key:
        raise ValueError(f"{partition_key!r} is not the key of one partition")
    return get_settings().predictions / use_case / "batch" / f"{partition_key}.parquet"


def write_batch(use_case: str, partition_key: str, frame: pl.DataFrame) -> Path:
    """Write a partition's predictions whole, in place of those that are there; columns as for ``write_parts``."""
    write_parts(use_case, partition_key, [frame])
    return batch_file(use_case, partition_key)


def write_parts(use_case: str, partition_key: str, parts: Iterable[pl.DataFrame]) -> int:
    """The same from parts, of which one is in memory at a time and there is at least one; how many rows they have.

    Columns: ``request_id``, the entity's key, ``event_timestamp``, ``prediction``, ``model_version``, ``run_id``, the
    features. ``ValueError`` names a column that is missing or of another type.
    """
    rows = 0
    with ExitStack() as stack:
        writer: pq.ParquetWriter | None = None
        for part in parts:
            for name, dtype in REQUIRED.items():
                if part.schema.get(name) != dtype:
                    told = f"column {name} must be {dtype}, is {part.schema.get(name)}"
                    raise ValueError(f"{use_case} {partition_key}: {told}")
            table = part.to_arrow()
            if writer is None:
                temporary = stack.enter_context(replacing(batch_file(use_case, partition_key)))
                writer = stack.enter_context(pq.ParquetWriter(temporary, table.schema, compression="zstd"))
            writer.write_table(table.cast(writer.schema))
            rows += part.height
        if writer is None:
            raise ValueError(f"{use_case} {partition_key}: there is no part to write")
    return rows


def read_batch(use_case: str, partition_keys: Sequence[str]) -> pl.DataFrame:
    """The predictions of these partitions; one that was not scored is absent.

    Versions of a model may have different features: a column that a partition lacks is null there.
    """
    paths = [batch_file(use_case, key) for key in partition_keys]
    frames = [pl.read_parquet(path) for path in paths if path.is_file()]
    return pl.concat(frames, how="diagonal_relaxed") if frames else pl.DataFrame(schema=REQUIRED)
