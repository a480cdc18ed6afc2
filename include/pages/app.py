"""The web application of the pages. Who may see it is decided by the dependencies it is built with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI, HTTPException, Request
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException as StarletteHTTPException

from include.pages.routes import actions, data, files, models, predictions, versions
from include.pages.site import POLICY, render


def create_app(dependencies: Sequence[Any]) -> FastAPI:
    """The application; every page of it requires the dependencies."""
    app = FastAPI(
        title="Evergreen models", dependencies=list(dependencies), docs_url=None, redoc_url=None, openapi_url=None
    )
    for room in (files, models, actions, predictions, versions, data):
        app.include_router(room.router)
    app.add_exception_handler(StarletteHTTPException, _refuse)
    return app


def _refuse(request: Request, error: Exception) -> Response:
    """A refusal as a page for a person, as JSON for anything else."""
    if not isinstance(error, HTTPException | StarletteHTTPException):
        raise error
    if "text/html" in request.headers.get("Accept", ""):
        answer: Response = render(request, "refused", error.status_code, status=error.status_code, detail=error.detail)
    else:
        answer = JSONResponse({"detail": error.detail}, error.status_code, POLICY)
    answer.headers.update(error.headers or {})
    return answer
