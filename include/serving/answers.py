"""Finds what was predicted, by request or by entity, online and in batch, and what a prediction came from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import msgspec
import polars as pl

from include.contract.use_case import UseCase
from include.records import Record
from include.registry import models
from include.serving import batch_log, compaction, log_lines, segments
from include.serving.batch_log import INSTANT, REQUIRED
from include.serving.log_lines import DEFINES, Line

SPAN = timedelta(days=30)  # searched where no days are given
LIMIT = 100

Key = Mapping[str, Any]


@dataclass(frozen=True)
class Answer(Record):
    """One logged prediction. ``time``: when it was made online, None in batch; ``prediction`` is None where a shadow
    failed; ``hashed``: the columns of which only a hash was kept."""

    source: Literal["online", "shadow", "batch"]
    request_id: str
    time: datetime | None
    entity: dict[str, Any] | None
    event_timestamp: datetime | None
    prediction: float | None
    model_version: int
    run_id: str
    features: dict[str, Any]
    hashed: dict[str, str | None]


@dataclass(frozen=True)
class Origin(Record):
    """What the version behind a prediction was made of; empty where the version does not tell."""

    model_version: int
    run_id: str
    model_digest: str
    training_set: str
    definition_hash: str
    code_revision: str
    data_revision: str


def origin(use_case: str, version: int) -> Origin:
    """Walk back from a prediction's model version to its run, code and data; ``ModelNotFound`` where it is gone."""
    found = models.get(use_case, version)
    told = {name: found.tags.get(name, "") for name in ("training_set", "definition_hash", "code_revision")}
    return Origin(found.version, found.run_id, found.digest, data_revision=found.data_revision, **told)


def find(
    use_case: UseCase,
    *,
    request_id: str | None = None,
    entity: Key | None = None,
    first: date | None = None,
    last: date | None = None,
    limit: int = LIMIT,
) -> list[Answer]:
    """The predictions of a request or of an entity, the newest first, at most ``limit``.

    Searched are the online predictions answered from ``first`` to ``last`` (UTC, both included), and the batch
    predictions of the partitions of these days; by default the last 30. A batch request names its partition, which is
    found on whatever day. ``entity`` has some or all columns of the key; values are compared as text. ``ValueError``
    where not just one of the two is asked for, or for a column that is none of the key.
    """
    if (request_id is None) == (entity is None) or entity == {}:
        raise ValueError("expected either a request_id or the columns of an entity")
    if unknown := [name for name in entity or {} if name not in use_case.entity.key]:
        raise ValueError(f"{', '.join(unknown)}: the entity's key is {', '.join(use_case.entity.key)}")
    last = last or datetime.now(UTC).date()
    first = first or last - SPAN
    found = [*_online(use_case, request_id, entity, first, last), *_batch(use_case, request_id, entity, first, last)]
    return sorted(found, key=_moment, reverse=True)[:limit]


def _moment(answer: Answer) -> datetime:
    return answer.time or answer.event_timestamp or datetime.min.replace(tzinfo=UTC)


def _online(use_case: UseCase, request_id: str | None, entity: Key | None, first: date, last: date) -> Iterator[Answer]:
    wanted = [request_id] if request_id is not None else [str(value) for value in (entity or {}).values()]
    parts = [msgspec.json.encode(text).decode()[1:-1] for text in wanted]
    for path in segments.paths(use_case.name, first, last):
        for line in _lines(path, parts, "request_id" if request_id is not None else "entity"):
            if _is(line, request_id, entity):
                yield _answer(line)


def _lines(path: Path, parts: list[str], column: str) -> Iterator[Line]:
    """The lines of a file that have these texts, and perhaps a few more; only they are decoded."""
    if path.suffix == segments.OPEN:
        try:
            stream = path.open("rb")
        except FileNotFoundError:
            path = path.with_suffix(segments.COMPACTED)
        else:
            with stream:
                sought = [part.encode() for part in parts]
                near = (text for text in stream if text.startswith(DEFINES) or all(part in text for part in sought))
                yield from (line for line in log_lines.lines(near) if line is not None)
            return
    if path.is_file():
        has = pl.all_horizontal(pl.col(column).str.contains(part, literal=True) for part in parts)
        yield from map(compaction.line, pl.scan_parquet(path).filter(has).collect().to_dicts())


def _is(line: Line, request_id: str | None, entity: Key | None) -> bool:
    if request_id is not None:
        return bool(line["request_id"] == request_id)
    of = line["entity"] or {}
    return all(name in of and str(of[name]) == str(value) for name, value in (entity or {}).items())


def _answer(line: Line) -> Answer:
    stamp = line.get("event_timestamp")
    return Answer(
        source=line["source"],
        request_id=line["request_id"],
        time=datetime.fromisoformat(line["time"]),
        entity=line["entity"],
        event_timestamp=datetime.fromisoformat(stamp) if stamp else None,
        prediction=line["prediction"],
        model_version=line["model_version"],
        run_id=line["run_id"],
        features=line["features"],
        hashed=line.get("hashed", {}),
    )


def _batch(use_case: UseCase, request_id: str | None, entity: Key | None, first: date, last: date) -> Iterator[Answer]:
    if request_id is not None:
        name, _, rest = request_id.partition("/")  # as include/serving/batch.py names them
        keys = [rest.split("/")[0]] if name == use_case.name and rest.count("/") == 2 else []
    else:
        bounds = [datetime(day.year, day.month, day.day, tzinfo=UTC) for day in (first, last + timedelta(days=1))]
        begin, end = bounds[0], bounds[1] - timedelta(microseconds=1)
        calendar = use_case.calendar
        keys = [each.key for each in calendar.span(calendar.containing(begin), calendar.containing(end))]
    sought = {"request_id": request_id} if request_id is not None else dict(entity or {})
    for path in (batch_log.file(use_case.name, key) for key in keys):
        if path.is_file():
            yield from _rows(use_case, path, sought)


def _rows(use_case: UseCase, path: Path, sought: Key) -> Iterator[Answer]:
    scan = pl.scan_parquet(path)
    schema = scan.collect_schema()
    # cast on this side, so that the statistics of the file can rule out what need not be read
    equal = [pl.col(name) == pl.lit(str(value)).cast(schema[name], strict=False) for name, value in sought.items()]
    known = {*REQUIRED, *use_case.entity.key}
    for row in scan.filter(pl.all_horizontal(equal)).cast({"event_timestamp": INSTANT}).collect().to_dicts():
        yield Answer(
            source="batch",
            time=None,
            entity={name: row[name] for name in use_case.entity.key},
            features={name: value for name, value in row.items() if name not in known},
            hashed={},
            **{name: row[name] for name in REQUIRED},
        )
