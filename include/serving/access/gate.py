"""What a client may ask of the online service, and how often."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

from include.serving.access.bearer import authenticate, authorize
from include.serving.access.current import CurrentTokens, Grant
from include.serving.access.limiter import Limit, Limiter
from include.serving.access.refusal import later
from include.serving.access.routes import opened, required, template
from include.settings import Settings

ANONYMOUS = "anonymous"
REMEMBERED = 1000  # proofs


class Gate:
    """Names the client of a request that is let through. It is used from one thread, that of the event loop.

    Without authentication all clients are one, ``anonymous``, that may do everything at the rate of the settings.
    The paths of probes are open to all at any rate.
    """

    def __init__(self, tokens: CurrentTokens, limiter: Limiter, settings: Settings) -> None:
        self._tokens = tokens
        self._limiter = limiter
        self._open = opened(docs=settings.docs_open, metrics=settings.metrics_open)
        limit = Limit.of(settings.request_rate, settings.request_burst)
        nobody = Grant(ANONYMOUS, "", frozenset(("predict", "admin")), None, limit)
        self._anonymous = None if settings.authentication else nobody
        self._grants: Mapping[str, Grant] | None = None
        # By the header and what it asked for, as long as the file of tokens stays the same.
        self._proven: dict[tuple[bytes | str, ...], Grant] = {}

    def client(self, method: str, path: str, headers: Sequence[tuple[bytes, bytes]]) -> str:
        """The name of the client that may do this now, or ``Refusal``; one that was refused has used up nothing."""
        if template(path)[0] in self._open:
            return ANONYMOUS
        return self.admitted(self.grant(method, path, headers))

    def grant(self, method: str, path: str, headers: Sequence[tuple[bytes, bytes]]) -> Grant:
        """What allows a client to do this, or ``Refusal``; that uses up nothing."""
        if self._anonymous is not None:
            return self._anonymous
        grants = self._tokens.grants(time.monotonic())
        if grants is None:
            raise later(503, "No tokens", "the tokens of the clients cannot be read; the server's log tells more")
        return self._proved(method, path, headers, grants)

    def admitted(self, grant: Grant) -> str:
        """The name of the client, one of whose requests this uses up; ``Refusal`` where there were too many."""
        now = time.monotonic()
        if grant.limit is not None and (seconds := self._limiter.allow(grant.client, grant.limit, now)):
            raise later(
                429,
                "Too many requests",
                f"{grant.client} may send {grant.limit.rate:g} requests per second, {grant.limit.burst} at once",
                seconds,
            )
        return grant.client

    def _proved(
        self, method: str, path: str, headers: Sequence[tuple[bytes, bytes]], grants: Mapping[str, Grant]
    ) -> Grant:
        """The grant of a token that may do this. Its secret is hashed once for what it asks again and again; whether it
        has expired is seen each time."""
        if grants is not self._grants:
            self._grants, self._proven = grants, {}
        given = [value for name, value in headers if name == b"authorization"]
        wall = time.time()
        asked: tuple[bytes | str, ...] = (*given, method, path)
        proven = self._proven.get(asked)
        if proven is not None and proven.expires > wall:
            return proven
        grant = authenticate(headers, grants, wall)
        authorize(grant, required(method, path))
        if len(self._proven) < REMEMBERED:
            self._proven[asked] = grant
        return grant
