"""The pages as a part of a server: who asks is told by a token, as in Airflow."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.testclient import TestClient

from include.contract.loading import Folder
from include.pages import MOUNT
from include.pages.airflow import COOKIE, MOUNTED_IN
from include.pages.app import create_app

ROLES = {"ada-token": "editor", "vera-token": "viewer"}


@dataclass
class Server:
    """What Airflow's API would do: it starts runs and takes answers for an editor, and shows both to a viewer."""

    runs: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    questions: list[dict[str, Any]] = field(default_factory=list)
    answers: list[dict[str, Any]] = field(default_factory=list)
    dags: list[dict[str, Any]] = field(default_factory=list)
    refusal: tuple[int, Any] | None = None

    def application(self) -> FastAPI:
        app = FastAPI()
        role = Depends(_role)

        @app.post("/api/v2/dags/{dag_id}/dagRuns")
        async def trigger(dag_id: str, request: Request, who: str = role) -> dict[str, Any]:
            if who != "editor":
                raise HTTPException(403, "Forbidden")
            if self.refusal is not None:
                raise HTTPException(*self.refusal)
            body = await request.json()
            if (dag_id, body["dag_run_id"]) in self.runs:
                raise HTTPException(409, "there already")
            self.runs[dag_id, body["dag_run_id"]] = body
            return {}

        @app.get("/api/v2/dags/~/dagRuns")
        def latest(who: str = role, dag_id_prefix_pattern: str = "") -> dict[str, Any]:
            found = [run(*key, each) for key, each in self.runs.items() if key[0].startswith(dag_id_prefix_pattern)]
            return {"dag_runs": found[::-1]}

        @app.get("/api/v2/dags/{dag_id}/dagRuns/{run_id}")
        def one(dag_id: str, run_id: str, who: str = role) -> dict[str, Any]:
            return run(dag_id, run_id, self.runs[dag_id, run_id])

        @app.get("/api/v2/dags")
        def dags(tags: str, who: str = role, offset: int = 0) -> dict[str, Any]:
            return {"dags": [] if offset else self.dags}

        @app.get("/api/v2/dags/~/dagRuns/~/hitlDetails")
        def questions(who: str = role) -> dict[str, Any]:
            return {"hitl_details": self.questions}

        @app.patch("/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task}/-1/hitlDetails")
        async def answer(dag_id: str, run_id: str, task: str, request: Request, who: str = role) -> dict[str, Any]:
            if who != "editor":
                raise HTTPException(403, "Forbidden")
            if any(each["run_id"] == run_id for each in self.answers):
                raise HTTPException(409, "answered already")
            self.answers.append({"run_id": run_id, "task": task, **await request.json()})
            return {}

        @app.get("/api/v2/dags/{dag_id}/dagRuns/{run_id}/hitlDetails")
        def answered(run_id: str, who: str = role) -> dict[str, Any]:
            return {"hitl_details": [each for each in self.answers if each["run_id"] == run_id]}

        app.mount(MOUNT, _Mounted())
        return app


class _Mounted:
    """As the plugin does it."""

    def __init__(self) -> None:
        self.pages = create_app([Depends(_role), Depends(_permitted)])

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        scope[MOUNTED_IN] = scope["app"]
        await self.pages(scope, receive, send)


def _role(request: Request) -> str:
    given = request.headers.get("Authorization", "").removeprefix("Bearer ") or request.cookies.get(COOKIE, "")
    if given not in ROLES:
        raise HTTPException(401, "Not authenticated")
    return ROLES[given]


def _permitted(request: Request, who: str = Depends(_role)) -> None:
    request.state.may = lambda method, _: method == "GET" or who == "editor"


def run(dag_id: str, run_id: str, body: dict[str, Any]) -> dict[str, Any]:
    return {
        "dag_id": dag_id, "dag_run_id": run_id, "state": "running", "conf": body["conf"], "partition_key": None,
        "run_after": "2026-11-21T10:00:00Z", "start_date": None, "end_date": None,
    }  # fmt: skip


def question(run_id: str, subject: str = "Shall version 3 go into production?") -> dict[str, Any]:
    task = {
        "dag_id": "station_temperature.promote",
        "dag_run_id": run_id,
        "task_id": "approve",
        "state": "awaiting_input",
    }
    return {"task_instance": task, "subject": subject, "options": ["Approve", "Reject"], "created_at": None}


@pytest.fixture
def server(stations: Folder) -> Server:
    return Server()


@pytest.fixture
def editor(server: Server) -> Iterator[TestClient]:
    """A browser in which ada is signed in, who may start runs."""
    headers = {"Sec-Fetch-Site": "same-origin", "Accept": "text/html"}
    with TestClient(server.application(), headers=headers, cookies={COOKIE: "ada-token"}) as client:
        yield client


@pytest.fixture
def viewer(server: Server) -> Iterator[TestClient]:
    """A browser in which vera is signed in, who may look."""
    headers = {"Sec-Fetch-Site": "same-origin", "Accept": "text/html"}
    with TestClient(server.application(), headers=headers, cookies={COOKIE: "vera-token"}) as client:
        yield client
