"""Airflow's public API as the user of a request may use it: asked within the same process, with the user's own token.

No token of this project is involved: whom Airflow does not let read a run, or start one, gets Airflow's refusal.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast
from urllib.parse import quote

import httpx
from fastapi import HTTPException, Request

COOKIE = "_token"  # in which Airflow's UI keeps the user's token
MOUNTED_IN = "evergreen.mounted_in"  # of an ASGI scope: the application that the pages are mounted in
PAGE = 100
TIMEOUT = 20.0  # seconds
KNOWN_LATER = "Airflow checks it by the DAG as it was read last: if a version is new, send the form again in a minute"


class AirflowRefusedError(Exception):
    """What Airflow's API answered instead of doing it; ``status`` is that of HTTP."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True)
class Run:
    dag_id: str
    run_id: str
    state: str
    about: str  # the partition it treats, where it has one
    at: datetime

    @property
    def stage(self) -> str:
        return self.dag_id.partition(".")[2]


@dataclass(frozen=True)
class Scheduled:
    """The next run of a DAG that has a schedule of its own."""

    dag_id: str
    at: datetime
    paused: bool

    @property
    def stage(self) -> str:
        return self.dag_id.partition(".")[2]


@dataclass(frozen=True)
class Question:
    """What a task waits for a person to answer."""

    dag_id: str
    run_id: str
    task_id: str
    subject: str
    options: tuple[str, ...]
    asked: datetime | None


class Airflow:
    """The API of the server that the pages are a part of."""

    def __init__(self, application: Any, token: str) -> None:
        self._http = httpx.AsyncClient(
            transport=httpx.ASGITransport(application),
            base_url="http://airflow",
            headers={"Authorization": f"Bearer {token}"},
            timeout=TIMEOUT,
        )

    @classmethod
    def of(cls, request: Request) -> Airflow:
        """As the user of a request; 401 without a token, 503 where the pages are not mounted in Airflow."""
        application = request.scope.get(MOUNTED_IN)
        if application is None:
            raise HTTPException(503, "these pages are not a part of an Airflow server: there is nobody to ask")
        scheme, _, given = request.headers.get("Authorization", "").partition(" ")
        token = given if scheme.lower() == "bearer" else request.cookies.get(COOKIE, "")
        if not token:
            raise HTTPException(401, "Not authenticated")
        return cls(application, token)

    async def __aenter__(self) -> Airflow:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    async def latest(self, dag_pattern: str = "~", count: int = PAGE) -> list[Run]:
        """The newest runs that the user may see, of all DAGs or of one use case's."""
        query: dict[str, Any] = {"order_by": "-run_after", "limit": count}
        if dag_pattern != "~":
            query["dag_id_prefix_pattern"] = dag_pattern
        found = await self._call("GET", "/dags/~/dagRuns", params=query)
        return [_run(each) for each in found["dag_runs"]]

    async def run(self, dag_id: str, run_id: str) -> Run:
        return _run(await self._call("GET", f"/dags/{quote(dag_id)}/dagRuns/{quote(run_id, safe='')}"))

    async def scheduled(self, tag: str) -> list[Scheduled]:
        """The next runs of the DAGs with a tag, the soonest first; assets start the others."""
        found: list[dict[str, Any]] = []
        while True:
            query = {"tags": tag, "limit": PAGE, "offset": len(found), "order_by": "dag_id"}
            page = (await self._call("GET", "/dags", params=query))["dags"]
            found += page
            if len(page) < PAGE:
                break
        planned = [
            Scheduled(each["dag_id"], datetime.fromisoformat(each["next_dagrun_run_after"]), each["is_paused"])
            for each in found
            if each["next_dagrun_run_after"]
        ]
        return sorted(planned, key=lambda each: each.at)

    async def questions(self) -> list[Question]:
        """What waits for an answer, the oldest first."""
        query: dict[str, Any] = {"response_received": False, "limit": PAGE}
        found = await self._call("GET", "/dags/~/dagRuns/~/hitlDetails", params=query)
        waiting = [each for each in found["hitl_details"] if each["task_instance"]["state"] in WAITING]
        return [_question(each) for each in reversed(waiting)]

    async def answered(self, dag_id: str, run_id: str) -> tuple[str, ...]:
        """What was chosen in a run that had asked; empty while nobody has answered."""
        where = f"/dags/{quote(dag_id)}/dagRuns/{quote(run_id, safe='')}/hitlDetails"
        found = await self._call("GET", where, params={"response_received": True})
        return tuple(option for each in found["hitl_details"] for option in each["chosen_options"])

    async def trigger(self, dag_id: str, run_id: str, conf: Mapping[str, Any], note: str) -> None:
        """Start a run of this id; one that is there already stays the only one.

        It is looked for first, for the sake of a double click: Airflow logs a request to start with its event loop
        held, and where a task of the first run is just being started, on SQLite both wait for a minute and one fails.
        """
        if any(each.run_id == run_id for each in await self.latest(dag_id)):
            return
        body = {"dag_run_id": run_id, "logical_date": None, "conf": dict(conf), "note": note}
        try:
            await self._call("POST", f"/dags/{quote(dag_id)}/dagRuns", json=body)
        except AirflowRefusedError as error:
            if error.status == httpx.codes.BAD_REQUEST:
                raise AirflowRefusedError(error.status, f"{error}. {KNOWN_LATER}") from error
            if error.status != httpx.codes.CONFLICT:
                raise

    async def answer(self, asked: Question, option: str, form: Mapping[str, str]) -> None:
        """Answer a question as the user; the same answer once more stays the only one."""
        where = f"/dags/{quote(asked.dag_id)}/dagRuns/{quote(asked.run_id, safe='')}/taskInstances"
        body = {"chosen_options": [option], "params_input": dict(form)}
        try:
            await self._call("PATCH", f"{where}/{quote(asked.task_id)}/-1/hitlDetails", json=body)
        except AirflowRefusedError as error:
            known = await self.answered(asked.dag_id, asked.run_id) if error.status == httpx.codes.CONFLICT else ()
            if option not in known:
                raise

    async def overview(self, tag: str) -> tuple[list[Run], list[Scheduled], list[Question]]:
        """The newest runs, the next ones and the open questions, asked at the same time."""
        return await asyncio.gather(self.latest(), self.scheduled(tag), self.questions())

    async def _call(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        try:
            answer = await self._http.request(method, f"/api/v2{path}", **options)
        except httpx.HTTPError as error:
            raise AirflowRefusedError(502, f"{method} {path}: {type(error).__name__}: {error}") from error
        if not answer.is_success:
            raise AirflowRefusedError(answer.status_code, _told(answer))
        return cast(dict[str, Any], answer.json())


WAITING = ("awaiting_input", "deferred")


def _run(item: Mapping[str, Any]) -> Run:
    conf = item["conf"] or {}
    span = "/".join(str(conf[end]) for end in ("start", "end") if conf.get(end))
    return Run(
        dag_id=item["dag_id"],
        run_id=item["dag_run_id"],
        state=item["state"],
        about=item["partition_key"] or span,
        at=datetime.fromisoformat(item["end_date"] or item["start_date"] or item["run_after"]),
    )


def _question(item: Mapping[str, Any]) -> Question:
    task = item["task_instance"]
    asked = item.get("created_at")
    return Question(
        dag_id=task["dag_id"],
        run_id=task["dag_run_id"],
        task_id=task["task_id"],
        subject=item["subject"],
        options=tuple(item["options"]),
        asked=datetime.fromisoformat(asked) if asked else None,
    )


def _told(answer: httpx.Response) -> str:
    """The reason that Airflow gave, in one line."""
    try:
        detail = answer.json()["detail"]
    except (ValueError, KeyError, TypeError):
        detail = answer.text[:300]
    if isinstance(detail, list):
        detail = "; ".join(str(each.get("msg", each)) for each in detail)
    elif isinstance(detail, dict):
        detail = detail.get("reason") or detail.get("message") or detail
    return f"Airflow answered {answer.status_code}: {detail}"
