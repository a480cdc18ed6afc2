"""Lets through what a client may ask of the online service, and refuses the rest before any of it is read."""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send

from include.serving.access.gate import Gate
from include.serving.access.refusal import Refusal, refuse

POLICY_VIOLATION = 1008  # RFC 6455, 7.4.1


class Access:
    """ASGI middleware. ``scope["state"]["client"]`` names the client of a request that is let through.

    A websocket is refused: the service has none.
    """

    def __init__(self, app: ASGIApp, gate: Gate) -> None:
        self._app = app
        self._gate = gate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            try:
                client = self._gate.client(scope["method"], scope["path"], scope["headers"])
            except Refusal as refusal:
                await refuse(refusal, scope, receive, send)
                return
            scope.setdefault("state", {})["client"] = client
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": POLICY_VIOLATION})
            return
        await self._app(scope, receive, send)
