"""A run that Airflow was asked for and did not confirm is looked for, and is there once."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from include.local.airflow_client import AirflowClient, AirflowError

PATIENCE = 0.3  # seconds that the client waits for an answer


class Slow(ThreadingHTTPServer):
    """Answers a trigger too late; from ``starts`` on it has made the run all the same, from ``shows`` on it tells."""

    starts = shows = 1

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.triggered: list[dict[str, Any]] = []


class Handler(BaseHTTPRequestHandler):
    server: Slow

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path == "/auth/token":
            self.answer(201, {"access_token": "token"})
            return
        known = self.made()
        self.server.triggered.append(body)
        if known:
            self.answer(409, {"detail": "it is there"})
        else:
            time.sleep(3 * PATIENCE)

    def do_GET(self) -> None:
        told = self.made() if len(self.server.triggered) >= self.server.shows else ()
        self.answer(200, {"dag_runs": [run("another"), *map(run, told)]})

    def made(self) -> set[str]:
        return {each["dag_run_id"] for each in self.server.triggered[self.server.starts - 1 :]}

    def answer(self, status: int, content: dict[str, Any]) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Nothing is printed."""


def run(run_id: str) -> dict[str, Any]:
    now = datetime.now(UTC).isoformat()
    known = {"dag_id": "small.ingest", "dag_run_id": run_id, "state": "queued", "run_type": "manual", "conf": {}}
    times = {"run_after": now, "queued_at": now, "start_date": None, "end_date": None, "logical_date": None}
    return {**known, **times, "partition_key": None, "note": None}


@pytest.fixture
def airflow() -> Iterator[tuple[Slow, AirflowClient]]:
    with Slow() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        url = f"http://127.0.0.1:{server.server_address[1]}"
        with AirflowClient(url, "ann", "secret", timeout=PATIENCE, poll=0.02) as client:
            yield server, client
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("starts", "shows"),
    [
        pytest.param(1, 1, id="made"),
        pytest.param(2, 2, id="forgotten"),
        pytest.param(1, 2, id="made late"),
    ],
)
def test_a_run_without_an_answer_is_looked_for_and_started_once(
    airflow: tuple[Slow, AirflowClient], starts: int, shows: int
) -> None:
    server, client = airflow
    server.starts, server.shows = starts, shows
    started = client.trigger("small.ingest", {"start": "2013-01-07"})
    assert [each["dag_run_id"] for each in server.triggered] == [started.run_id] * shows
    assert server.triggered[-1]["conf"] == {"start": "2013-01-07"}


def test_a_run_that_cannot_be_started_is_an_error(airflow: tuple[Slow, AirflowClient]) -> None:
    server, client = airflow
    server.starts = 10
    with pytest.raises(AirflowError, match=r"POST .*small\.ingest/dagRuns: ReadTimeout"):
        client.trigger("small.ingest")
    assert len({each["dag_run_id"] for each in server.triggered}) == 1


def test_an_id_that_is_taken_is_an_error(airflow: tuple[Slow, AirflowClient]) -> None:
    _, client = airflow
    client.trigger("small.ingest", run_id="mine")
    with pytest.raises(AirflowError, match="409"):
        client.trigger("small.ingest", run_id="mine")
