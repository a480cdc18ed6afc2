"""What was predicted, with the model version and the features that it saw.

Online, each answer is appended before it is sent, by one write to a file that is only appended to: an answer that a
client has seen is in the log, whatever becomes of the process. A thread of the process syncs what was written, which
bounds what a power cut can take.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Literal, Self

import msgspec
import polars as pl

from include.contract.use_case import UseCase
from include.serving import compaction, log_lines, segments
from include.serving.batch_log import INSTANT, REQUIRED
from include.serving.privacy import Privacy
from include.serving.segments import Segment
from include.serving.timer import Timer
from include.settings import Settings

log = logging.getLogger(__name__)

SEGMENT_BYTES = 64 * 2**20
TIME = "time"
Source = Literal["online", "shadow"]
ONLINE: Source = "online"
COMMA = ord(",")

_encoder = msgspec.json.Encoder()
_into = _encoder.encode_into


class PredictionLog:
    """The online log of a use case, as one process writes it. Threads may share it.

    ``failures`` counts what could not be logged, or synced, since the process began.
    """

    def __init__(
        self,
        root: Path,
        use_case: str,
        segment_bytes: int = SEGMENT_BYTES,
        *,
        sync: float = 1.0,
        privacy: Privacy | None = None,
    ) -> None:
        """``sync``: seconds after which a line is on the disk, so that it outlives a power cut; 0: before ``append``
        returns."""
        self.failures = 0
        self._folder = root / use_case / "online"
        self._use_case = use_case
        self._common = b'{"use_case":%b,"time":' % _encoder.encode(use_case)
        self._limit = segment_bytes
        self._sync = sync
        self._privacy = privacy
        self._lock = threading.Lock()
        self._segment: Segment | None = None
        self._defined: set[str] = set()  # columns, in this segment
        self._day = date.min
        self._ended: list[Segment] = []
        self._in_doubt = False
        self._timer = Timer(self._flush, sync, "prediction log")

    @classmethod
    def of(cls, use_case: UseCase, settings: Settings) -> Self:
        """The log as the use case and the settings want it; ``UseCaseError`` where it cannot be kept so."""
        privacy = Privacy.of(use_case, settings)
        return cls(settings.predictions, use_case.name, sync=settings.prediction_log_sync, privacy=privacy)

    def append(
        self, time: datetime, line: Mapping[str, Any] | msgspec.Struct, columns: log_lines.Columns | None = None
    ) -> None:
        """Write the line of one answer, unless it is not in the sample; ``columns``: those that it names.

        ``OSError`` where it is not all written: the answer must not be sent. Nothing of it is in the log then, and the
        next call tries again.
        """
        lines: Sequence[Mapping[str, Any] | msgspec.Struct] = (line,)
        if self._privacy is not None:
            lines, columns = self._privacy.apply(line, columns)
        if not lines:
            return
        content = self._written(time, lines)
        with self._lock:
            try:
                self._append(time.astimezone(UTC).date(), content, columns)
            except OSError:
                self.failures += 1
                raise

    def close(self) -> None:
        """Put what was written on the disk and end the segment; the next append begins another."""
        self._timer.stop()
        with self._lock:
            self._end()
        self._flush()

    def _written(self, time: datetime, lines: Iterable[Mapping[str, Any] | msgspec.Struct]) -> bytearray:
        """Lines as they stand in the segment, each in one object with what is common to all."""
        content = bytearray()
        for line in lines:
            content += self._common
            _into(time, content, len(content))
            begin = len(content)
            _into(line if isinstance(line, msgspec.Struct) else {"source": ONLINE, **line}, content, begin)
            content[begin] = COMMA  # in place of the bracket
            content += b"\n"
        return content

    def _append(self, day: date, content: bytearray, columns: log_lines.Columns | None) -> None:
        if self._segment is not None and (day != self._day or self._segment.size + len(content) > self._limit):
            self._end()
        if self._segment is None:
            self._segment, self._day, self._defined = Segment(self._folder / day.isoformat()), day, set()
        if columns is not None and columns.name not in self._defined:
            content[:0] = columns.line
        try:
            self._segment.append(content, sync=self._sync == 0 or self._in_doubt)
        except OSError:
            if not self._segment.cut():
                self._end()
            raise
        self._in_doubt = False
        if columns is not None:
            self._defined.add(columns.name)
        self._timer.due()

    def _end(self) -> None:
        """Leave the segment to the thread that syncs: a rotation must hold up no answer."""
        if self._segment is not None:
            self._ended.append(self._segment)
            self._segment = None

    def _flush(self) -> None:
        with self._lock:
            if self._day < datetime.now(UTC).date():
                self._end()  # a server that is asked nothing would keep yesterday's segment open
            ended, self._ended = self._ended, []
            current = self._segment
        for segment in ended if current is None else (*ended, current):
            try:
                segment.sync()
            except OSError:
                log.exception(
                    "%s: the last answers may not outlive a power cut; the next wait for the disk", self._use_case
                )
                with self._lock:
                    self.failures += 1
                    self._in_doubt = True
            if segment is not current:
                segment.close()


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
        hashed = {f"{name}_hash": value for name, value in line.get("hashed", {}).items()}
        keys |= dict.fromkeys(line["entity"] or {})
        features |= dict.fromkeys([*line["features"], *hashed])
        found.append(
            {
                **line["features"],
                **hashed,
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
    for path in segments.paths(use_case, first, last):
        for line in compaction.read(path):
            if line is None or source in (None, line["source"]):
                yield line
