"""What all pages share: their templates, their addresses, what a request may see and do, and how an answer is sent."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, cast

from fastapi import HTTPException, Request
from fastapi.responses import FileResponse, HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from include.contract.loading import Folder, UseCaseError
from include.pages import MOUNT, known

HERE = Path(__file__).parent
ANOTHER_RUN = re.compile(r"^(\S+\.\S+) \S+__\S+$")
DASH = "\N{EN DASH}"
STATIC = {"pages.css": "text/css", "pages.js": "text/javascript"}
POLICY = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'self'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "private, no-cache",
}
# Written by a stage, and it may quote data: no script of it is run.
QUOTING = POLICY | {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self'"
}


def render(request: Request, template: str, code: int = 200, **values: Any) -> HTMLResponse:
    """A page of a template. Each of them knows its own address, Airflow's, and what the user may do."""
    here = base(request)
    content = (
        _templates()
        .get_template(f"{template}.html.j2")
        .render(here=here, airflow=here.removesuffix(MOUNT), may=may(request), static=stamp(), **values)
    )
    return HTMLResponse(content, code, POLICY)


def base(request: Request) -> str:
    """The path at which the pages are mounted, without a slash at its end."""
    return str(request.scope.get("root_path", "")).rstrip("/")


def may(request: Request) -> Callable[[str, str], bool]:
    """Whether the user may ``GET`` or start (``POST``) a use case's stage: ``may("POST", "flight_delay.train")``.

    Decided by what the pages are mounted in, which leaves its answer in the request's state. Without that, nothing may
    be started here; Airflow is asked again when something is.
    """
    known = getattr(request.state, "may", None)
    return cast(Callable[[str, str], bool], known) if known else lambda method, _: method == "GET"


def named(request: Request, use_case: str, partition: str = "") -> tuple[Folder, str]:
    """The use case and the partition's key of a request; 404 where there is none of this name for this user."""
    try:
        folder = known.use_case(use_case)
        key = folder.config.calendar.partition(partition).key if partition else ""
    except (UseCaseError, ValueError) as error:
        raise HTTPException(404, str(error)) from error
    if not may(request)("GET", f"{folder.config.name}.ingest"):
        raise HTTPException(404, f"{use_case}: there is no such use case")
    return folder, key


def stored(page: Path, missing: str, media_type: str = "text/html") -> FileResponse:
    """A file that was written by a stage."""
    if not page.is_file():
        raise HTTPException(404, missing)
    return FileResponse(page, media_type=media_type, headers=QUOTING)


@lru_cache(maxsize=1)
def stamp() -> str:
    """Changes with the style or the script, so that browsers may keep both for ever."""
    digest = hashlib.sha256(b"".join((HERE / "static" / name).read_bytes() for name in STATIC))
    return digest.hexdigest()[:12]


@lru_cache(maxsize=1)
def _templates() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"number": number, "moment": moment, "ago": ago, "count": count, "who": who}
    return environment


def number(value: float | None, digits: int = 4) -> str:
    """So many significant digits; a dash for None."""
    return DASH if value is None else f"{value:.{digits}g}"


def count(value: int | None) -> str:
    return DASH if value is None else f"{value:,}"


def moment(value: datetime | str | None) -> str:
    """To the minute, in UTC; a dash for None."""
    if not value:
        return DASH
    instant = datetime.fromisoformat(value) if isinstance(value, str) else value
    return f"{instant.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def ago(value: datetime | str | None) -> str:
    """How far an instant is from now, in its largest unit: ``3 days ago``, ``in 5 hours``; a dash for None."""
    if not value:
        return DASH
    instant = datetime.fromisoformat(value) if isinstance(value, str) else value
    seconds = (datetime.now(UTC) - instant).total_seconds()
    for name, length in (("day", 86400), ("hour", 3600), ("minute", 60)):
        whole = int(abs(seconds) // length)
        if whole:
            text = f"{whole} {name}{'' if whole == 1 else 's'}"
            return f"{text} ago" if seconds > 0 else f"in {text}"
    return "just now"


def who(actor: str) -> str:
    """Who decided, in short: of another DAG's run, the DAG."""
    return ANOTHER_RUN.sub(r"\1", actor)
