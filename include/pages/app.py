"""The web application of the Models page. Who may see it is decided by the dependencies it is built with."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fastapi import FastAPI, HTTPException
from fastapi.responses import FileResponse, HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from include.contract.loading import UseCaseError, discover_use_cases, load_use_case
from include.monitoring import observation
from include.pages.overview import overview
from include.settings import get_settings

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
        try:
            calendar = load_use_case(use_case).config.calendar
            key = calendar.partition(partition).key
        except (UseCaseError, ValueError) as error:
            raise HTTPException(404, str(error)) from error
        page = observation.report_file(use_case, key)
        if not page.is_file():
            raise HTTPException(404, f"{use_case} has no report of {key}")
        return FileResponse(page, media_type="text/html")

    return app
