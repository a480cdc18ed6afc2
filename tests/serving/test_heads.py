"""A head is known by all its bytes, and only with the body that it announces."""

from __future__ import annotations

import pytest

from include.serving import heads
from include.serving.heads import LONGEST, MOST, Heads

URL = b"/v1/trips/predict"
HEADERS = [(b"host", b"x"), (b"content-length", b"2")]
SENT = b"POST /v1/trips/predict HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}"


def test_a_request_is_known_by_its_head() -> None:
    known = Heads()
    assert known.find(SENT) is None
    known.remember(SENT, URL, HEADERS)
    assert known.find(SENT) == ((URL, HEADERS), b"{}")
    assert known.find(SENT[:-2] + b"[]") == ((URL, HEADERS), b"[]")


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(SENT[:-1], id="a part of it"),
        pytest.param(SENT + SENT, id="two"),
        pytest.param(SENT.replace(b"Host: x", b"Host: y"), id="another head"),
        pytest.param(b"\r\n" + SENT, id="something before it"),
        pytest.param(SENT[: SENT.index(b"\r\n\r\n")], id="no end"),
        pytest.param(b"", id="nothing"),
    ],
)
def test_other_bytes_are_not_known(sent: bytes) -> None:
    known = Heads()
    known.remember(SENT, URL, HEADERS)
    assert known.find(sent) is None


@pytest.mark.parametrize(
    ("sent", "headers"),
    [
        pytest.param(SENT + SENT, HEADERS, id="two"),
        pytest.param(SENT, HEADERS[:1], id="no length"),
        pytest.param(SENT.replace(b"Host: x", b"Host: " + b"x" * LONGEST), HEADERS, id="too long"),
        pytest.param(b"\r\n\r\n" + SENT, HEADERS, id="something before it"),
    ],
)
def test_what_is_not_one_whole_request_is_not_kept(sent: bytes, headers: list[tuple[bytes, bytes]]) -> None:
    known = Heads()
    known.remember(sent, URL, headers)
    assert known.find(sent) is None


def test_no_more_are_kept_than_there_is_room_for() -> None:
    known = Heads()
    for number in range(MOST + 1):
        known.remember(SENT.replace(b"Host: x", b"Host: %d" % number), URL, HEADERS)
    assert known.find(SENT.replace(b"Host: x", b"Host: %d" % MOST)) is not None
    assert known.find(SENT.replace(b"Host: x", b"Host: 0")) is None


def test_the_head_of_an_answer_follows_its_headers() -> None:
    written, kind = Heads(), ((b"content-type", b"application/json"),)
    first, later = [(b"date", b"1")], [(b"date", b"2")]
    assert written.of_answer(200, first, kind, 3) == (
        b"HTTP/1.1 200 OK\r\ndate: 1\r\ncontent-type: application/json\r\ncontent-length: 3\r\n\r\n"
    )
    assert b"content-length: 14\r\n" in written.of_answer(200, first, kind, 14)
    assert b"date: 2\r\n" in written.of_answer(200, later, kind, 3)
    assert written.of_answer(404, later, (), 3).startswith(b"HTTP/1.1 404 Not Found\r\ndate: 2\r\ncontent-length: 3")
    assert heads.END in written.of_answer(200, later, kind, 3)
