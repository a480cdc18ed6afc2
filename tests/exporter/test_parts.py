"""Which parts of a team's system are well, asked of real sockets."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from include.exporter import parts
from include.exporter.parts import Parts
from include.settings import Settings
from tests.ports import free_port


def up(settings: Settings, objects: str = "") -> dict[str, float]:
    registry = CollectorRegistry()
    registry.register(Parts(settings, objects))
    return {sample.labels["part"]: sample.value for family in registry.collect() for sample in family.samples}


@contextmanager
def airflow(status: int, health: object) -> Iterator[str]:
    """A server that answers as Airflow does when it is asked for its health."""

    class Health(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            assert self.path == "/api/v2/monitor/health"
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps(health).encode())

        def log_message(self, *_: object) -> None:
            """Nobody reads it."""

    with HTTPServer(("127.0.0.1", 0), Health) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_on_one_machine_there_is_nothing_to_ask() -> None:
    assert up(Settings()) == {}


def test_a_store_that_takes_connections_is_up_and_one_that_does_not_is_down() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        settings = Settings(
            redis=f"redis://:secret@127.0.0.1:{port}/1",
            feature_registry=f"postgresql+psycopg2://features:secret@127.0.0.1:{free_port()}/features",
        )
        assert up(settings, f"http://127.0.0.1:{port}") == {"redis": 1.0, "postgres": 0.0, "objects": 1.0}


def test_a_name_that_nobody_knows_is_down() -> None:
    assert up(Settings(redis="redis://nowhere.invalid/1")) == {"redis": 0.0}


def test_a_name_that_is_looked_for_without_end_is_down_and_keeps_nobody_waiting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found, look = threading.Event(), socket.getaddrinfo

    def getaddrinfo(host: str, *rest: Any, **named: Any) -> Any:
        if host == "gone":
            found.wait(60)
        return look("127.0.0.1" if host == "gone" else host, *rest, **named)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    monkeypatch.setattr(parts, "ANSWER", 0.5)
    try:
        with socket.create_server(("127.0.0.1", 0)) as listening:
            port = listening.getsockname()[1]
            settings = Settings(redis=f"redis://127.0.0.1:{port}/1")
            assert up(settings, f"http://gone:{port}") == {"redis": 1.0, "objects": 0.0}
    finally:
        found.set()


def test_airflow_tells_of_its_parts() -> None:
    health = {
        "metadatabase": {"status": "healthy"},
        "scheduler": {"status": "unhealthy"},
        "triggerer": {"status": None},
    }
    with airflow(200, health) as address:
        assert up(Settings(airflow_address=address)) == {"api_server": 1.0, "metadatabase": 1.0, "scheduler": 0.0}


def test_where_airflow_does_not_tell_its_api_server_is_down() -> None:
    with airflow(500, {}) as broken, airflow(200, ["nonsense"]) as strange:
        for address in (broken, strange, f"http://127.0.0.1:{free_port()}"):
            assert up(Settings(airflow_address=address)) == {"api_server": 0.0}
