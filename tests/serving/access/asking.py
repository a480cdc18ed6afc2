"""Asks an ASGI application without a server."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from include.serving.access.tokens import Tokens

Headers = Sequence[tuple[bytes, bytes]]


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def problem(self) -> dict[str, Any]:
        assert self.headers["content-type"] == "application/problem+json"
        content: dict[str, Any] = orjson.loads(self.body)
        assert content["status"] == self.status
        return content


class Inner:
    """An application that answers 200 and keeps what it saw."""

    def __init__(self) -> None:
        self.clients: list[str] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            self.clients.append(scope["state"]["client"])
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b""})


def scope(path: str, method: str = "GET", headers: Headers = ()) -> dict[str, Any]:
    return {"type": "http", "method": method, "path": path, "headers": list(headers), "query_string": b""}


def ask(app: ASGIApp, path: str = "/v1/trips/predict", method: str = "POST", headers: Headers = ()) -> Answer:
    sent: list[Message] = []

    async def receive() -> Message:
        raise AssertionError("a request that is let through or refused here is not read")

    async def send(message: Message) -> None:
        sent.append(message)

    asyncio.run(app(scope(path, method, headers), receive, send))
    start, *rest = sent
    given = {name.decode().lower(): value.decode() for name, value in start["headers"]}
    return Answer(start["status"], given, b"".join(message["body"] for message in rest))


def bearer(text: str) -> Headers:
    return [(b"host", b"here"), (b"authorization", f"Bearer {text}".encode())]


def identity(text: str) -> str:
    return text.split("_")[1]


def clients(tokens: Tokens) -> list[str]:
    return [token.client for token in tokens.read()]
