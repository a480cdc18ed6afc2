"""Whatever is sent to a real server: each is answered with a problem document, and the next request is served."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from include.registry import models
from include.settings import get_settings
from tests.model_store import register_classifier
from tests.serving.conftest import write_use_case
from tests.serving.test_schema import server

NAME, PATH = "bad_input", "/v1/bad_input/predict"
ROW = {"distance": 900, "carrier": "AA", "night": True}
GOOD = json.dumps({"rows": [ROW]}).encode()
TEN = 10 * 2**20
MANY = b",".join(b'"%d": 1' % number for number in range(100_000))
SECONDS = 1.0  # that a body may take
RESET = 0  # in place of a status: who is still sending when the connection is closed may miss the answer


@pytest.fixture(scope="module")
def address(mlflow_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("bad_input")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EVERGREEN_HOME", str(folder))
        patch.setenv("EVERGREEN_USE_CASE_PATHS", str(folder / "use_cases"))
        patch.setenv("EVERGREEN_REQUEST_TIMEOUT", str(SECONDS))
        get_settings.cache_clear()
        write_use_case(folder / "use_cases", NAME, "classification")
        models.set_alias(NAME, models.CHAMPION, register_classifier(NAME).version)
        with server() as started:
            yield started
    get_settings.cache_clear()


@pytest.fixture
def client(address: str) -> Iterator[httpx.Client]:
    """At the end of a test the server must still predict."""
    with httpx.Client(base_url=address, trust_env=False, timeout=30) as client:
        yield client
        assert client.post(PATH, json={"rows": [ROW]}).status_code == 200


def assert_problem(answer: httpx.Response, *statuses: int) -> dict[str, Any]:
    assert answer.status_code in statuses, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    content: dict[str, Any] = answer.json()
    assert content["status"] == answer.status_code
    return content


def with_distance(text: str | bytes) -> bytes:
    value = text.encode() if isinstance(text, str) else text
    return b'{"rows": [{"distance": ' + value + b', "carrier": "AA", "night": true}]}'


def as_of(moment: str) -> bytes:
    return json.dumps({"entities": [{"trip_id": 1}], "as_of": moment}).encode()


@pytest.mark.parametrize(
    ("body", "status"),
    [
        pytest.param(b"", 422, id="empty"),
        pytest.param(b"{", 400, id="malformed"),
        pytest.param(GOOD + b"}", 400, id="something after it"),
        pytest.param(b"\xef\xbb\xbf" + GOOD, 400, id="byte order mark"),
        pytest.param(GOOD.decode().encode("utf-16"), 400, id="utf-16"),
        pytest.param(GOOD.replace(b"AA", b"\xff"), 400, id="not utf-8"),
        pytest.param(GOOD.replace(b"AA", b"\\ud800"), 400, id="half a surrogate pair"),
        pytest.param(GOOD.replace(b"AA", b"\x00"), 400, id="control character"),
        pytest.param(with_distance("NaN"), 422, id="NaN"),
        pytest.param(with_distance("Infinity"), 422, id="infinity"),
        pytest.param(with_distance("-Infinity"), 422, id="minus infinity"),
        pytest.param(with_distance("1e400"), 422, id="1e400"),
        pytest.param(with_distance("-1e400"), 422, id="-1e400"),
        pytest.param(with_distance("9" * 400), 422, id="400 digits"),
        pytest.param(with_distance("9" * 100_000), 422, id="100,000 digits"),
        pytest.param(with_distance("1" + "e1" * 3), 400, id="no number"),
        pytest.param(with_distance("[" * 100_000), 400, id="nested without an end"),
        pytest.param(with_distance("[" * 100_000 + "]" * 100_000), 400, id="nested deeply"),
        pytest.param(with_distance('1, "distance": 2'), 422, id="the same key twice"),
        pytest.param(b'{"rows": [{' + MANY + b"}]}", 422, id="100,000 keys"),
        pytest.param(b'{"entities": [{"trip_id": ' + b"9" * 30 + b"}]}", 422, id="a key beyond 64 bits"),
        pytest.param(as_of("9999-12-31T23:59:59-23:59"), 200, id="the last moment"),
        pytest.param(as_of("0001-01-01T00:00:00+23:59"), 404, id="the first moment"),
        pytest.param(as_of("10000-01-01T00:00:00Z"), 422, id="a moment after the last"),
        pytest.param(as_of("2013-05-01T12:00:00"), 422, id="a moment without a zone"),
    ],
)
def test_a_body(client: httpx.Client, body: bytes, status: int) -> None:
    answer = client.post(PATH, content=body, headers={"content-type": "application/json"})
    if status == 200:
        assert answer.status_code == 200, answer.text
    else:
        assert_problem(answer, status)


WRONG: dict[str, list[Any]] = {
    "distance": ["1", "", True, [], {}, [1]],
    "carrier": [1, 1.5, True, [], {}, ["AA"]],
    "night": [0, 1, 1.0, "true", [], {}],
}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name in WRONG for value in WRONG[name]])
def test_a_wrong_type_in_each_kind_of_column(client: httpx.Client, name: str, value: Any) -> None:
    problem = assert_problem(client.post(PATH, json={"rows": [ROW, {**ROW, name: value}]}), 422)
    assert [each["field"] for each in problem["errors"]] == [f"rows[1].{name}"]


@pytest.mark.parametrize("value", ["1", True, 1.5, None, [], {}])
def test_a_wrong_type_of_a_key(client: httpx.Client, value: Any) -> None:
    problem = assert_problem(client.post(PATH, json={"entities": [{"trip_id": value}]}), 422)
    assert [each["field"] for each in problem["errors"]] == ["entities[0].trip_id"]


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "PUT", "PATCH", "DELETE", "TRACE", "BREW"])
def test_another_method_is_told_which_is_allowed(client: httpx.Client, method: str) -> None:
    answer = client.request(method, PATH)
    assert (answer.status_code, answer.headers.get("allow")) in [(405, "POST"), (400, None)]
    assert (answer.status_code == 400) == (method == "BREW")  # a method that the server's parser does not know


PATHS = (
    *("/v1//predict", "/v1/%00/predict", "/v1/%ff%fe/predict", "/v1/..%2f/x", "/%2e%2e/%2e%2e/etc/passwd"),
    *("/static/..%2f..%2fetc/passwd", "/static/nothing", f"/{'x' * 30_000}", "/V1/bad_input/predict", "/v2"),
)


@pytest.mark.parametrize("path", PATHS)
def test_a_path_that_is_none(client: httpx.Client, path: str) -> None:
    assert_problem(client.post(path, content=GOOD, headers={"content-type": "application/json"}), 404, 405)
    assert_problem(client.get(path), 404, 405)


@pytest.mark.parametrize("path", ["/v1/bad_input", PATH])
def test_a_slash_at_the_end_is_led_to_the_path_without(client: httpx.Client, path: str) -> None:
    answer = client.post(f"{path}/", content=GOOD)
    assert (answer.status_code, httpx.URL(answer.headers["location"]).path) == (307, path)


def test_a_large_body_holds_up_nobody_else(address: str, client: httpx.Client) -> None:
    body, headers = b'{"rows": [' + b"{}," * 2_000_000 + b"{}]}", {"content-type": "application/json"}
    with ThreadPoolExecutor(1) as large:
        began = time.perf_counter()
        refused = large.submit(httpx.post, f"{address}{PATH}", content=body, headers=headers, timeout=30)
        waits = []
        while not refused.done():
            asked = time.perf_counter()
            assert client.post(PATH, json={"rows": [ROW]}).status_code == 200
            waits.append(time.perf_counter() - asked)
    assert_problem(refused.result(), 422, 504)
    assert max(waits) < (time.perf_counter() - began) / 2


def talk(address: str, head: list[str], *parts: bytes) -> tuple[int, str]:
    """Send a prediction in parts over a socket; the status and all of the answer, to the end of the connection."""
    host, port = address.removeprefix("http://").split(":")
    lines = [f"POST {PATH} HTTP/1.1", "Host: here", "Content-Type: application/json", *head, "", ""]
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        try:
            for part in ("\r\n".join(lines).encode("latin-1"), *parts):
                connection.sendall(part)
        except (BrokenPipeError, ConnectionResetError):
            pass  # it is not waited for what is refused
        answer = b""
        while chunk := received(connection):
            answer += chunk
    return int(answer.split(b" ", 2)[1]) if answer else RESET, answer.decode("latin-1")


def received(connection: socket.socket) -> bytes:
    try:
        return connection.recv(65536)
    except ConnectionResetError:
        return b""


def chunked(*chunks: bytes) -> bytes:
    return b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks)


BYTES = [GOOD[at : at + 1] for at in range(len(GOOD))]
CHUNKED, LENGTH, CLOSE = "Transfer-Encoding: chunked", f"Content-Length: {len(GOOD)}", "Connection: close"


@pytest.mark.parametrize(
    ("head", "parts", "status"),
    [
        pytest.param([CHUNKED, CLOSE], [chunked(GOOD[:9], GOOD[9:], b"")], 200, id="in chunks, without a length"),
        pytest.param([CHUNKED, CLOSE], [chunked(*BYTES, b"")], 200, id="in chunks of one byte"),
        pytest.param(["Expect: 100-continue", LENGTH, CLOSE], [GOOD], 100, id="asks whether to go on"),
        pytest.param([f"Content-Length: {TEN}"], [], 413, id="10 MB by its length"),
        pytest.param([LENGTH], [GOOD[:9]], 408, id="half a body"),
        pytest.param([CHUNKED], [chunked(GOOD[:9])], 408, id="chunks without an end"),
        pytest.param([CHUNKED, CLOSE], [b"xyz\r\n"], 400, id="a chunk of no size"),
        pytest.param([LENGTH, CHUNKED, CLOSE], [chunked(GOOD, b"")], 400, id="a length and chunks"),
        pytest.param([LENGTH, "Content-Length: 3", CLOSE], [GOOD], 400, id="two lengths"),
        pytest.param(["Content-Length: -1", CLOSE], [GOOD], 400, id="a negative length"),
        pytest.param(["no header", CLOSE, LENGTH], [GOOD], 400, id="a header without a colon"),
        pytest.param(["X: \x00", CLOSE, LENGTH], [GOOD], 400, id="a header with a zero byte"),
        pytest.param([f"X-Flood: {'x' * 8000}", CLOSE, LENGTH], [GOOD], 200, id="a header of 8 kB"),
    ],
)
def test_on_the_wire(address: str, client: httpx.Client, head: list[str], parts: list[bytes], status: int) -> None:
    answered, text = talk(address, head, *parts)
    assert answered == status, text[:300]


@pytest.mark.parametrize(
    ("head", "part", "status"),
    [
        pytest.param([CHUNKED], chunked(*[b" " * 2**16] * (TEN // 2**16)), 413, id="a body of 10 MB in chunks"),
        pytest.param(["X-Flood: 1"] * 500_000, b"", 431, id="500,000 headers"),
        pytest.param([f"X-Flood: {'x' * TEN}"], b"", 431, id="a header of 10 MB"),
    ],
)
def test_a_flood_is_cut_off(address: str, client: httpx.Client, head: list[str], part: bytes, status: int) -> None:
    answered, text = talk(address, head, part)
    assert answered in (status, RESET), text[:300]


@pytest.mark.parametrize("began", [b"", b"POST /v1", b"GET /health/live HTTP/1.1\r\nHost: here\r\n\r\nGET /v1"])
def test_a_head_that_does_not_come_is_given_up(
    address: str, client: httpx.Client, monkeypatch: pytest.MonkeyPatch, began: bytes
) -> None:
    monkeypatch.setattr("include.serving.protocol.HEAD_SECONDS", 0.3)
    host, port = address.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        connection.sendall(began)
        answer = b"".join(iter(lambda: received(connection), b""))
    refused = answer.partition(b"}")[2] if began.startswith(b"GET") else answer
    assert refused.startswith(b"HTTP/1.1 408")
    assert json.loads(refused.partition(b"\r\n\r\n")[2])["status"] == 408
