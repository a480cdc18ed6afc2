"""The tokens as a server knows them: read when the file changes, without a restart."""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from include.serving.access.limiter import Limit
from include.serving.access.tokens import Scope, Token, TokenError, parse

log = logging.getLogger(__name__)

Signature = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Grant:
    """What a token allows, as it is asked for at each request. ``expires``: seconds since 1970; None: all use cases."""

    client: str
    sha256: str
    scopes: frozenset[Scope]
    use_cases: frozenset[str] | None
    limit: Limit | None
    expires: float = math.inf

    @classmethod
    def of(cls, token: Token, default: Limit | None) -> Grant:
        return cls(
            token.client,
            token.sha256,
            frozenset(token.scopes),
            None if token.use_cases is None else frozenset(token.use_cases),
            Limit.of(token.rate, token.burst) or default,
            token.expires.timestamp() if token.expires else math.inf,
        )


class CurrentTokens:
    """Follows the file of tokens. A file that is broken or gone changes nothing and is told in ``problem``.

    It is used from one thread, that of the event loop. Between two looks at the file, at most one in ``interval``
    seconds, a request costs a look into a dictionary.
    """

    def __init__(self, path: Path, default: Limit | None = None, interval: float = 1.0) -> None:
        self.path = path
        self.problem: str | None = None
        self._default = default
        self._interval = interval
        self._next = -math.inf
        self._seen: Signature | None = None
        self._grants: Mapping[str, Grant] | None = None

    def grants(self, now: float) -> Mapping[str, Grant] | None:
        """By token id. None: the file could not be read even once, so that nothing may be allowed.

        ``now``: seconds of a clock that does not go back.
        """
        if now >= self._next:
            self._next = now + self._interval
            self._look()
        return self._grants

    def _look(self) -> None:
        try:
            with self.path.open("rb") as stream:
                signature = _signature(os.fstat(stream.fileno()))
                if signature == self._seen:
                    return
                content = stream.read()
            self._seen = signature  # also of a broken file: it is read again when it has changed
            tokens = parse(self.path, content)
        except FileNotFoundError:
            self._unreadable(f"{self.path}: not there; issue a token with `python -m include.serving.access issue`")
        except OSError as error:
            self._unreadable(f"{self.path}: {error.strerror}; let the server's user read it")
        except TokenError as error:
            self._failed(str(error))
        else:
            self._grants = {token.id: Grant.of(token, self._default) for token in tokens}
            self.problem = None
            log.info("%s: %d tokens", self.path, len(tokens))

    def _unreadable(self, problem: str) -> None:
        self._seen = None  # when it can be read again it may look as before
        self._failed(problem)

    def _failed(self, problem: str) -> None:
        if problem != self.problem:
            kept = "every request is refused" if self._grants is None else "the tokens read before stay valid"
            log.error("%s (%s)", problem, kept)
        self.problem = problem


def _signature(stat: os.stat_result) -> Signature:
    return stat.st_mtime_ns, stat.st_size, stat.st_ino
