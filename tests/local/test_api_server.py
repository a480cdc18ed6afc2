"""A user's action that meets the write of another request waits for it, and does not hold it up."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
from airflow.api_fastapi.common.db.common import SessionDep, _get_session
from airflow.api_fastapi.core_api.security import get_user
from airflow.api_fastapi.logging import decorators
from airflow.models import Log
from fastapi import Depends, FastAPI
from sqlalchemy import create_engine, insert, select
from sqlalchemy.orm import Session

from include.local.api_server import action_logging
from include.settings import REPOSITORY

PATIENCE = 2.0  # seconds that SQLite waits for another writer


class User:
    def get_name(self) -> str:
        return "ada"


def application(database: Path, dependency: Callable[..., Any]) -> FastAPI:
    """A request that writes and is committed when its route has returned, and an action of a user that comes before."""
    engine = create_engine(f"sqlite:///{database}", connect_args={"timeout": PATIENCE})
    Log.__table__.create(engine)
    app, written = FastAPI(), threading.Event()

    def session() -> Iterator[Session]:
        with Session(engine) as opened:
            yield opened
            opened.commit()

    @app.post("/task")
    def task(opened: SessionDep) -> None:
        opened.execute(insert(Log).values(event="task"))  # from here on no other can write
        written.set()
        time.sleep(PATIENCE / 4)  # the action arrives

    async def after_the_write() -> None:
        await asyncio.to_thread(written.wait)

    @app.post("/action", dependencies=[Depends(after_the_write), Depends(dependency("action"))])
    def action() -> None: ...

    @app.get("/noted")
    def noted(opened: SessionDep) -> list[str]:
        return sorted(f"{each.event} {each.owner}" for each in opened.scalars(select(Log)))

    app.dependency_overrides = {_get_session: session, get_user: User}
    return app


async def met(app: FastAPI) -> tuple[float, list[int], list[str]]:
    """The seconds that both requests took, their statuses, and what the database has then."""
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://airflow") as client:
        begun = time.monotonic()
        answers = await asyncio.gather(client.post("/task"), client.post("/action?method=x"))
        taken = time.monotonic() - begun
        return taken, [each.status_code for each in answers], (await client.get("/noted")).json()


def test_both_are_done(tmp_path: Path) -> None:
    taken, statuses, noted = asyncio.run(met(application(tmp_path / "ours.db", action_logging)))
    assert (statuses, noted) == ([200, 200], ["action ada", "task None"])
    assert taken < PATIENCE


def test_airflow_s_own_way_still_needs_this(tmp_path: Path) -> None:
    """Once this fails, ``include.local.api_server`` has had its time."""
    taken, statuses, _ = asyncio.run(met(application(tmp_path / "theirs.db", decorators.action_logging)))
    assert statuses[1] == 500
    assert taken >= PATIENCE


ROUTES = """
import airflow.__main__ as airflow

from include.local import api_server


def noted():
    from airflow.api_fastapi.core_api.routes.public.dag_run import dag_run_router

    each = [depends.dependency for route in dag_run_router.routes for depends in route.dependencies]
    print({one.__module__ for one in each if one.__name__ in ("log_action", "logged")})


airflow.main = noted
api_server.main()
"""


def test_the_server_s_routes_have_it() -> None:
    done = subprocess.run([sys.executable, "-c", ROUTES], check=True, capture_output=True, text=True, cwd=REPOSITORY)
    assert done.stdout.splitlines()[-1] == "{'include.local.api_server'}"
