"""What Airflow's REST API tells, as typed values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

FINISHED = ("success", "failed")


@dataclass(frozen=True)
class Dag:
    dag_id: str
    file: str
    paused: bool
    tags: tuple[str, ...]


@dataclass(frozen=True)
class ImportFailure:
    """A DAG file that Airflow could not import."""

    file: str
    message: str


@dataclass(frozen=True)
class Run:
    dag_id: str
    run_id: str
    state: str
    run_type: str
    partition_key: str | None
    conf: Mapping[str, Any]
    run_after: datetime
    queued_at: datetime | None
    start: datetime | None
    end: datetime | None

    @property
    def finished(self) -> bool:
        return self.state in FINISHED

    @property
    def seconds(self) -> float | None:
        """How long the run took."""
        return (self.end - self.start).total_seconds() if self.start and self.end else None


@dataclass(frozen=True)
class Task:
    """A task instance."""

    run: Run
    task_id: str
    map_index: int
    state: str | None
    try_number: int
    start: datetime | None
    end: datetime | None
    host: str  # where it ran; empty if it has not

    @property
    def label(self) -> str:
        return self.task_id if self.map_index < 0 else f"{self.task_id}[{self.map_index}]"


@dataclass(frozen=True)
class AssetEvent:
    name: str
    uri: str
    timestamp: datetime
    partition_key: str | None
    source_dag_id: str | None
    source_run_id: str | None
    source_task_id: str | None
    extra: Mapping[str, Any] = field(default_factory=dict)


def _moment(value: str | None) -> datetime | None:
    return datetime.fromisoformat(value) if value else None


def read_run(item: Mapping[str, Any]) -> Run:
    return Run(
        dag_id=item["dag_id"],
        run_id=item["dag_run_id"],
        state=item["state"],
        run_type=item["run_type"],
        partition_key=item["partition_key"],
        conf=item["conf"] or {},
        run_after=datetime.fromisoformat(item["run_after"]),
        queued_at=_moment(item["queued_at"]),
        start=_moment(item["start_date"]),
        end=_moment(item["end_date"]),
    )


def read_task(run: Run, item: Mapping[str, Any]) -> Task:
    return Task(
        run=run,
        task_id=item["task_id"],
        map_index=item["map_index"],
        state=item["state"],
        try_number=item["try_number"],
        start=_moment(item["start_date"]),
        end=_moment(item["end_date"]),
        host=item["hostname"] or "",
    )


def read_event(item: Mapping[str, Any]) -> AssetEvent:
    return AssetEvent(
        name=item["name"],
        uri=item["uri"],
        timestamp=datetime.fromisoformat(item["timestamp"]),
        partition_key=item["partition_key"],
        source_dag_id=item["source_dag_id"],
        source_run_id=item["source_run_id"],
        source_task_id=item["source_task_id"],
        extra=item["extra"] or {},
    )


def read_log(item: str | Mapping[str, Any]) -> Iterator[str]:
    """A structured log message as the lines that a person reads."""
    if isinstance(item, str):
        yield item
        return
    yield f"{item.get('timestamp') or ''} {item.get('level') or ''} {item.get('event', '')}".strip()
    for error in item.get("error_detail") or ():
        for frame in error.get("frames") or ():
            yield f"  {frame.get('filename')}:{frame.get('lineno')} in {frame.get('name')}"
        yield f"  {error.get('exc_type')}: {error.get('exc_value')}"
