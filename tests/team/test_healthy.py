"""What the health check of a worker says of the clock of its machine."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, HTTPServer
from time import time

import pytest

from include.team import healthy


class Elsewhere(BaseHTTPRequestHandler):
    """An API server on a machine whose clock is three hours ahead."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"{}")

    def date_time_string(self, timestamp: float | None = None) -> str:
        return formatdate(time() + 3 * 3600, usegmt=True)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: the test's output is its own."""


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with HTTPServer(("127.0.0.1", 0), Elsewhere) as server:
        monkeypatch.setattr(healthy, "API", f"http://127.0.0.1:{server.server_port}/")
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield
        server.shutdown()


def test_a_worker_whose_clock_is_wrong_is_not_well(
    api: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["healthy", "worker"])
    assert healthy.main() == 1
    assert "worker: the clock is wrong by -10800 s" in capsys.readouterr().err.replace("-10799", "-10800")
