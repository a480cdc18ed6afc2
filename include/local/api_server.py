"""Airflow's API server on SQLite: ``python -m include.local.api_server``, with the options of ``airflow api-server``.

Airflow keeps a note of what a user does in its database, and commits it on the event loop. A request that has written
something needs the event loop, too, to be committed. SQLite has one writer at a time: where the two meet, each waits
for the other, and the server answers neither pages nor tasks until the database gives up. Here a thread commits the
note.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from airflow.api_fastapi.common.db.common import SessionDep
from airflow.api_fastapi.core_api.security import GetUserDep
from airflow.api_fastapi.logging import decorators
from fastapi import Request
from fastapi.concurrency import run_in_threadpool

_action_logging: Callable[..., Any] = decorators.action_logging


def action_logging(event: str | None = None) -> Callable[..., Any]:
    """Airflow's dependency of that name, which leaves the event loop free."""
    log_action = _action_logging(event)

    async def logged(request: Request, session: SessionDep, user: GetUserDep) -> None:
        await log_action(request, SimpleNamespace(add=session.add, commit=lambda: None), user)
        await run_in_threadpool(session.commit)

    return logged


def main() -> None:
    decorators.action_logging = action_logging  # before the routes are imported, which name it once and for all
    from airflow.__main__ import main as airflow

    sys.argv[:1] = ["airflow", "api-server"]
    airflow()


if __name__ == "__main__":
    main()
