"""What the orchestration itself costs: the time in which runs wait for Airflow and no task works."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from include.local.airflow_client import AirflowClient

Span = tuple[datetime, datetime]


def covered(spans: Iterable[Span]) -> float:
    """The seconds that are covered by at least one of the spans."""
    seconds, reached = 0.0, None
    for start, end in sorted(spans):
        begin = start if reached is None or start > reached else reached
        if end > begin:
            seconds += (end - begin).total_seconds()
            reached = end
    return seconds


def waiting(airflow: AirflowClient, use_case: str, since: datetime) -> tuple[float, float]:
    """Seconds in which a run of the use case was under way, and those of them in which no task worked."""
    runs: list[Span] = []
    tasks: list[Span] = []
    for dag in airflow.dags():
        if dag.dag_id.startswith(f"{use_case}."):
            for run in airflow.runs(dag.dag_id, since=since):
                if run.end is not None:
                    runs.append((run.queued_at or run.run_after, run.end))
                    tasks += [(task.start, task.end) for task in airflow.tasks(run) if task.start and task.end]
    under_way = covered(runs)
    return under_way, under_way - covered(tasks)
