from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from fastapi.testclient import TestClient

from include.contract.loading import Folder
from include.deployment import ledger
from include.gate.check import Check, Verdict
from include.history import log as history
from include.history.log import Decision
from include.pages import versions
from include.pages.app import create_app
from include.settings import get_settings

NAME = "station_temperature"
CASE = f"/{NAME}"
HOSTILE = "<script>alert(1)</script>"


def judge(version: int, rmse: float, previous: int | None = None, *, limit: float = 15.0, extra: str = "") -> None:
    checks = [
        Check("rmse max", rmse <= limit, rmse, limit, f"rmse is {rmse}"),
        Check("gain", True, 0.5, 0.0, "gains 0.5"),
    ]
    checks += [Check(extra, True, None, None, extra)] if extra else []
    verdict = Verdict(str(version), str(previous), rmse <= limit, tuple(checks), ("decided",))
    outcome = "approved" if verdict.approved else "refused"
    history.append(
        Decision(NAME, "gate", f"run-{version}", outcome, version, previous, ("decided",), details=verdict.to_dict())
    )


def promote(version: int, previous: int | None) -> None:
    head = ledger.head(NAME)
    ledger.append(NAME, head, champion=version, previous=previous, kind="promotion")
    history.append(Decision(NAME, "promotion", f"run-{version}", "promoted", version, previous, ("better",), "ada"))


@pytest.fixture
def client(stations: Folder) -> TestClient:
    return TestClient(create_app([]))


@pytest.fixture
def judged(client: TestClient) -> TestClient:
    judge(1, 3.0)
    promote(1, None)
    judge(2, 2.5, 1, extra="new check")
    promote(2, 1)
    judge(3, 99.0, 2)
    return client


def test_before_the_first_verdict_it_says_so(client: TestClient) -> None:
    assert "No version has been judged yet." in client.get(f"{CASE}/versions").text


def test_the_versions_are_listed_with_their_role_and_their_verdict(judged: TestClient, stations: Folder) -> None:
    rows = versions.listing(stations).rows
    assert [(row.version, row.role, row.gate.outcome if row.gate else "") for row in rows] == [
        (3, "", "refused"),
        (2, "champion", "approved"),
        (1, "previous champion", "approved"),
    ]
    assert rows[1].gain == "gains 0.5"
    page = judged.get(f"{CASE}/versions").text
    assert "rmse is 99.0" in page


def test_of_a_long_log_the_newest_decisions_are_read(judged: TestClient, stations: Folder) -> None:
    found = versions.listing(stations, window=1)
    assert [row.version for row in found.rows] == [3]
    assert found.earlier


def test_a_version_shows_every_check_with_its_number_and_limit(judged: TestClient) -> None:
    page = judged.get(f"{CASE}/versions/3").text
    for shown in ("rmse max", "99", "15", "failed", "rmse is 99.0"):
        assert shown in page
    assert judged.get(f"{CASE}/versions/9").status_code == 404


def test_two_versions_are_compared_check_by_check(judged: TestClient) -> None:
    page = judged.get(f"{CASE}/compare", params={"first": 1, "second": 2}).text
    rows = [row for row in page.split("<tr") if "new check" in row or "rmse max" in row or "gain" in row]
    assert ["same" in row for row in rows] == [False, True, False]
    assert judged.get(f"{CASE}/compare", params={"first": 1, "second": 9}).status_code == 404


def test_a_log_that_cannot_be_read_is_told(judged: TestClient) -> None:
    path = get_settings().decisions / f"{NAME}.jsonl"
    path.write_bytes(path.read_bytes() + b"<b>spoilt</b>\n")
    page = judged.get(f"{CASE}/versions").text
    assert "is no entry" in page
    assert "<b>spoilt" not in page
    assert judged.get(f"{CASE}/versions/1").status_code == 500


class Stores(BaseHTTPRequestHandler):
    """MLflow's REST API and a serving replica, as far as the pages ask them."""

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        query = parse_qs(parts.query)
        if parts.path == f"/v1/{NAME}":
            self._send(
                {"model": {"version": 2}, "generation": 2, "challenger": None, "engine": "compiled", "problems": []}
            )
        elif parts.path.endswith("model-versions/get") and query["version"][0] in ("1", "2"):
            version = query["version"][0]
            tags = {
                "data_revision": version * 40,
                "last": "2013-03-04",
                "features": json.dumps(["temp", f"only {version}"]),
            }
            listed = [{"key": key, "value": value} for key, value in tags.items()]
            self._send({"model_version": {"run_id": f"run-{version}", "tags": listed}})
        elif parts.path.endswith("runs/get"):
            data = {"params": [{"key": "alpha", "value": HOSTILE}], "metrics": [{"key": "mae", "value": 0.25}]}
            self._send({"run": {"data": data}})
        else:
            self.send_error(404)

    def _send(self, content: Any) -> None:
        body = json.dumps(content).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Be quiet."""


@pytest.fixture
def stores(judged: TestClient, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Stores) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}"
        monkeypatch.setenv("EVERGREEN_MLFLOW_TRACKING_URI", address)
        monkeypatch.setenv("EVERGREEN_SERVING_REPLICAS", f"{address},http://127.0.0.1:9")
        get_settings.cache_clear()
        yield address
        server.shutdown()


def test_the_way_of_a_version_goes_from_the_data_to_the_replicas(judged: TestClient, stores: str) -> None:
    part = judged.get(f"{CASE}/versions/2/lineage").text
    stops = [
        "Data revision",
        "Feature definitions",
        "Training set",
        "MLflow run",
        "Version",
        "Gate",
        "Production",
        "Serving",
    ]
    where = [part.index(f"<b>{stop}</b>") for stop in stops]
    assert where == sorted(where)
    assert "2" * 40 in part
    assert f'href="{CASE}/data/2013-03-04"' in part
    assert f'href="{stores}/#/runs/run-2"' in part
    assert "1 of 2 replicas" in part
    assert HOSTILE not in part
    assert "&lt;script&gt;" in part


def test_what_two_versions_were_made_of_is_compared(judged: TestClient, stores: str) -> None:
    part = judged.get(f"{CASE}/compare/made", params={"first": 1, "second": 2}).text
    assert "only 1" in part and "only 2" in part
    assert "data revision" in part
    assert HOSTILE not in part


def test_without_mlflow_the_rest_of_the_way_is_shown(judged: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVERGREEN_MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("EVERGREEN_SERVING_REPLICAS", "http://127.0.0.1:9")
    get_settings.cache_clear()
    part = judged.get(f"{CASE}/versions/2/lineage").text
    assert "MLflow at http://127.0.0.1:9 does not tell" in part
    assert "<b>Gate</b>" in part
    assert "0 of 1 replicas" in part
    assert "no answer" in judged.get(f"{CASE}/replicas").text
    assert "does not tell" in judged.get(f"{CASE}/compare/made", params={"first": 1, "second": 2}).text
