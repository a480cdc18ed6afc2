from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest
import yaml
from fastapi.testclient import TestClient

from include import alerts
from include.contract.loading import FILE, Folder
from include.deployment import ledger
from include.history import log as history
from include.history.log import Decision
from include.monitoring.observation import Observation, record_file
from include.pages import observed, use_case
from include.pages.app import create_app
from include.serving import prediction_log
from include.settings import REPOSITORY
from tests.pages.observations import feature, keep, record

NAME = "station_temperature"
CASE = f"/{NAME}"
HOSTILE = "<script>alert('x')</script>"


@pytest.fixture
def client(stations: Folder) -> TestClient:
    return TestClient(create_app([]))


@pytest.fixture
def watched(client: TestClient) -> TestClient:
    """Version 2 took over from version 1 in the middle of 30 weeks."""
    for version in (1, 2):
        history.append(Decision(NAME, "promotion", f"run-{version}", "promoted", version, None, ("better",), "ada"))
    keep(NAME, 30, versions=(1, 2))
    return client


def test_the_made_records_are_those_of_the_monitor() -> None:
    assert Observation.from_dict(record(NAME, "2013-01-07")).last == "2013-01-07"


def test_the_card_tells_champion_quality_drift_and_light(watched: TestClient) -> None:
    page = watched.get("/").text
    for shown in ("version 2", "All right", "mae", "promised 0.46", "1 of 5 features", "95 % of the labels"):
        assert shown in page, shown
    assert f'id="spark-{NAME}"' in page
    part = watched.get("/sparklines").text
    assert f'data-for="spark-{NAME}"' in part
    assert "1 change of the version" in part  # for who cannot see it
    assert len(re.findall(r'<rect class="hit"', part)) == 30


def test_the_page_draws_quality_and_drift_with_axes_and_values(watched: TestClient) -> None:
    page = watched.get(CASE).text
    assert page.count('<svg class="chart broad"') == page.count('<svg class="chart narrow"') == 3
    assert "2013-01-07: 0.45 [0.43, 0.47], champion 1" in page
    assert "version 2</text>" in page
    assert f'href="{CASE}/reports/2013-07-29"' in page


def test_the_span_can_be_chosen_and_nonsense_is_the_default(watched: TestClient, stations: Folder) -> None:
    assert use_case.page(stations, "120").span == 120
    assert use_case.page(stations, "1e9").span == use_case.page(stations).span == 60
    assert watched.get(CASE, params={"span": HOSTILE}).status_code == 200


def test_a_record_that_is_written_anew_is_read_anew(watched: TestClient) -> None:
    (key,) = keep(NAME, 1)
    assert observed.points(NAME, 30)[0].value == pytest.approx(0.45)
    path = record_file(NAME, key)
    path.write_text(path.read_text().replace('"mae": 0.45', '"mae": 0.25'))
    os.utime(path, ns=(time.time_ns(), path.stat().st_mtime_ns + 1))
    assert observed.points(NAME, 30)[0].value == 0.25


def test_a_record_that_cannot_be_read_makes_the_model_ill(watched: TestClient) -> None:
    record_file(NAME, "2013-07-29").write_text('{"first": 1}')
    assert watched.get("/sparklines").status_code == 200
    for page in ("/", CASE):
        answer = watched.get(page)
        assert answer.status_code == 200
        assert "Not all right" in answer.text
        assert "2013-07-29.json: is no observation" in answer.text


def test_the_cost_does_not_grow_with_the_history(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is read: the newest records, and of the log no more than until the newest promotion."""
    read: list[Path] = []
    original = Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes", lambda path: read.append(path) or original(path))
    history.append(Decision(NAME, "promotion", "run-1", "promoted", 1, None, ("better",)))
    keep(NAME, 80)
    observed._point.cache_clear()
    for page, records in (("/", 1), ("/sparklines", 30), ("/sparklines", 0), (CASE, 31)):
        read.clear()
        client.get(page)
        assert len([path for path in read if path.parent == record_file(NAME, "x").parent]) == records


def test_an_open_alert_is_told_with_where_to_look(watched: TestClient) -> None:
    alerts.raise_alert(NAME, "refused batch", "2013-08-05", f"no rows {HOSTILE}")
    for address in ("/", CASE):
        page = watched.get(address).text
        assert f'href="{CASE}/data/2013-08-05"' in page
        assert "Not all right" in page
        assert HOSTILE not in page


def test_a_version_on_trial_is_named(watched: TestClient) -> None:
    first = ledger.append(NAME, None, champion=2, previous=1, kind="promotion")
    ledger.append(NAME, first, champion=2, previous=1, kind="rollout", challenger=3, mode="canary", weight=0.2)
    assert "Version 3 is tried beside it as canary with 20 % of the requests" in watched.get("/").text
    assert "canary, 20 % of the requests" in watched.get(CASE).text


def test_hostile_names_and_reasons_stay_text(client: TestClient) -> None:
    history.append(Decision(NAME, "promotion", "run", "promoted", 1, None, (HOSTILE,), HOSTILE))
    keep(
        NAME, 3,
        drift={"features": [feature(HOSTILE, drifted=True)], "prediction": feature(HOSTILE)},
        quality={"reasons": [HOSTILE]}, decision={"action": "no", "reasons": [HOSTILE]},
    )  # fmt: skip
    for address in ("/", CASE):
        page = client.get(address).text
        assert "<script>" not in page
        assert "&lt;script&gt;" in page


def test_a_hostile_title_stays_text(stations: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "cases" / NAME
    shutil.copytree(stations.path, folder)
    content = yaml.safe_load((folder / FILE).read_text()) | {"title": HOSTILE, "owners": [HOSTILE]}
    (folder / FILE).write_text(yaml.safe_dump(content))
    monkeypatch.setattr("include.settings.Settings.use_case_folders", (folder.parent,))
    client = TestClient(create_app([]))
    for address in ("/", CASE, f"{CASE}/versions", f"{CASE}/data", f"{CASE}/predictions", f"{CASE}/history"):
        page = client.get(address).text
        assert "<script>" not in page
        assert "&lt;script&gt;alert" in page


def test_before_the_first_model_the_pages_say_what_to_do(client: TestClient) -> None:
    for address in ("/", CASE):
        assert f"{NAME}.ingest" in client.get(address).text
    assert "No rollout" not in client.get(f"{CASE}/rollout").text
    assert "Give the id of a request" in client.get(f"{CASE}/predictions").text


@pytest.fixture
def predicted(client: TestClient) -> TestClient:
    frame = pl.DataFrame(
        {
            "request_id": ["r-1", "r-2"], "station": ["EWR", HOSTILE],
            "event_timestamp": [datetime(2013, 3, 4, 5, tzinfo=UTC)] * 2, "prediction": [41.5, 20.0],
            "model_version": [2, 2], "run_id": ["run-2"] * 2, "temp": [39.0, None], "sky": [HOSTILE, "clear"],
        },
        schema_overrides={"event_timestamp": prediction_log.INSTANT},
    )  # fmt: skip
    prediction_log.write_batch(NAME, "2013-03-04", frame)
    return client


def test_a_prediction_is_found_by_its_entity_and_leads_back(predicted: TestClient) -> None:
    query = {"key.station": "EWR", "first": "2013-03-01", "last": "2013-03-10"}
    page = predicted.get(f"{CASE}/predictions", params=query).text
    assert "41.5" in page
    assert f'data-load="{CASE}/versions/2/lineage"' in page
    assert "<code>temp</code>" in page
    assert HOSTILE not in page
    assert "Nothing was predicted" in predicted.get(f"{CASE}/predictions", params={**query, "key.station": "JFK"}).text


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ({"first": "2013-03-10", "last": "2013-03-01"}, "the first day comes after the last"),
        ({"first": "1970-01-01", "last": "2013-03-01"}, "is too long"),
        ({"first": HOSTILE}, "&lt;script&gt;"),
    ],
)
def test_a_bad_question_is_answered_in_words(predicted: TestClient, query: dict[str, str], told: str) -> None:
    answer = predicted.get(f"{CASE}/predictions", params={"key.station": "EWR", **query})
    assert answer.status_code == 400
    assert told in answer.text
    assert "<script>" not in answer.text


def test_the_pages_need_no_network_and_no_script_but_their_own(watched: TestClient) -> None:
    for address in ("/", CASE, f"{CASE}/versions", f"{CASE}/history"):
        answer = watched.get(address)
        assert re.findall(r'<(?:script|link|img)[^>]+(?:src|href)="https?://', answer.text) == []
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy and "unsafe" not in policy
        assert re.findall(r"<script(?! src)|<style| on\w+=| style=", answer.text) == []


def test_style_and_script_are_kept_by_browsers_until_they_change(client: TestClient) -> None:
    files = re.findall(r'(?:src|href)="(/static/[^"]+)"', client.get("/").text)
    assert len(files) == 2
    for file in files:
        assert "immutable" in client.get(file).headers["cache-control"]
    assert client.get("/static/..%2Fsite.py").status_code == 404


def test_no_page_imports_a_large_library(watched: TestClient) -> None:
    code = (
        "import sys; from fastapi.testclient import TestClient; from include.pages.app import create_app\n"
        "client = TestClient(create_app([]))\n"
        f"pages = ['/', *('/{NAME}' + page for page in "
        "('', '/versions', '/history', '/data', '/features', '/predictions?request_id=x', '/rollout', '/replicas'))]\n"
        "assert [client.get(page).status_code for page in pages] == [200] * len(pages)\n"
        "print({'feast', 'mlflow', 'great_expectations', 'pandas', 'sklearn', 'matplotlib'} & {*sys.modules})"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code], cwd=REPOSITORY, env={**os.environ}, capture_output=True, text=True, check=True
    )
    assert ran.stdout.strip() == "set()"
