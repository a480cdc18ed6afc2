"""Requests that are turned away before they are worked on."""

from __future__ import annotations

import math
from collections.abc import Mapping

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from include.serving.problems import MEDIA_TYPE, Problem


class Refusal(Problem):
    """A problem whose headers tell how to ask again, or when."""

    def __init__(self, status: int, title: str, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(status, title, detail)
        self._headers = dict(headers or {})

    @property
    def headers(self) -> dict[str, str]:
        return self._headers


def later(status: int, title: str, detail: str, seconds: float = 1.0) -> Refusal:
    """One that may be asked again after so many seconds; the header has whole ones (RFC 9110, 10.2.3)."""
    return Refusal(status, title, detail, {"Retry-After": str(max(1, math.ceil(seconds)))})


async def refuse(refusal: Refusal, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer a request with the problem document of the refusal."""
    response = Response(refusal.document(scope["path"]), refusal.status, refusal.headers, MEDIA_TYPE)
    await response(scope, receive, send)
