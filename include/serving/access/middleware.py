"""Lets through what a client may ask of the online service, and refuses the rest before any of it is read."""

from __future__ import annotations

import time

from starlette.types import ASGIApp, Receive, Scope, Send

from include.serving.access.bearer import authenticate, authorize
from include.serving.access.current import CurrentTokens, Grant
from include.serving.access.limiter import Limit, Limiter
from include.serving.access.refusal import Refusal, later, refuse
from include.serving.access.routes import opened, required, template
from include.settings import Settings

ANONYMOUS = "anonymous"
POLICY_VIOLATION = 1008  # RFC 6455, 7.4.1


class Access:
    """ASGI middleware. ``scope["state"]["client"]`` names the client of a request that is let through.

    Without authentication all clients are one, ``anonymous``, that may do everything at the rate of the settings.
    The paths of probes are open to all at any rate. A websocket is refused: the service has none.
    """

    def __init__(self, app: ASGIApp, tokens: CurrentTokens, limiter: Limiter, settings: Settings) -> None:
        self._app = app
        self._tokens = tokens
        self._limiter = limiter
        self._open = opened(docs=settings.docs_open, metrics=settings.metrics_open)
        limit = Limit.of(settings.request_rate, settings.request_burst)
        nobody = Grant(ANONYMOUS, "", frozenset(("predict", "admin")), None, limit)
        self._anonymous = None if settings.authentication else nobody

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            try:
                client = self._client(scope)
            except Refusal as refusal:
                await refuse(refusal, scope, receive, send)
                return
            scope.setdefault("state", {})["client"] = client
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": POLICY_VIOLATION})
            return
        await self._app(scope, receive, send)

    def _client(self, scope: Scope) -> str:
        """The name of the client that may do this, or ``Refusal``."""
        path = scope["path"]
        if template(path)[0] in self._open:
            return ANONYMOUS
        now = time.monotonic()
        grant = self._anonymous
        if grant is None:
            grants = self._tokens.grants(now)
            if grants is None:
                raise later(503, "No tokens", "the tokens of the clients cannot be read; the server's log tells more")
            grant = authenticate(scope["headers"], grants, time.time())
            authorize(grant, required(scope["method"], path))
        if grant.limit is not None and (seconds := self._limiter.allow(grant.client, grant.limit, now)):
            raise later(
                429,
                "Too many requests",
                f"{grant.client} may send {grant.limit.rate:g} requests per second, {grant.limit.burst} at once",
                seconds,
            )
        return grant.client
