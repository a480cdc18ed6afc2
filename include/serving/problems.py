"""Errors as RFC 9457 problem documents."""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

import orjson
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException

MEDIA_TYPE = "application/problem+json"
SHOWN = 20  # a thousand wrong rows need not be listed one by one


class Problem(Exception):  # noqa: N818 - the RFC's word
    """An answer that is an error. ``errors`` are pairs of the field and what is wrong with it."""

    def __init__(
        self, status: int, title: str, detail: str, errors: Sequence[tuple[str, str]] = (), *, retry_after: int = 1
    ) -> None:
        """``retry_after``: seconds that a client is asked to wait, where the status is 503."""
        super().__init__(detail)
        self.status = status
        self.title = title
        self.detail = detail
        self.errors = tuple(errors)
        self.retry_after = retry_after

    @classmethod
    def of_fields(cls, title: str, errors: Sequence[tuple[str, str]]) -> Problem:
        """A request whose content is wrong; the detail tells the first errors."""
        told = "; ".join(f"{field}: {message}" for field, message in errors[:3])
        more = f"; and {len(errors) - 3} more" if len(errors) > 3 else ""
        return cls(422, title, told + more, errors[:SHOWN])

    @property
    def headers(self) -> dict[str, str]:
        return {"Retry-After": str(self.retry_after)} if self.status == HTTPStatus.SERVICE_UNAVAILABLE else {}

    def document(self, instance: str) -> bytes:
        """The problem as JSON; ``instance`` is the path that was asked for."""
        content: dict[str, Any] = {
            "type": "about:blank",
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
            "instance": instance,
        }
        if self.errors:
            content["errors"] = [{"field": field, "detail": message} for field, message in self.errors]
        return orjson.dumps(content)


def respond(problem: Problem, request: Request) -> Response:
    return Response(problem.document(request.url.path), problem.status, problem.headers, MEDIA_TYPE)


def install(app: FastAPI) -> None:
    """Make every error of the app a problem document."""

    @app.exception_handler(Problem)
    def known(request: Request, problem: Problem) -> Response:
        return respond(problem, request)

    @app.exception_handler(RequestValidationError)
    def invalid(request: Request, error: RequestValidationError) -> Response:
        errors = [(field_name(each["loc"]), str(each["msg"]).removeprefix("Value error, ")) for each in error.errors()]
        return respond(Problem.of_fields("Invalid request", errors), request)

    @app.exception_handler(HTTPException)
    def http(request: Request, error: HTTPException) -> Response:
        title = HTTPStatus(error.status_code).phrase
        problem = Problem(error.status_code, title, f"{request.method} {request.url.path}: {error.detail}")
        response = respond(problem, request)
        response.headers.update(error.headers or {})  # 405 names the methods that are allowed
        return response

    @app.exception_handler(Exception)
    def unexpected(request: Request, error: Exception) -> Response:
        return respond(Problem(500, "Internal error", f"{type(error).__name__}; the server's log tells more"), request)


def field_name(location: Sequence[str | int]) -> str:
    """``entities[0].flight_id`` for ``("body", "entities", 0, "flight_id")``."""
    inside = location[1:] if location and location[0] in ("body", "query", "path") else location
    name = ""
    for part in inside:
        name += f"[{part}]" if isinstance(part, int) else f".{part}" if name else part
    return name or "body"
