"""Airflow's public REST API as its user works with it: trigger, wait, look at what came of it."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import quote

import httpx

from include.local.airflow_records import (
    AssetEvent,
    Dag,
    ImportFailure,
    Run,
    Task,
    read_event,
    read_log,
    read_run,
    read_task,
)
from include.local.credentials import login
from include.settings import Settings

PAGE = 100  # the largest that Airflow gives
TRIES = 3  # to start a run
T = TypeVar("T")


class AirflowError(Exception):
    """Airflow refused, or did not do it in time."""


class NoAnswerError(AirflowError):
    """Airflow did not answer: nobody knows whether it did it."""


class RunFailedError(AirflowError):
    """A run that failed; the message names its failed tasks and shows the end of their logs."""


class AirflowClient:
    """One user's session with one Airflow."""

    def __init__(self, url: str, user: str, password: str, *, timeout: float = 30.0, poll: float = 0.3) -> None:
        self.url, self.poll = url.rstrip("/"), poll
        self._login = {"username": user, "password": password}
        # The server is on this machine or named on purpose: a proxy from the environment is not for it.
        self._http = httpx.Client(base_url=self.url, timeout=timeout, trust_env=False)

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """The client of the system's own user."""
        user, password = login(settings)
        return cls(settings.airflow_url, user, password)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def dags(self) -> list[Dag]:
        return [
            Dag(dag["dag_id"], dag["fileloc"], dag["is_paused"], tuple(tag["name"] for tag in dag["tags"]))
            for dag in self._pages("/dags", "dags", {})
        ]

    def import_errors(self) -> list[ImportFailure]:
        return [
            ImportFailure(error["filename"], error["stack_trace"])
            for error in self._pages("/importErrors", "import_errors", {})
        ]

    def unpause(self, dag_id: str, *, paused: bool = False) -> None:
        """Lets a DAG's runs start; with ``paused`` it keeps them."""
        self._call("PATCH", f"/dags/{quote(dag_id)}", json={"is_paused": paused})

    def trigger(
        self,
        dag_id: str,
        conf: Mapping[str, Any] | None = None,
        *,
        partition_key: str | None = None,
        run_id: str | None = None,
        note: str | None = None,
    ) -> Run:
        """Starts a run by hand, ``conf`` being the values of its parameters.

        A server that is very busy, or ends, may make a run and not confirm it, or forget the request: such a run is
        looked for by its id, and asked for again where it is not there.
        """
        wanted = run_id or f"manual__{datetime.now(UTC).isoformat()}_{uuid.uuid4().hex[:8]}"
        body = {"dag_run_id": wanted, "logical_date": None, "conf": dict(conf or {}), "partition_key": partition_key}
        body |= {"note": note} if note else {}
        tries = 0
        while True:
            tries += 1
            try:
                return read_run(self._call("POST", f"/dags/{quote(dag_id)}/dagRuns", json=body))
            except AirflowError as error:
                lost = isinstance(error, NoAnswerError)
                looked = self.runs(dag_id) if lost or tries > 1 else []  # a request that was lost may be done later
                if found := [run for run in looked if run.run_id == wanted]:
                    return found[0]
                if not lost or tries == TRIES:
                    raise

    def run(self, dag_id: str, run_id: str) -> Run:
        return read_run(self._call("GET", f"/dags/{quote(dag_id)}/dagRuns/{quote(run_id, safe='')}"))

    def runs(self, dag_id: str, *, since: datetime | None = None, partition_key: str | None = None) -> list[Run]:
        """The runs of a DAG, newest first: those queued at an instant or later, and those of a partition."""
        query = {"order_by": "-id"} | ({"partition_key_prefix_pattern": partition_key} if partition_key else {})
        found = []
        for item in self._pages(f"/dags/{quote(dag_id)}/dagRuns", "dag_runs", query):
            run = read_run(item)
            if since is not None and (run.queued_at or run.run_after) < since:
                break
            if partition_key is None or run.partition_key == partition_key:
                found.append(run)
        return found

    def upstream_events(self, run: Run) -> list[AssetEvent]:
        """The asset events that made this run."""
        path = f"/dags/{quote(run.dag_id)}/dagRuns/{quote(run.run_id, safe='')}/upstreamAssetEvents"
        return [read_event(item) for item in self._call("GET", path)["asset_events"]]

    def find_run(
        self,
        dag_id: str,
        *,
        since: datetime | None = None,
        partition_key: str | None = None,
        upstream: Run | None = None,
        timeout: float = 60.0,
    ) -> Run:
        """Waits until there is such a run and returns the newest: by partition, by the run whose assets made it."""
        since = since or (upstream.run_after if upstream else None)

        def look() -> Run | None:
            for run in self.runs(dag_id, since=since, partition_key=partition_key):
                if upstream is None or any(
                    (event.source_dag_id, event.source_run_id) == (upstream.dag_id, upstream.run_id)
                    for event in self.upstream_events(run)
                ):
                    return run
            return None

        wanted = {"partition": partition_key, "since": since, "made by": upstream.run_id if upstream else None}
        named = ", ".join(f"{name} {value}" for name, value in wanted.items() if value)
        return self._until(look, timeout, f"{dag_id} got no run ({named}) within {timeout:.0f} s")

    def wait(self, run: Run, timeout: float = 600.0) -> Run:
        """Returns the run when it has succeeded; ``RunFailedError`` tells which tasks failed and why."""

        def look() -> Run | None:
            now = self.run(run.dag_id, run.run_id)
            return now if now.finished else None

        done = self._until(look, timeout, f"{run.dag_id} {run.run_id} has not finished within {timeout:.0f} s")
        if done.state == "failed":
            raise RunFailedError(self._why(done))
        return done

    def tasks(self, run: Run) -> list[Task]:
        """The run's task instances in the order in which they started."""
        path = f"/dags/{quote(run.dag_id)}/dagRuns/{quote(run.run_id, safe='')}/taskInstances"
        found = [read_task(run, item) for item in self._pages(path, "task_instances", {})]
        return sorted(found, key=lambda task: (task.start is None, task.start or run.run_after))

    def task_ids(self, dag_id: str) -> list[str]:
        """The tasks of a DAG as it was parsed last."""
        return [str(task["task_id"]) for task in self._call("GET", f"/dags/{quote(dag_id)}/tasks")["tasks"]]

    def question(self, run: Run, task_id: str) -> dict[str, Any]:
        """What a task asks a person: subject, body, options, deadline."""
        return self._call("GET", self._asked(run, task_id))

    def answer(self, run: Run, task_id: str, option: str, form: Mapping[str, Any]) -> None:
        """Answers for the user of this session; ``form`` are the values of the task's parameters."""
        self._call("PATCH", self._asked(run, task_id), json={"chosen_options": [option], "params_input": dict(form)})

    def log(self, task: Task) -> list[str]:
        """The lines of the task's last try."""
        path = f"/dags/{quote(task.run.dag_id)}/dagRuns/{quote(task.run.run_id, safe='')}/taskInstances"
        query = {"map_index": task.map_index, "full_content": True}
        content = self._call("GET", f"{path}/{quote(task.task_id)}/logs/{task.try_number}", params=query)["content"]
        return [line for item in content for line in read_log(item)]

    def asset_events(self, *, since: datetime | None = None, source: Run | None = None) -> list[AssetEvent]:
        """Asset events in the order of time: those from an instant on, those of a run."""
        query: dict[str, Any] = {"order_by": "timestamp"}
        query |= {"timestamp_gte": since.isoformat()} if since else {}
        query |= {"source_dag_id": source.dag_id, "source_run_id": source.run_id} if source else {}
        return [read_event(item) for item in self._pages("/assets/events", "asset_events", query)]

    def _asked(self, run: Run, task_id: str) -> str:
        where = f"/dags/{quote(run.dag_id)}/dagRuns/{quote(run.run_id, safe='')}/taskInstances/{quote(task_id)}"
        return f"{where}/-1/hitlDetails"

    def _why(self, run: Run) -> str:
        parts = [f"{run.dag_id} {run.run_id} failed"]
        for task in self.tasks(run):
            if task.state == "failed":
                parts.append(
                    f"task {task.label}, try {task.try_number}; the end of its log:\n" + "\n".join(self.log(task)[-20:])
                )
        return "\n".join(parts)

    def _until(self, look: Callable[[], T | None], timeout: float, late: str) -> T:
        deadline = time.monotonic() + timeout
        while (found := look()) is None:
            if time.monotonic() > deadline:
                raise AirflowError(late)
            time.sleep(self.poll)
        return found

    def _pages(self, path: str, key: str, query: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        offset = 0
        while True:
            answer = self._call("GET", path, params={**query, "limit": PAGE, "offset": offset})
            yield from answer[key]
            offset += PAGE
            if len(answer[key]) < PAGE:
                return

    def _call(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        """One call; what only reads is tried again when the server is busy or its token has run out."""
        problem = ""
        for attempt in range(5):
            try:
                if "Authorization" not in self._http.headers:
                    self._authorize()
                response = self._http.request(method, f"/api/v2{path}", **options)
            except httpx.TransportError as error:
                problem = f"{type(error).__name__}: {error}"
                if method != "GET":
                    raise NoAnswerError(f"{method} {self.url}/api/v2{path}: {problem}") from error
            else:
                if response.is_success:
                    answer: dict[str, Any] = response.json()
                    return answer
                problem = f"{response.status_code}: {response.text[:500]}"
                if response.status_code == httpx.codes.UNAUTHORIZED:
                    del self._http.headers["Authorization"]
                elif method != "GET" or response.status_code < httpx.codes.INTERNAL_SERVER_ERROR:
                    break
            time.sleep(self.poll * attempt)
        raise AirflowError(f"{method} {self.url}/api/v2{path}: {problem}")

    def _authorize(self) -> None:
        response = self._http.post("/auth/token", json=self._login)
        if not response.is_success:
            raise AirflowError(f"{self.url} refused the login of {self._login['username']}: {response.status_code}")
        self._http.headers["Authorization"] = f"Bearer {response.json()['access_token']}"
