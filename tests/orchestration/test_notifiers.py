"""Messages that reach a mail server and web hooks, through Airflow's connections."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from email import message_from_bytes
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller

from include import alerts
from include.contract.alerts import AlertChannel
from include.contract.loading import Folder
from include.orchestration import notifiers
from tests.ports import free_port

NAME = "station_temperature"
HOSTILE = 'unit <script>alert(1)</script> & "{{ conn.smtp_default.password }}"\r\nBcc: all@example.com'
MAIL = AlertChannel(via="email", to=("ada@example.com", "grace@example.com"))
HOOK = AlertChannel(via="webhook", connection="pager")
SLACK = AlertChannel(via="slack", connection="slack_ml")


class Mailbox:
    def __init__(self) -> None:
        self.received: list[Any] = []

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        self.received.append((envelope.rcpt_tos, message_from_bytes(envelope.content)))
        return "250 OK"


@pytest.fixture
def mailbox(monkeypatch: pytest.MonkeyPatch) -> Iterator[Mailbox]:
    box, port = Mailbox(), free_port()
    server = Controller(box, hostname="127.0.0.1", port=port)
    server.start()
    connection = {
        "conn_type": "smtp", "host": "127.0.0.1", "port": port,
        "extra": {"disable_ssl": True, "disable_tls": True, "from_email": "evergreen@example.com"},
    }  # fmt: skip
    monkeypatch.setenv("AIRFLOW_CONN_SMTP_DEFAULT", json.dumps(connection))
    yield box
    server.stop()


@pytest.fixture
def posts(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[str, dict[str, str], Any]]]:
    received: list[tuple[str, dict[str, str], Any]] = []

    class Answer(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            received.append((self.path, dict(self.headers), json.loads(body)))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"ok")

        def log_message(self, *_: Any) -> None:
            """Nothing on standard error."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    host = f"http://127.0.0.1:{server.server_port}"
    pager = {"conn_type": "http", "host": f"{host}/page", "extra": {"X-Key": "k17"}}
    monkeypatch.setenv("AIRFLOW_CONN_PAGER", json.dumps(pager))
    slack = {"conn_type": "slackwebhook", "host": f"{host}/services", "password": "T0/B0/secret"}
    monkeypatch.setenv("AIRFLOW_CONN_SLACK_ML", json.dumps(slack))
    yield received
    server.shutdown()
    thread.join()
    server.server_close()


def with_channels(use_case: Folder, *channels: AlertChannel) -> Folder:
    config = use_case.config
    told = config.alerts.model_copy(update={"notify": channels})
    return Folder(use_case.path, config.model_copy(update={"alerts": told}))


def test_a_mail_says_what_whose_and_where(stations: Folder, mailbox: Mailbox) -> None:
    alerts.raise_alert(NAME, "refused batch", "2013-01-07", HOSTILE)
    assert notifiers.watch_and_tell([with_channels(stations, MAIL)]) == 1
    ((recipients, mail),) = mailbox.received
    assert recipients == ["ada@example.com", "grace@example.com"]
    assert mail["Subject"] == f"[critical] {NAME}: refused batch 2013-01-07"
    assert mail["Bcc"] is None
    (part,) = mail.get_payload()
    text = part.get_payload(decode=True).decode()
    assert "&lt;script&gt;" in text and "<script>" not in text
    assert "{{ conn.smtp_default.password }}" in text  # what data says is no template
    assert stations.config.owners[0] in text
    assert f"/evergreen/{NAME}" in text and "docs/alerts.md#refused-batch" in text


def test_hooks_are_posted_to(stations: Folder, posts: list[tuple[str, dict[str, str], Any]]) -> None:
    alerts.raise_alert(NAME, "late data", "2013-01-07", "<!channel> & others")
    assert notifiers.watch_and_tell([with_channels(stations, HOOK, SLACK)]) == 2
    (path, headers, content), (slack_path, _, slack) = posts
    assert path == "/page" and headers["X-Key"] == "k17"
    assert (content["kind"], content["severity"], content["state"]) == ("late data", "warning", "open")
    assert content["message"] == "<!channel> & others"
    assert slack_path == "/services/T0/B0/secret"
    assert "&lt;!channel&gt; &amp; others" in slack["text"]


def test_one_that_cannot_be_reached_keeps_no_other_from_being_told(
    stations: Folder, mailbox: Mailbox, posts: list[tuple[str, dict[str, str], Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = {"conn_type": "http", "host": f"http://127.0.0.1:{free_port()}"}
    monkeypatch.setenv("AIRFLOW_CONN_GONE", json.dumps(gone))
    use_case = with_channels(stations, AlertChannel(via="webhook", connection="gone"), MAIL)
    alerts.raise_alert(NAME, "late data", "2013-01-07", "late")
    for _ in range(2):
        with pytest.raises(ExceptionGroup, match="not everybody"):
            notifiers.watch_and_tell([use_case])
    assert len(mailbox.received) == 1
    monkeypatch.setenv("AIRFLOW_CONN_GONE", os.environ["AIRFLOW_CONN_PAGER"])
    assert notifiers.watch_and_tell([use_case]) == 1
    assert [content["message"] for _, _, content in posts] == ["late"]


@pytest.fixture(autouse=True)
def _home(home: Path) -> None:
    """Every test has its own stores."""
