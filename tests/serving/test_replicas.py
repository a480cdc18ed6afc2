"""Two replicas behind nginx, one of which is killed under load: no client notices."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from include.serving.prediction_log import read_online
from include.settings import REPOSITORY, Settings
from tests.serving.test_process import NAME, free_port, prepared, wait

TEMPLATE = REPOSITORY / "config" / "nginx" / "serving.conf.template"
INSTALLED = shutil.which("nginx") is not None
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

needs_nginx = pytest.mark.skipif(not INSTALLED, reason="nginx is not installed (Debian: apt-get install nginx)")
__all__ = ["prepared"]


@dataclass
class Replica:
    """A serving process that can be killed and started again on the same port."""

    port: int
    log: Path
    process: subprocess.Popen[bytes] = field(init=False)

    def start(self) -> None:
        command = [sys.executable, "-m", "include.serving", "--port", str(self.port)]
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(command, cwd=REPOSITORY, env=dict(os.environ), stdout=output, stderr=output)

    def wait(self) -> None:
        deadline = time.monotonic() + 120
        while not self.ready():
            assert self.process.poll() is None and time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.1)

    def ready(self) -> bool:
        try:
            return httpx.get(f"http://127.0.0.1:{self.port}/health/ready", trust_env=False).status_code == 200
        except httpx.TransportError:
            return False

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


@contextmanager
def nginx(folder: Path, ports: list[int]) -> Iterator[str]:
    """nginx with the configuration of the team profile, as the present user; its address."""
    listen = f"127.0.0.1:{free_port()}"
    text = TEMPLATE.read_text()
    values = {"SERVING_LISTEN": listen, **{f"SERVING_REPLICA_{n}": f"127.0.0.1:{p}" for n, p in enumerate(ports, 1)}}
    for name, value in values.items():
        text = text.replace(f"${{{name}}}", value)
    (folder / "serving.conf").write_text(text)
    (folder / "nginx.conf").write_text(MAIN.format(folder=folder, user="user root;" if os.geteuid() == 0 else ""))
    with (folder / "nginx.log").open("wb") as output:
        command = ["nginx", "-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", "stderr"]
        process = subprocess.Popen(command, stdout=output, stderr=output)
    try:
        with httpx.Client(base_url=f"http://{listen}", trust_env=False) as client:
            wait(lambda: client.get("/health/live").status_code == 200, process)
        yield f"http://{listen}"
    finally:
        process.terminate()
        process.wait(timeout=30)


@pytest.fixture
def replicas(prepared: Path, tmp_path: Path) -> Iterator[tuple[Replica, Replica]]:
    both = Replica(free_port(), tmp_path / "first.log"), Replica(free_port(), tmp_path / "second.log")
    with ExitStack() as stack:
        for each in both:
            each.start()
            stack.callback(each.kill)
        for each in both:
            each.wait()
        yield both


@dataclass(frozen=True)
class Answer:
    at: float
    status: int
    request_id: str
    replica: str


def ask(address: str, number: int, requests: int, answers: list[Answer]) -> None:
    with httpx.Client(base_url=address, timeout=30, trust_env=False) as client:
        for count in range(requests):
            headers = {"X-Request-ID": f"client-{number}-{count}"}
            response = client.post(f"/v1/{NAME}/predict", json={"rows": [ROW]}, headers=headers)
            content = response.json() if response.status_code == 200 else {}
            assert response.headers["x-request-id"] == headers["X-Request-ID"]
            answers.append(Answer(time.monotonic(), response.status_code, content.get("request_id", ""), ""))
            time.sleep(PAUSE)


@needs_nginx
def test_a_replica_is_killed_under_load_and_no_client_notices(
    replicas: tuple[Replica, Replica], tmp_path: Path
) -> None:
    began = datetime.now(UTC)
    answers: list[Answer] = []
    with nginx(tmp_path, [each.port for each in replicas]) as address:
        threads = [threading.Thread(target=ask, args=(address, n, REQUESTS, answers)) for n in range(CLIENTS)]
        for thread in threads:
            thread.start()
        wait(lambda: len(answers) >= 100, replicas[1].process)
        replicas[0].kill()
        killed = len(answers)
        replicas[0].start()
        for thread in threads:
            thread.join()
    assert len(answers) == CLIENTS * REQUESTS
    assert {each.status for each in answers} == {200}
