"""Errors as RFC 9457 problem documents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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

    def __init__(self, status: int, title: str, detail: str, errors: Sequence[tuple[str, str]] = ()) -> None:
        super().__init__(detail)
        self.status = status
        self.title = title
        self.detail = detail
        self.errors = tuple(errors)

    @classmethod
    def of_fields(cls, title: str, errors: Sequence[tuple[str, str]]) -> Problem:
        """A request whose content is wrong; the detail tells the first errors."""
        told = "; ".join(f"{field}: {message}" for field, message in errors[:3])
        more = f"; and {len(errors) - 3} more" if len(errors) > 3 else ""
        return cls(422, title, told + more, errors[:SHOWN])


def respond(problem: Problem, request: Request) -> Response:
    content: dict[str, Any] = {
        "type": "about:blank",
        "title": problem.title,
        "status": problem.status,
        "detail": problem.detail,
        "instance": request.url.path,
    }
    if problem.errors:
        content["errors"] = [{"field": field, "detail": message} for field, message in problem.errors]
    headers: Mapping[str, str] = {"Retry-After": "1"} if problem.status == HTTPStatus.SERVICE_UNAVAILABLE else {}
    return Response(orjson.dumps(content), problem.status, headers, MEDIA_TYPE)


def install(app: FastAPI) -> None:
    """Make every error of the app a problem document."""

    @app.exception_handler(Problem)
    def known(request: Request, problem: Problem) -> Response:
        return respond(problem, request)

    @app.exception_handler(RequestValidationError)
    def invalid(request: Request, error: RequestValidationError) -> Response:
        found = error.errors()
        if any(each["type"] == "json_invalid" for each in found):
            reason = found[0].get("ctx", {}).get("error", "cannot be read")
            at = found[0]["loc"][-1]
            return respond(Problem(400, "Malformed JSON", f"the body is not JSON: {reason} at character {at}"), request)
        errors = [(_field(each["loc"]), str(each["msg"]).removeprefix("Value error, ")) for each in found]
        return respond(Problem.of_fields("Invalid request", errors), request)

    @app.exception_handler(HTTPException)
    def http(request: Request, error: HTTPException) -> Response:
        title = HTTPStatus(error.status_code).phrase
        return respond(
            Problem(error.status_code, title, f"{request.method} {request.url.path}: {error.detail}"), request
        )

    @app.exception_handler(Exception)
    def unexpected(request: Request, error: Exception) -> Response:
        return respond(Problem(500, "Internal error", f"{type(error).__name__}; the server's log tells more"), request)


def _field(location: Sequence[str | int]) -> str:
    """``entities[0].flight_id`` for ``("body", "entities", 0, "flight_id")``."""
    inside = location[1:] if location and location[0] in ("body", "query", "path") else location
    name = ""
    for part in inside:
        name += f"[{part}]" if isinstance(part, int) else f".{part}" if name else part
    return name or "body"
