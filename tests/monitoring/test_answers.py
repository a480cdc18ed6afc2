"""What replicas say of themselves: a real server that tells the service's own counts, one that is closed, one away."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import pytest

from include.monitoring.answers import Answers, ask
from include.serving.metrics import Metrics

AWAY = "http://127.0.0.1:9"


def counted() -> bytes:
    ready = SimpleNamespace(generation=1, ready=True, deployment=None)
    follower = SimpleNamespace(registry=SimpleNamespace(reachable=True), states={"delays": ready})
    metrics = Metrics(follower, SimpleNamespace(dropped=0), {})
    for status, times in {200: 90, 422: 7, 500: 1, 503: 2}.items():
        for _ in range(times):
            metrics.request("delays", status, 0.01)
    metrics.request("another", 500, 0.01)
    return metrics.text()


class Replica(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        is_open = self.path == "/metrics"
        self.send_response(200 if is_open else 401)
        self.end_headers()
        self.wfile.write(counted() if is_open else b"")

    def log_message(self, *_: object) -> None:
        """Not in the test's output."""


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Replica)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_answers_are_counted_over_all_replicas(address: str) -> None:
    assert ask("delays", [address]) == Answers(1, 1, 100, 7, 3, ())
    found = ask("delays", [address, address])
    assert (found.ready, found.requests, found.availability) == (2, 200, pytest.approx(0.97))


def test_a_use_case_that_was_never_asked_for_has_no_availability(address: str) -> None:
    found = ask("fares", [address])
    assert (found.ready, found.requests, found.availability) == (0, 0, None)


def test_a_replica_that_is_away_or_closed_is_named_and_not_ready(address: str) -> None:
    found = ask("delays", [address, AWAY, f"{address}/closed"])
    assert (found.replicas, found.ready, found.requests) == (3, 1, 100)
    assert found.notes == (
        f"{AWAY} did not answer",
        f"{address}/closed/metrics gave no counts (status 401); EVERGREEN_METRICS_OPEN opens it",
    )
