"""The parts behind a real server: what a client sees on the wire."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import uvicorn
from fastapi import FastAPI, Request, Response
from starlette.types import Receive, Scope, Send

from include.serving import problems
from include.serving.access.admission import Admission
from include.serving.access.body import read_body, replayed
from include.serving.access.current import CurrentTokens
from include.serving.access.gate import Gate
from include.serving.access.limiter import Limiter
from include.serving.access.middleware import Access
from include.serving.access.refusal import Refusal, refuse
from include.serving.access.tokens import Tokens
from include.settings import Settings

LIMIT, SECONDS = 1000, 0.6
STORE_ANSWERS = threading.Event()


def application(settings: Settings) -> Access:
    app, admission = FastAPI(), Admission(1, 0)
    problems.install(app)

    @app.post("/v1/trips/predict")
    async def predict(request: Request, slow: bool = False) -> Response:
        size = len(await request.body())
        await admission.in_thread(lambda: slow and STORE_ANSWERS.wait(30), SECONDS)
        return Response(f"{request.state.client} sent {size}")

    async def limited(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        try:
            body = await read_body(scope["headers"], receive, LIMIT, SECONDS)
        except Refusal as refusal:
            await refuse(refusal, scope, receive, send)
        else:
            await app(scope, replayed(body, receive), send)

    return Access(limited, Gate(CurrentTokens(settings.tokens), Limiter(), settings))


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, str]]:
    """The port of a server and a token for it."""
    home: Path = tmp_path_factory.mktemp("home")
    settings = Settings(home=home, authentication=True)
    text = Tokens(settings.tokens).issue("web", ["predict"], datetime.now(UTC))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = uvicorn.Server(uvicorn.Config(application(settings), log_level="warning"))
        thread = threading.Thread(target=server.run, args=([listening],))
        thread.start()
        yield listening.getsockname()[1], text
        server.should_exit = True
        thread.join()


def talk(port: int, head: list[str], *parts: bytes, query: str = "") -> str:
    """Send a request in parts; everything that the server answers until it is silent or closes."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        lines = [f"POST /v1/trips/predict{query} HTTP/1.1", "Host: here", *head, "", ""]
        connection.sendall("\r\n".join(lines).encode())
        for part in parts:
            connection.sendall(part)
        answer = b""
        while b"\r\n\r\n" not in answer and (more := connection.recv(65536)):
            answer += more
        length = int(answer.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        while len(answer.split(b"\r\n\r\n", 1)[1]) < length and (more := connection.recv(65536)):
            answer += more
    return answer.decode()


def test_the_client_is_known_to_the_application(served: tuple[int, str]) -> None:
    port, text = served
    answer = talk(port, [f"Authorization: Bearer {text}", "Content-Length: 4"], b"body")
    assert answer.startswith("HTTP/1.1 200")
    assert answer.endswith("web sent 4")


def test_a_stranger_is_answered_before_the_body_is_sent(served: tuple[int, str]) -> None:
    answer = talk(served[0], ["Content-Length: 900000000"]).lower()
    assert answer.startswith("http/1.1 401")
    assert 'www-authenticate: bearer realm="evergreen"' in answer
    assert "content-type: application/problem+json" in answer


@pytest.mark.parametrize(
    ("head", "parts", "status"),
    [
        ("Content-Length: 1001", [], 413),
        ("Transfer-Encoding: chunked", [b"300\r\n" + b"x" * 0x300 + b"\r\n"] * 2, 413),
        ("Content-Length: 10", [b"x"], 408),
        ("Transfer-Encoding: chunked", [b"1\r\nx\r\n"], 408),
    ],
)
def test_a_body_out_of_its_limits_ends_the_connection(
    served: tuple[int, str], head: str, parts: list[bytes], status: int
) -> None:
    answer = talk(served[0], [f"Authorization: Bearer {served[1]}", head], *parts).lower()
    assert answer.startswith(f"http/1.1 {status}")
    assert "connection: close" in answer
    assert f'"status":{status}' in answer


def test_work_that_takes_too_long_is_answered_and_its_slot_is_kept(served: tuple[int, str]) -> None:
    port, text = served
    head = [f"Authorization: Bearer {text}", "Content-Length: 0"]
    assert talk(port, head, query="?slow=true").startswith("HTTP/1.1 504")
    busy = talk(port, head)
    assert busy.startswith("HTTP/1.1 503") and "retry-after: 1" in busy.lower()
    STORE_ANSWERS.set()
    deadline = time.monotonic() + 10
    while not (free := talk(port, head)).startswith("HTTP/1.1 200"):
        assert time.monotonic() < deadline, free
