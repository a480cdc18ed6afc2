from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

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
from include.pages.site import DASH
from include.settings import REPOSITORY
from tests.pages.observations import change, feature, findings, keep, outliers, record

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
    assert Observation.from_dict(record(NAME, "2013-01-07", findings=findings())).findings is not None


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


def found(page: str) -> dict[str, tuple[str, str]]:
    """What the page says that the monitor found: the state and the words of each line."""
    section = page.split("<h2>What the monitor found</h2>")[1].split("</section>", maxsplit=1)[0]
    cells = [re.findall(r"<td[^>]*>(.*?)</td>", row) for row in section.split("<tr>")[2:]]
    return {what: (state, words) for what, state, words in cells}


def test_what_the_monitor_found_is_told_in_a_line_each_with_its_report(client: TestClient) -> None:
    history.append(Decision(NAME, "promotion", "run-1", "promoted", 1, None, ("better",)))
    shifts = [
        {"kind": "concept", "columns": ["all rows"], "reasons": ["all rows: errors rose"]},
        {"kind": "covariate", "columns": list("abcd"), "reasons": [f"{name}: effect 0.2" for name in "abcd"]},
        {"kind": "season", "columns": ["temp"], "reasons": ["temp: as every spring"]},
    ]
    slices = [
        {"column": "season", "value": "spring", "rows": 60, "now": None, "interval": None, "gate": None},
        {"column": "season", "value": None, "rows": 70, "now": 0.7, "interval": None, "gate": 0.5},
    ]
    worth = {"rows": 950, "value": 1234.5, "nothing": None, "baseline": 0.0}
    service = {
        "requests": 1200, "predictions": 1300, "from_defaults": 5, "latency": {"p99": 0.0084}, "busiest": 1.0,
        "disk_free": 0.5, "resources": None, "notes": [],
    }  # fmt: skip
    kept = findings(
        shifts=shifts, slices=slices, value={"unit": "EUR", "window": worth, "days": {}}, service=service,
        outliers={"features": [outliers("dew", alarm=True), outliers("temp")],
                  "prediction": outliers("wind", alarm=True)},
        together={"separable": True, "reasons": ["AUC of 0.9"], "auc": 0.9, "p_value": 0.0, "n_reference": 9,
                  "n_current": 9, "features": []},
    )  # fmt: skip
    (*_, last) = keep(NAME, 2, findings=kept)
    assert Observation.from_dict(record(NAME, last, findings=kept)).findings is not None
    page = client.get(CASE).text
    assert found(page) == {
        "Shift: concept": ("have a look", "all rows: errors rose"),
        "Shift: covariate": ("have a look", "a: effect 0.2; b: effect 0.2; and 2 more"),
        "Shift: season": (DASH, "temp: as every spring"),
        "Outliers": ("have a look", "wind: more than the reference has; and 1 more"),
        "All features together": ("have a look", "AUC of 0.9"),
        "Against a constant": ("all right", "mae is 0.15 better than that of a constant (gain +0.1 to +0.2)"),
        "Slice that does worst against the gate": (DASH, "season missing: mae 0.7, at the gate 0.5, of 70 rows"),
        "Value": (DASH, "+1,234.5 EUR in 950 labelled predictions"),
        "Online service": (
            "have a look", "5 predicted without the online store; 1,200 requests, 1,300 predictions, p99 8.4 ms",
        ),
    }  # fmt: skip
    assert page.split("What the monitor found")[1].count(f'href="{CASE}/reports/{last}"') == 2
    assert page.count("<td>concept, covariate, season</td>") == 2


def test_what_could_not_be_told_is_not_all_right(client: TestClient) -> None:
    expected = {"metric": "mae", "value": 0.5, "interval": [0.4, 0.6]}
    keep(NAME, 1, findings=findings(
        changes=[change(computed=False)], outliers=None, gain=None,
        ahead={"rows": 1000, "days": 7, "metrics": [expected], "reason": ""},
    ))  # fmt: skip
    assert found(client.get(CASE).text) == {
        "Concept": ("not known", "3 days are too few to begin with"),
        "Outliers": ("not known", "nothing was predicted in the window"),
        "All features together": ("not known", "too few rows or days to tell them from the gate&#39;s"),
        "Expected": (DASH, "mae 0.5 (0.4 to 0.6) of 1,000 predictions, without their labels"),
    }


def test_where_nothing_moved_that_is_said_and_older_records_say_nothing(client: TestClient) -> None:
    keep(NAME, 1, findings=findings(shifts=[]))
    page = client.get(CASE).text
    assert found(page)["Shift"] == ("all right", "none of inputs, labels or concept")
    assert found(page)["Outliers"] == ("all right", "no more than in the reference")
    keep(NAME, 1)
    assert "What the monitor found" not in client.get(CASE).text


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
        findings=findings(
            shifts=[{"kind": "category", "columns": [HOSTILE], "reasons": [HOSTILE]}],
            outliers={"features": [outliers(HOSTILE, alarm=True)], "prediction": None},
        ),
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
