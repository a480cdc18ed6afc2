"""The web application of the Models page. Who may see it is decided by the dependencies it is built with."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fastapi import FastAPI, HTTPException
from fastapi.responses import FileResponse, HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from include.contract.loading import Folder, UseCaseError, discover_use_cases, load_use_case
from include.ingestion import data_docs, versions
from include.monitoring import observation
from include.pages import data, features, history
from include.pages.overview import overview
from include.settings import get_settings

EVIDENCE = re.compile(r"[0-9a-f]{16}\.(?P<kind>json|svg)")
EVIDENCE_TYPES = {"json": "application/json", "svg": "image/svg+xml"}
TEMPLATES = Path(__file__).parent / "templates"


def create_app(dependencies: Sequence[Any]) -> FastAPI:
    """The application; every page of it requires the dependencies."""
    app = FastAPI(
        title="Evergreen models", dependencies=list(dependencies), docs_url=None, redoc_url=None, openapi_url=None
    )
    pages = Environment(loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined)

    @app.get("/", response_class=HTMLResponse)
    def models() -> str:
        discovery = discover_use_cases()
        settings = get_settings()
        return pages.get_template("models.html.j2").render(
            use_cases=[overview(use_case) for use_case in discovery.found.values()],
            errors=[str(error) for error in discovery.errors],
            mlflow=settings.mlflow_uri,
            serving=settings.replicas[0],
        )

    @app.get("/{use_case}/reports/{partition}", response_class=HTMLResponse)
    def report(use_case: str, partition: str) -> FileResponse:
        folder, key = _named(use_case, partition)
        return _file(observation.report_file(folder.config.name, key), f"{use_case} has no report of {key}")

    @app.get("/{use_case}/cards/{version}", response_class=HTMLResponse)
    def card(use_case: str, version: int) -> FileResponse:
        """The model card of a version."""
        name = _named(use_case)[0].config.name
        page = get_settings().cards / name / f"{version}.html"
        return _file(page, f"{name} has no card of version {version}")

    @app.get("/{use_case}/features", response_class=HTMLResponse)
    def catalogued(use_case: str) -> str:
        return pages.get_template("features.html.j2").render(page=features.page(_named(use_case)[0]))

    @app.get("/{use_case}/history", response_class=HTMLResponse)
    def decided(use_case: str, on: str = "", until: int | None = None) -> HTMLResponse:
        page = history.page(_named(use_case)[0], on, until)
        return HTMLResponse(pages.get_template("history.html.j2").render(page=page), 400 if page.error else 200)

    @app.get("/{use_case}/evidence/{name}")
    def evidence(use_case: str, name: str) -> FileResponse:
        """What a decision was made on, as JSON, and its picture."""
        folder = _named(use_case)[0].config.name
        match = EVIDENCE.fullmatch(name)
        if match is None:
            raise HTTPException(404, f"{name!r} is no evidence")
        file = get_settings().evidence / folder / name
        return _file(file, f"{use_case} has no evidence {name}", EVIDENCE_TYPES[match["kind"]])

    @app.get("/{use_case}/data", response_class=HTMLResponse)
    def days(use_case: str) -> str:
        config = (folder := _named(use_case)[0]).config
        return pages.get_template("days.html.j2").render(
            name=config.name, title=config.title, days=data.days(folder), revision=versions.head_or_none()
        )

    @app.get("/{use_case}/data/{partition}", response_class=HTMLResponse)
    def day(use_case: str, partition: str) -> str:
        folder, key = _named(use_case, partition)
        shown = data.detail(folder, key)
        if shown is None:
            raise HTTPException(404, f"{use_case} has ingested no partition {key}")
        return pages.get_template("day.html.j2").render(name=folder.config.name, title=folder.config.title, shown=shown)

    @app.get("/{use_case}/data/{partition}/docs/{table}", response_class=HTMLResponse)
    def docs(use_case: str, partition: str, table: str) -> FileResponse:
        folder, key = _named(use_case, partition)
        tables = shown.docs if (shown := data.detail(folder, key)) else ()
        if table not in tables:
            raise HTTPException(404, f"{use_case} has no Data Docs of {table!r} in {key}")
        return _file(data_docs.page(folder.config.name, key, table), f"{use_case} has no Data Docs of {key}")

    return app


def _named(use_case: str, partition: str = "") -> tuple[Folder, str]:
    """The use case and the partition's key of a request; 404 where there are none of these names."""
    try:
        folder = load_use_case(use_case)
        return folder, folder.config.calendar.partition(partition).key if partition else ""
    except (UseCaseError, ValueError) as error:
        raise HTTPException(404, str(error)) from error


def _file(page: Path, missing: str, media_type: str = "text/html") -> FileResponse:
    """A page that was written by a stage. It may quote data: no script of it is run."""
    if not page.is_file():
        raise HTTPException(404, missing)
    policy = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; img-src data:"}
    return FileResponse(page, media_type=media_type, headers=policy)
