"""Plain predictions are answered where they arrive, in the same words as all others."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from include.registry import models
from include.serving.access.tokens import Tokens
from include.serving.direct import Direct
from include.serving.prediction_log import read_online
from include.serving.protocol import LimitedHead
from include.settings import get_settings
from tests.model_store import register_classifier
from tests.serving.conftest import write_use_case
from tests.serving.test_schema import server

NAME, PATH = "directly", "/v1/directly/predict"
ROW = {"distance": 900, "carrier": "AA", "night": True}
ROWS = json.dumps({"rows": [ROW]}).encode()
ENTITIES = b'{"entities": [{"trip_id": 1}, {"trip_id": 2}]}'
OWN = ("request_id", "as_of")  # of each answer

Answer = tuple[int, dict[str, str], Any]


@pytest.fixture(scope="module")
def served(mlflow_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, str]]:
    """The port of a server, and a token for it."""
    folder = tmp_path_factory.mktemp("directly")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EVERGREEN_HOME", str(folder))
        patch.setenv("EVERGREEN_USE_CASE_PATHS", str(folder / "use_cases"))
        patch.setenv("EVERGREEN_AUTHENTICATION", "true")
        get_settings.cache_clear()
        write_use_case(folder / "use_cases", NAME, "classification")
        models.set_alias(NAME, models.CHAMPION, register_classifier(NAME).version)
        token = Tokens(get_settings().tokens).issue("web", ["predict"], datetime.now(UTC))
        with server() as address:
            yield int(address.rpartition(":")[2]), token
    get_settings.cache_clear()


@pytest.fixture
def direct(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """For each request that was asked about, whether it was answered at once."""
    seen: list[bool] = []
    answer = Direct.answer

    def watched(self: Direct, *given: Any) -> Any:
        found = answer(self, *given)
        seen.append(found is not None)
        return found

    monkeypatch.setattr(Direct, "answer", watched)
    return seen


def request(body: bytes, token: str, path: str = PATH, version: str = "1.1", *more: str) -> bytes:
    lines = [f"POST {path} HTTP/{version}", "Host: x", f"Authorization: Bearer {token}", *more]
    if not any(line.startswith("Content-Type") for line in more):
        lines.append("Content-Type: application/json")
    return "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""]).encode() + body


def read(connection: socket.socket) -> Answer:
    """One answer: its status, its headers without the date, and its content without what is its own."""
    answer = b""
    while b"\r\n\r\n" not in answer:
        answer += connection.recv(1)
    first, *lines = answer.decode().strip().split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines)
    content = b""
    while len(content) < int(headers["content-length"]):
        content += connection.recv(int(headers["content-length"]) - len(content))
    assert headers.pop("date")
    found = json.loads(content)
    return int(first.split()[1]), headers, {name: value for name, value in found.items() if name not in OWN}


def asked(port: int, sent: bytes, apart: int | None = None) -> Answer:
    """The answer to a request that is sent at once, or in two parts of which the second is late."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if apart is not None:
            connection.sendall(sent[:apart])
            time.sleep(0.1)
            sent = sent[apart:]
        connection.sendall(sent)
        return read(connection)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        pytest.param(ROWS, 200, id="row"),
        pytest.param(ROWS.replace(b"AA", b"\\u0041A"), 200, id="escaped"),
        pytest.param(ENTITIES, 200, id="entities"),
        pytest.param(ROWS.replace(b"900", b'"far"'), 422, id="wrong type"),
        pytest.param(ROWS[:-1], 400, id="malformed"),
        pytest.param(b"", 422, id="empty"),
        pytest.param(ENTITIES.replace(b"2", b"3"), 404, id="unknown entity"),
    ],
)
def test_the_answer_is_that_of_the_long_way(
    served: tuple[int, str], direct: list[bool], body: bytes, status: int
) -> None:
    sent = request(body, served[1])
    at_once = asked(served[0], sent)
    quick = [status in {200, 404}]  # what cannot be read is told the long way
    assert direct == quick
    assert at_once[0] == status
    in_parts = asked(served[0], sent, apart=sent.index(b"\r\n\r\n") + 5)
    other = asked(served[0], request(body, served[1], f"{PATH}?"))
    assert direct == quick if body else quick * 2  # the body of one that comes in parts is waited for
    for answer in (at_once, in_parts, other):
        answer[1].pop("content-length")  # of moments, which have fractions of a second or have none
    assert in_parts == other == at_once


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        pytest.param({"body": ROWS.replace(b'{"rows"', b'{"explain": true, "rows"')}, 200, id="explained"),
        pytest.param({"body": json.dumps({"rows": [ROW] * 101}).encode()}, 200, id="many rows"),
        pytest.param({"body": ROWS, "token": "eg_0_0"}, 401, id="unknown token"),
        pytest.param({"body": ROWS, "more": ["Content-Type: text/plain"]}, 415, id="no JSON"),
    ],
)
def test_what_is_not_plain_goes_the_long_way(
    served: tuple[int, str], direct: list[bool], sent: dict[str, Any], status: int
) -> None:
    given = request(sent["body"], sent.get("token", served[1]), PATH, "1.1", *sent.get("more", ()))
    assert asked(served[0], given)[0] == status
    assert direct == [False]


@pytest.mark.parametrize(
    ("version", "more"),
    [
        pytest.param("1.0", ["Connection: keep-alive"], id="HTTP/1.0"),
        pytest.param("1.1", ["Connection: close"], id="the last request"),
        pytest.param("1.1", ["Expect: 100-continue"], id="not sent yet"),
    ],
)
def test_how_a_connection_goes_on_is_left_to_the_server(
    served: tuple[int, str], direct: list[bool], version: str, more: list[str]
) -> None:
    with socket.create_connection(("127.0.0.1", served[0]), timeout=20) as connection:
        connection.sendall(request(ROWS, served[1], PATH, version, *more))
        answer = connection.recv(65536)
    assert answer.startswith((b"HTTP/1.1 200", b"HTTP/1.1 100"))
    assert direct == []


def test_requests_over_one_connection_are_answered_in_their_order(served: tuple[int, str], direct: list[bool]) -> None:
    """Also where one that goes the long way is followed by one that need not."""
    slow = request(ROWS.replace(b'{"rows"', b'{"explain": true, "rows"'), served[1])
    quick, wrong = request(ROWS, served[1]), request(b"{", served[1])
    with socket.create_connection(("127.0.0.1", served[0]), timeout=20) as connection:
        connection.sendall(quick + wrong + slow + quick + wrong)
        answers = [read(connection) for _ in range(5)]
        connection.sendall(quick)
        answers.append(read(connection))
    assert [status for status, *_ in answers] == [200, 400, 200, 200, 400, 200]
    explained = [each.get("predictions", [{}])[0].get("explanation") is not None for _, _, each in answers]
    assert explained == [False, False, True, False, False, False]
    assert direct[:2] == [True, False]
    assert direct[-1] is True


def test_a_connection_is_closed_when_nothing_was_asked_for_a_while(
    served: tuple[int, str], direct: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    idle = 0.8  # seconds
    monkeypatch.setattr(LimitedHead, "timeout_keep_alive", property(lambda _: idle, lambda *_: None), raising=False)
    with socket.create_connection(("127.0.0.1", served[0]), timeout=20) as connection:
        for _ in range(4):
            connection.sendall(request(ROWS, served[1]))
            assert read(connection)[0] == 200
            answered = time.monotonic()
            time.sleep(idle / 2)
        assert connection.recv(1) == b""
        assert time.monotonic() - answered >= idle - 0.1
    assert direct == [True] * 4


def test_a_head_that_is_sent_again_is_read_as_the_first_time(
    served: tuple[int, str], direct: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also as the first of a connection, after which nothing is waited for; and whatever comes around it."""
    monkeypatch.setattr("include.serving.protocol.HEAD_SECONDS", 0.5)
    quick, other = request(ROWS, served[1]), request(ROWS.replace(b"900", b"901"), served[1])
    explained = request(ROWS.replace(b'{"rows"', b'{"explain": true, "rows"'), served[1])
    asked(served[0], quick)
    parsed: list[bytes] = []
    begin = LimitedHead.on_url
    monkeypatch.setattr(LimitedHead, "on_url", lambda self, url: (parsed.append(url), begin(self, url)))
    with socket.create_connection(("127.0.0.1", served[0]), timeout=20) as connection:
        for sent, answers in [(quick, 1), (other, 1)]:
            connection.sendall(sent)
            assert [read(connection)[0] for _ in range(answers)] == [200] * answers
        assert parsed == []
        time.sleep(0.7)
        for sent, answers in [
            (quick + other, 2),
            (b"\r\n" + quick, 1),
            (explained, 1),
            (quick, 1),
            (quick + b"POST", 1),
        ]:
            connection.sendall(sent)
            assert [read(connection)[0] for _ in range(answers)] == [200] * answers
        connection.sendall(quick.removeprefix(b"POST"))
        assert read(connection)[0] == 200
    assert len(parsed) == 7
    assert direct.count(False) == 1


def test_a_head_that_is_sent_again_is_let_through_only_with_a_token_that_counts(served: tuple[int, str]) -> None:
    tokens = Tokens(get_settings().tokens)
    token = tokens.issue("leaving", ["predict"], datetime.now(UTC))
    time.sleep(1.1)  # the server looks at the file once a second
    with socket.create_connection(("127.0.0.1", served[0]), timeout=20) as connection:
        for _ in range(2):
            connection.sendall(request(ROWS, token))
            assert read(connection)[0] == 200
        tokens.revoke(token.split("_")[1])
        time.sleep(1.1)
        connection.sendall(request(ROWS, token))
        assert read(connection)[0] == 401


def test_each_answer_is_in_the_log_and_counted(served: tuple[int, str], direct: list[bool]) -> None:
    begun = datetime.now(UTC)
    assert asked(served[0], request(ENTITIES, served[1]))[0] == 200
    logged = read_online(NAME, begun, datetime.now(UTC))
    assert logged["trip_id"].to_list() == [1, 2]
    assert logged["request_id"].n_unique() == 1
    assert direct == [True]
