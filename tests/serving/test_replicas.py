"""Two replicas behind nginx, one of which is killed under load: no client notices, and no answer is lost."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import httpx
import orjson
import pytest

from include.serving.prediction_log import read_online
from include.settings import REPOSITORY, Settings
from tests.ports import free_port
from tests.serving.processes import Replica, started
from tests.serving.test_process import NAME, prepared, wait

__all__ = ["prepared"]  # a fixture

TEMPLATE = REPOSITORY / "config" / "nginx" / "serving.conf.template"
MAIN = """\
{user}
daemon off;
pid {folder}/nginx.pid;
worker_processes 2;
events {{ worker_connections 256; }}
http {{
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/serving.conf;
}}
"""
ROW = {"distance": 900, "carrier": "AA", "night": True}
CLIENTS, REQUESTS, PAUSE = 4, 150, 0.01

needs_nginx = pytest.mark.skipif(
    shutil.which("nginx") is None, reason="nginx is not installed (Debian: apt-get install nginx)"
)


@contextmanager
def nginx(folder: Path, *ports: int) -> Iterator[str]:
    """nginx with the configuration of the team profile, as the present user; its address."""
    listen, text = f"127.0.0.1:{free_port()}", TEMPLATE.read_text()
    values = {"SERVING_LISTEN": listen, **{f"SERVING_REPLICA_{n}": f"127.0.0.1:{p}" for n, p in enumerate(ports, 1)}}
    for name, value in values.items():
        text = text.replace(f"${{{name}}}", value)
    (folder / "serving.conf").write_text(text)
    (folder / "nginx.conf").write_text(MAIN.format(folder=folder, user="user root;" if os.geteuid() == 0 else ""))
    with (folder / "nginx.log").open("wb") as output:
        command = ["nginx", "-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", "stderr"]
        process = subprocess.Popen(command, stdout=output, stderr=output)
    try:
        wait(lambda: httpx.get(f"http://{listen}/metrics", trust_env=False).status_code == 404, process)
        yield f"http://{listen}"
    finally:
        process.terminate()
        process.wait(timeout=30)


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A client of nginx whose replicas are not there."""
    with (
        nginx(tmp_path_factory.mktemp("nginx"), free_port(), free_port()) as address,
        httpx.Client(base_url=address, trust_env=False, timeout=30) as client,
    ):
        yield client


def ask(address: str, number: int, answers: list[httpx.Response]) -> None:
    with httpx.Client(base_url=address, timeout=60, trust_env=False) as client:
        for count in range(REQUESTS):
            headers = {"X-Request-ID": f"client-{number}-{count}"}
            answers.append(client.post(f"/v1/{NAME}/predict", json={"rows": [ROW]}, headers=headers))
            time.sleep(PAUSE)


@needs_nginx
@pytest.mark.faults
def test_a_replica_is_killed_under_load_and_no_client_notices(prepared: Path, tmp_path: Path) -> None:
    first, second = Replica(tmp_path / "first.log"), Replica(tmp_path / "second.log")
    began, answers = datetime.now(UTC), list[httpx.Response]()
    with started(first, second), nginx(tmp_path, first.port, second.port) as address:
        threads = [threading.Thread(target=ask, args=(address, number, answers)) for number in range(CLIENTS)]
        for thread in threads:
            thread.start()
        wait(lambda: len(answers) >= CLIENTS * REQUESTS // 4, second.process)
        first.kill()
        first.start()
        for thread in threads:
            thread.join()
        first.wait()
        wait(lambda: answered_by(tmp_path, address, first), first.process)
    assert len(answers) == CLIENTS * REQUESTS
    assert [each.text for each in answers if each.status_code != 200] == []
    assert all(each.headers["x-request-id"] == each.request.headers["x-request-id"] for each in answers)
    seen = [each.json()["request_id"] for each in answers]
    logged = read_online(NAME, began - timedelta(minutes=1), datetime.now(UTC) + timedelta(minutes=1))["request_id"]
    assert len(set(seen)) == len(seen)
    assert logged.filter(logged.is_in(seen)).sort().to_list() == sorted(seen)


def answered_by(folder: Path, address: str, replica: Replica) -> bool:
    """Whether it is asked again: whom nginx asked stands in its log."""
    answer = httpx.get(f"{address}/health/live", trust_env=False)
    lines = [orjson.loads(line) for line in (folder / "nginx.log").read_bytes().splitlines() if line.startswith(b"{")]
    asked = [each["replica"] for each in lines if each["request"] == answer.headers["x-request-id"]]
    return asked == [f"127.0.0.1:{replica.port}"]


@contextmanager
def answering(port: int) -> Iterator[None]:
    """What answers 200 to everything."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

    server = HTTPServer(("127.0.0.1", port), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@needs_nginx
def test_a_replica_that_is_back_is_asked_when_the_other_fails(tmp_path: Path) -> None:
    """Also by the first request after that, while it is still left alone for its own failures."""
    first, second = free_port(), free_port()
    with (
        nginx(tmp_path, first, second) as address,
        httpx.Client(base_url=address, trust_env=False, timeout=30) as client,
    ):
        with answering(second):
            assert [client.post("/v1/trips/predict").status_code for _ in range(20)] == [200] * 20
        with answering(first):
            assert [client.post("/v1/trips/predict").status_code for _ in range(20)] == [200] * 20


@needs_nginx
def test_without_a_replica_clients_are_told_to_come_back(alone: httpx.Client) -> None:
    answer = alone.post(f"/v1/{NAME}/predict", json={"rows": [ROW]})
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["status"] == 503 and answer.json()["detail"] == "no replica answers; ask again"


@needs_nginx
@pytest.mark.parametrize(
    ("path", "content", "status"),
    [("/v1/trips/predict", b"x" * (2**23 + 1), 413), ("/metrics", b"", 404), (f"/{'x' * 10_000}", b"", 414)],
)
def test_what_nginx_refuses_is_a_problem_document(alone: httpx.Client, path: str, content: bytes, status: int) -> None:
    answer = alone.post(path, content=content)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert {"type", "title", "status", "detail", "instance"} == answer.json().keys()
    assert answer.json()["status"] == status
    assert "retry-after" not in answer.headers


@needs_nginx
@pytest.mark.parametrize("value", ['"},{"', "a b", "x" * 129, ""])
def test_an_id_that_could_not_stand_in_a_log_is_replaced(alone: httpx.Client, value: str) -> None:
    answer = alone.get("/health/live", headers={"X-Request-ID": value})
    assert re.fullmatch("[0-9a-f]{32}", answer.headers["x-request-id"])
    assert answer.json()["instance"] == f"urn:request:{answer.headers['x-request-id']}"


@needs_nginx
def test_a_request_of_half_a_body_reaches_no_replica(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as replica, nginx(tmp_path, *[replica.getsockname()[1]] * 2) as address:
        host, port = address.removeprefix("http://").split(":")
        replica.settimeout(0.5)
        with socket.create_connection((host, int(port))) as client:
            client.sendall(b"POST /v1/trips/predict HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf")
            with pytest.raises(TimeoutError):
                replica.accept()


def test_the_limits_are_those_of_the_settings() -> None:
    text, defaults = TEMPLATE.read_text(), {name: field.default for name, field in Settings.model_fields.items()}

    def value(directive: str) -> int:
        found = re.search(rf"^\s*{directive} (\d+)[ms];", text, re.MULTILINE)
        assert found is not None, directive
        return int(found[1])

    assert value("client_max_body_size") * 2**20 == defaults["body_limit"]
    assert value("client_body_timeout") == defaults["request_timeout"]
    assert value("proxy_read_timeout") > defaults["request_timeout"]
