"""The heads of HTTP requests and answers that are the same again and again.

A program that asks for predictions sends one head with each of them, or a few that differ in the length of the body. To
find what was made of these bytes before costs a fraction of parsing them, and of writing the head of the answer anew.
"""

from __future__ import annotations

from collections.abc import Sequence

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

Headers = Sequence[tuple[bytes, bytes]]
Head = tuple[bytes, list[tuple[bytes, bytes]]]  # the URL, and the headers with names in lower case

END = b"\r\n\r\n"
LONGEST = 4096  # bytes of a head that is kept
MOST = 1000  # heads that are kept; then they are begun anew


class Heads:
    """For all connections of a server; it is used from one thread, that of the event loop."""

    def __init__(self) -> None:
        self._known: dict[bytes, tuple[Head, int]] = {}
        self._common: dict[int, tuple[Headers, Headers, bytes]] = {}

    def find(self, data: bytes) -> tuple[Head, bytes] | None:
        """The head and the body, where this is one whole request with a head that was remembered."""
        end = data.find(END) + len(END)
        known = self._known.get(data[:end])
        return None if known is None or len(data) != end + known[1] else (known[0], data[end:])

    def remember(self, data: bytes, url: bytes, headers: list[tuple[bytes, bytes]]) -> None:
        """Keep what was parsed of ``data``, if that is one whole request whose head says how long its body is."""
        end = data.find(END) + len(END)
        length = len(data) - end
        if end <= LONGEST and [value for name, value in headers if name == b"content-length"] == [b"%d" % length]:
            if len(self._known) >= MOST:
                self._known = {}
            self._known[data[:end]] = (url, headers), length

    def of_answer(self, status: int, default: Headers, headers: Headers, length: int) -> bytes:
        """The head of an answer with ``default`` headers, of which there are others each second, and its own."""
        known = self._common.get(status)
        if known is None or known[0] is not default or known[1] is not headers:
            lines = b"".join([STATUS_LINE[status], *(b"%b: %b\r\n" % header for header in (*default, *headers))])
            known = self._common[status] = default, headers, lines
        return b"%bcontent-length: %d\r\n\r\n" % (known[2], length)
