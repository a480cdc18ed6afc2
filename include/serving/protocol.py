"""uvicorn's protocol of HTTP/1.1, with limits of a request's head, and a short way for what is answered at once.

uvicorn hands a request on when its head is complete. Until then nothing else bounds what a client sends, or how long it
takes: without these limits one that is not even authenticated could fill the memory, or keep any number of connections.
"""

from __future__ import annotations

import asyncio
import math
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from include.serving.access.refusal import Refusal
from include.serving.direct import Direct
from include.serving.problems import MEDIA_TYPE

HEAD_LIMIT = 2**16  # bytes
HEAD_SECONDS = 10.0


class LimitedHead(HttpToolsProtocol):
    """Answers 431 to a head that is too large and 408 to one that takes too long, and closes the connection."""

    _received = 0
    _incomplete = True
    _timer: asyncio.TimerHandle | None = None
    _direct: Direct | None = None
    _held: list[bytes] | None = None  # the body of a request that may be answered at once
    _between = True  # requests, with all that came before answered at once
    _begun_with: bytes | None = None  # what arrived together with the first byte of a request
    _answered_at = -math.inf  # when the last one was that was answered at once

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._direct = getattr(getattr(self.config.app, "state", None), "direct", None)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._between:
            if self._is_known(data):
                return
            self._begun_with = data
        was_incomplete = self._incomplete
        super().data_received(data)
        self._begun_with = None
        if self._held is not None and not self.transport.is_closing():
            self._hand_on()  # the rest of it is waited for as of any other
        if self._incomplete:
            self._received += len(data) if was_incomplete else 0  # else it began with the end of a body
            if self._received > HEAD_LIMIT:
                self._refuse(Refusal(431, "Head too large", f"a request's headers may have {HEAD_LIMIT} bytes"))
            elif self._timer is None:
                self._wait()

    def on_message_begin(self) -> None:
        self._incomplete, self._between = True, False
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._completed()
        if self._may_be_direct():
            self._held = []
        else:
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        if self._held is None:
            super().on_body(body)
        else:
            self._held.append(body)

    def on_message_complete(self) -> None:
        if self._held is not None:
            if self._answered(b"".join(self._held)):
                self._held = None
                self._between = True
                return
            self._hand_on()
        super().on_message_complete()

    def timeout_keep_alive_handler(self) -> None:
        """Close what nobody uses. An answer at once sets no timer anew: the one that runs looks at when it was."""
        rest = self._answered_at + self.timeout_keep_alive - self.loop.time()
        if rest > 0:
            self._keep_alive(rest)
        else:
            super().timeout_keep_alive_handler()

    def _keep_alive(self, seconds: float) -> None:
        self.timeout_keep_alive_task = self.loop.call_later(seconds, self.timeout_keep_alive_handler)

    def _may_be_direct(self) -> bool:
        """Whether it is a prediction over a connection that stays open, with no other before it that is unanswered."""
        parser = self.parser
        return (
            self._direct is not None
            and (self.cycle is None or self.cycle.response_complete)
            and self._direct.knows(self.url)
            and parser.get_method() == b"POST"
            and parser.get_http_version() == "1.1"
            and parser.should_keep_alive()
            and not parser.should_upgrade()
            and not self.expect_100_continue
            and not self.flow.write_paused
        )

    def _is_known(self, data: bytes) -> bool:
        """Answer a whole request whose head is, byte for byte, that of one before it: the parser is not asked again."""
        if self._direct is None or self.flow.write_paused or (found := self._direct.heads.find(data)) is None:
            return False
        (self.url, self.headers), body = found
        if not self._answered(body):
            return False
        self._completed()
        return True

    def _completed(self) -> None:
        """The head is there."""
        self._incomplete, self._received = False, 0
        if self._timer is not None:
            self._stop()

    def _answered(self, body: bytes) -> bool:
        """Answer at once what can be; False where it must be handed on."""
        if self._direct is None or (found := self._direct.answer(self.url, self.headers, body)) is None:
            return False
        status, headers, content = found
        heads = self._direct.heads
        self.transport.write(
            heads.of_answer(status, self.server_state.default_headers, headers, len(content)) + content
        )
        if self._begun_with is not None and status == 200:
            heads.remember(self._begun_with, self.url, self.headers)
        self.server_state.total_requests += 1
        self._answered_at = self.loop.time()
        if self.timeout_keep_alive_task is None:
            self._keep_alive(self.timeout_keep_alive)
        return True

    def _hand_on(self) -> None:
        """Let uvicorn begin with what was held back."""
        held, self._held = self._held or (), None
        super().on_headers_complete()
        for body in held:
            super().on_body(body)

    def _wait(self) -> None:
        slow = Refusal(408, "Request too slow", f"the headers did not arrive in {HEAD_SECONDS:g} s")
        self._timer = self.loop.call_later(HEAD_SECONDS, self._refuse, slow)

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _refuse(self, refusal: Refusal) -> None:
        self._stop()
        if self.transport.is_closing():
            return
        content = refusal.document("/")
        head = f"HTTP/1.1 {refusal.status} {refusal.title}\r\nContent-Type: {MEDIA_TYPE}\r\nConnection: close\r\n"
        self.transport.write(f"{head}Content-Length: {len(content)}\r\n\r\n".encode() + content)
        self.transport.close()
