"""uvicorn's protocol of HTTP/1.1, with limits of a request's head: its line and its headers.

uvicorn hands a request on when its head is complete. Until then nothing else bounds what a client sends, or how long it
takes: without these limits one that is not even authenticated could fill the memory, or keep any number of connections.
"""

from __future__ import annotations

import asyncio

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from include.serving.access.refusal import Refusal
from include.serving.problems import MEDIA_TYPE

HEAD_LIMIT = 2**16  # bytes
HEAD_SECONDS = 10.0


class LimitedHead(HttpToolsProtocol):
    """Answers 431 to a head that is too large and 408 to one that takes too long, and closes the connection."""

    _received = 0
    _incomplete = True
    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        was_incomplete = self._incomplete
        super().data_received(data)
        if self._incomplete:
            self._received += len(data) if was_incomplete else 0  # else it began with the end of a body
            if self._received > HEAD_LIMIT:
                self._refuse(Refusal(431, "Head too large", f"a request's headers may have {HEAD_LIMIT} bytes"))
            elif self._timer is None:
                self._wait()

    def on_message_begin(self) -> None:
        self._incomplete = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._incomplete, self._received = False, 0
        if self._timer is not None:
            self._stop()
        super().on_headers_complete()

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
