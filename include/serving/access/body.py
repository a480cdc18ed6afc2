"""Reads the body of a request within limits of size and time."""

from __future__ import annotations

import asyncio
from collections.abc import Generator, Iterable
from typing import Any

from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive

from include.serving.access.refusal import Refusal

LONGEST = 19  # digits of a length: more are no size of anything
CLOSE = {"Connection": "close"}  # what is left of the body is not waited for


async def read_body(headers: Iterable[tuple[bytes, bytes]], receive: Receive, limit: int, seconds: float) -> bytes:
    """The whole body, of at most ``limit`` bytes.

    ``Refusal``: 413 as soon as it is known to be larger, before any of it is read where the header says so; 408 where
    it has not arrived after ``seconds``; 400 for a length that is no number. ``ClientDisconnect``: nobody waits for it.
    """
    for name, value in headers:
        if name == b"content-length":
            if not value.isdigit() or len(value) > LONGEST:
                raise Refusal(400, "Malformed request", "Content-Length is not a number", CLOSE)
            if int(value) > limit:
                raise _too_large(limit)
    arriving = receive().__await__()
    try:
        awaited = next(arriving)
    except StopIteration as arrived:  # it is there already, as a small body is: no clock is needed
        message: Message = arrived.value
        if message["type"] == "http.disconnect" or message.get("more_body", False):
            return await _read_on(message, receive, limit, seconds)
        if len(body := message.get("body", b"")) > limit:
            raise _too_large(limit) from None
        return bytes(body)
    return await _read_on(_Begun(arriving, awaited), receive, limit, seconds)


class _Begun:
    """The rest of what has run until it awaited something."""

    def __init__(self, rest: Generator[Any, None, Message], awaited: Any) -> None:
        self._rest = rest
        self._awaited = awaited

    def __await__(self) -> Generator[Any, None, Message]:
        try:
            yield self._awaited
        except BaseException as error:
            self._rest.throw(error)
            raise
        return (yield from self._rest)


async def _read_on(first: Message | _Begun, receive: Receive, limit: int, seconds: float) -> bytes:
    """The body whose first part is this message, or is being waited for."""
    body = bytearray()  # not a list of chunks: of single bytes, that would take forty times the memory
    try:
        async with asyncio.timeout(seconds) as timer:
            message = await first if isinstance(first, _Begun) else first
            while True:
                if message["type"] == "http.disconnect":
                    raise ClientDisconnect
                body += message.get("body", b"")
                if len(body) > limit:
                    raise _too_large(limit)
                if not message.get("more_body", False):
                    return bytes(body)
                message = await receive()
    except TimeoutError:
        if not timer.expired():
            raise
        raise Refusal(408, "Request too slow", f"the body did not arrive in {seconds:g} s", CLOSE) from None


def replayed(body: bytes, receive: Receive) -> Receive:
    """A ``receive`` that gives a body that was read already, and then what comes after it."""
    left = [body]

    async def receive_again() -> Message:
        if left:
            return {"type": "http.request", "body": left.pop(), "more_body": False}
        return await receive()

    return receive_again


def _too_large(limit: int) -> Refusal:
    return Refusal(413, "Body too large", f"the body may have {limit} bytes; send fewer rows at once", CLOSE)
