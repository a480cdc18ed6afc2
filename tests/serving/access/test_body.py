"""A body is read whole, or refused as soon as it is known to be too large or too slow."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import ClientDisconnect
from starlette.types import Message

from include.serving.access.body import read_body, replayed
from include.serving.access.refusal import Refusal
from tests.serving.access.asking import Headers


class Client:
    """Sends chunks one by one, with a pause before each, and then stays."""

    def __init__(self, chunks: Sequence[bytes], pause: float = 0.0) -> None:
        self._chunks = list(chunks)
        self._pause = pause
        self.read = 0

    async def receive(self) -> Message:
        await asyncio.sleep(self._pause)
        chunk = self._chunks[self.read]
        self.read += 1
        return {"type": "http.request", "body": chunk, "more_body": self.read < len(self._chunks)}


def read(client: Client, headers: Headers = (), limit: int = 10, seconds: float = 5.0) -> bytes:
    return asyncio.run(read_body(headers, client.receive, limit, seconds))


@given(st.lists(st.binary(max_size=6), min_size=1, max_size=6))
def test_the_chunks_are_one_body_up_to_the_limit(chunks: list[bytes]) -> None:
    client, body = Client(chunks), b"".join(chunks)
    if len(body) <= 10:
        assert read(client) == body
    else:
        with pytest.raises(Refusal, match="may have 10 bytes"):
            read(client)


def test_a_length_beyond_the_limit_is_refused_before_any_is_read() -> None:
    client = Client([b"x" * 11])
    with pytest.raises(Refusal) as raised:
        read(client, [(b"content-length", b"11")])
    assert raised.value.status == 413
    assert raised.value.headers == {"Connection": "close"}
    assert client.read == 0


def test_chunks_beyond_the_limit_are_not_read_to_the_end() -> None:
    client = Client([b"1234"] * 1000)
    with pytest.raises(Refusal) as raised:
        read(client, [(b"transfer-encoding", b"chunked")])
    assert raised.value.status == 413
    assert client.read == 3


def test_a_length_that_is_too_small_does_not_help() -> None:
    with pytest.raises(Refusal) as raised:
        read(Client([b"x" * 11]), [(b"content-length", b"1")])
    assert raised.value.status == 413


@pytest.mark.parametrize("value", [b"", b"-1", b"1e3", b"ten", b"+5", "٣".encode(), b"9" * 5000])
def test_a_length_that_is_no_number_is_refused(value: bytes) -> None:
    client = Client([b"x"])
    with pytest.raises(Refusal) as raised:
        read(client, [(b"content-length", value)])
    assert raised.value.status == 400
    assert client.read == 0


def test_a_body_that_drips_is_given_up() -> None:
    began = time.monotonic()
    with pytest.raises(Refusal) as raised:
        read(Client([b"x"] * 9, pause=0.05), seconds=0.12)
    assert (raised.value.status, raised.value.headers) == (408, {"Connection": "close"})
    assert "0.12 s" in str(raised.value)
    assert time.monotonic() - began < 5


def test_a_client_that_leaves_is_no_refusal() -> None:
    async def receive() -> Message:
        return {"type": "http.disconnect"}

    with pytest.raises(ClientDisconnect):
        asyncio.run(read_body((), receive, 10, 1))


def test_a_time_out_of_something_else_is_not_taken_for_the_clients() -> None:
    async def receive() -> Message:
        raise TimeoutError("the socket")

    with pytest.raises(TimeoutError, match="the socket"):
        asyncio.run(read_body((), receive, 10, 1))


def test_a_body_can_be_given_to_who_reads_it_again() -> None:
    client = Client([b"after"])

    async def twice() -> list[Message]:
        receive = replayed(b"body", client.receive)
        return [await receive(), await receive()]

    first, second = asyncio.run(twice())
    assert first == {"type": "http.request", "body": b"body", "more_body": False}
    assert second["body"] == b"after"
