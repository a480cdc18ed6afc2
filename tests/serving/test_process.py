"""The server as a process of its own, against a real registry and a real feature store."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from include.registry import models
from include.serving.prediction_log import read_online
from include.settings import REPOSITORY, get_settings
from tests.feature_store import CONFIG, build_store
from tests.model_store import register_constant
from tests.ports import free_port

NAME = "trips_late"


@pytest.fixture(scope="module")
def prepared(mlflow_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A home with features, a use case, and two versions of which the first is champion."""
    folder = tmp_path_factory.mktemp("process")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EVERGREEN_HOME", str(folder / "home"))
        patch.setenv("EVERGREEN_USE_CASE_PATHS", str(folder / "use_cases"))
        get_settings.cache_clear()
        (folder / "use_cases" / NAME).mkdir(parents=True)
        (folder / "use_cases" / NAME / "use_case.yaml").write_text(CONFIG)
        build_store()
        for number in (1, 2):
            register_constant(NAME, float(number))
        models.set_alias(NAME, models.CHAMPION, 1)
        models.set_alias(NAME, models.STAGING, 2)
        yield folder
    get_settings.cache_clear()


@pytest.fixture
def server(prepared: Path, request: pytest.FixtureRequest) -> Iterator[tuple[httpx.Client, Any]]:
    port = free_port()
    arguments = [sys.executable, "-m", "include.serving", "--port", str(port), *getattr(request, "param", [])]
    process = subprocess.Popen(arguments, cwd=REPOSITORY, env=dict(os.environ), stderr=subprocess.PIPE, text=True)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
            wait(lambda: client.get("/health/ready").status_code == 200, process)
            yield client, process
    finally:
        process.kill()
        process.communicate()


def wait(condition: Any, process: Any) -> None:
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        try:
            if condition():
                return
        except httpx.TransportError:
            assert process.poll() is None, process.stderr.read()
        time.sleep(0.1)
    raise AssertionError("it did not come true in time")


def test_it_serves_follows_and_stops(server: tuple[httpx.Client, Any], prepared: Path) -> None:
    client, process = server
    known = client.get(f"/v1/{NAME}/entities").json()
    assert known["entities"] == [{"trip_id": number} for number in (1, 2, 3, 4)]
    asked = {"entities": known["entities"], "as_of": known["as_of"], "explain": True}
    answer = client.post(f"/v1/{NAME}/predict", json=asked).json()
    assert [each["prediction"] for each in answer["predictions"]] == [1.0] * 4
    assert answer["predictions"][0]["features"] == {"distance": 900.0, "carrier": "AA", "night": True}
    models.set_alias(NAME, models.CHAMPION, 2)
    wait(lambda: client.get(f"/v1/{NAME}").json()["model"]["version"] == 2, process)
    after = client.post(f"/v1/{NAME}/predict", json={**asked, "entities": known["entities"][:1]}).json()
    assert (after["model"]["version"], after["predictions"][0]["prediction"]) == (2, 2.0)
    models.set_alias(NAME, models.CHAMPION, 1)
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=30) in (0, -signal.SIGTERM)
    now = datetime.now(UTC)
    log = read_online(NAME, now - timedelta(hours=1), now)
    assert set(log["request_id"]) == {answer["request_id"], after["request_id"]}
    assert log["trip_id"].to_list() == [1, 2, 3, 4, 1]


def test_the_port_opens_when_what_is_in_production_is_loaded(prepared: Path) -> None:
    port = free_port()
    command = [sys.executable, "-m", "include.serving", "--port", str(port)]
    process = subprocess.Popen(command, cwd=REPOSITORY, env=dict(os.environ), stderr=subprocess.PIPE, text=True)
    row = {"rows": [{"distance": 900, "carrier": "AA", "night": True}]}
    first: list[int] = []

    def answered() -> bool:
        first.append(httpx.post(f"http://127.0.0.1:{port}/v1/{NAME}/predict", json=row, timeout=30).status_code)
        return True

    try:
        wait(answered, process)
    finally:
        process.kill()
        process.communicate()
    assert first == [200]


@pytest.mark.parametrize("server", [["--alias", "staging", "--use-case", NAME]], indirect=True)
def test_it_serves_another_alias_beside(server: tuple[httpx.Client, Any]) -> None:
    client, _ = server
    status = client.get(f"/v1/{NAME}").json()
    assert (status["alias"], status["model"]["version"]) == ("staging", 2)


def test_the_machine_code_is_kept_in_the_home(server: tuple[httpx.Client, Any], prepared: Path) -> None:
    assert any((prepared / "home" / "cache" / "numba").rglob("*.nbc"))


def test_a_request_that_is_under_way_is_answered_before_the_end(server: tuple[httpx.Client, Any]) -> None:
    client, process = server
    host, port = client.base_url.host, client.base_url.port
    row = {"distance": 900, "carrier": "AA", "night": True}
    body = json.dumps({"rows": [row] * 1000}).encode()
    head = f"POST /v1/{NAME}/predict HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    with socket.create_connection((host, port), timeout=30) as connection:
        connection.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body[:-10])
        time.sleep(0.5)
        process.send_signal(signal.SIGTERM)
        time.sleep(0.5)
        assert process.poll() is None
        connection.sendall(body[-10:])
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 200")
    assert len(json.loads(answer.partition(b"\r\n\r\n")[2])["predictions"]) == 1000
    assert process.wait(timeout=30) in (0, -signal.SIGTERM)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--use-case", "nowhere"], "nowhere is none of trips_late"),
        (["--workers", "4"], "start one each on ports of their own"),
    ],
)
def test_a_wrong_argument_stops_the_start(prepared: Path, arguments: list[str], said: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "include.serving", *arguments],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert said in done.stderr
