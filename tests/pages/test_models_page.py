from __future__ import annotations

from pathlib import Path

import pytest
from fastapi import Depends, HTTPException
from fastapi.testclient import TestClient

from include.contract.loading import Folder
from include.pages.app import create_app
from include.promotion import decisions
from include.promotion.decisions import Decision


def refuse() -> None:
    raise HTTPException(401)


@pytest.fixture
def client(stations: Folder) -> TestClient:
    return TestClient(create_app([]))


def test_without_a_model_it_says_what_to_do(client: TestClient) -> None:
    page = client.get("/").text
    assert "Temperature at the airport in a day" in page
    assert "station_temperature.ingest" in page


def test_a_champion_is_shown_with_the_decision_that_made_it(client: TestClient) -> None:
    decisions.append(Decision("station_temperature", "promotion", "run", "promoted", 3, 2, ("it is better",)))
    page = client.get("/").text
    assert "version 3" in page
    assert "it is better" in page


def test_hostile_text_stays_text(client: TestClient) -> None:
    hostile = "<script>alert('x')</script>"
    decisions.append(Decision("station_temperature", "promotion", "run", "promoted", 1, None, (hostile,)))
    page = client.get("/").text
    assert hostile not in page
    assert "&lt;script&gt;" in page


def test_a_broken_use_case_is_shown_beside_the_others(
    client: TestClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "cases" / "broken" / "use_case.yaml"
    broken.parent.mkdir(parents=True)
    broken.write_text("name: broken")
    monkeypatch.setattr("include.settings.Settings.use_case_folders", (broken.parents[1],))
    page = client.get("/").text
    assert "broken/use_case.yaml" in page


@pytest.mark.parametrize(
    "path",
    ["/unknown/reports/2013-03-11", "/station_temperature/reports/2013-03-12", "/station_temperature/reports/x"],
)
def test_a_report_that_is_not_there_is_not_found(client: TestClient, path: str) -> None:
    assert client.get(path).status_code == 404


def test_no_file_outside_the_reports_can_be_read(client: TestClient) -> None:
    assert client.get("/station_temperature/reports/..%2F..%2Fdecisions").status_code == 404


@pytest.mark.parametrize("path", ["/", "/station_temperature/reports/2013-03-11"])
def test_every_page_requires_what_it_was_built_with(stations: Folder, path: str) -> None:
    assert TestClient(create_app([Depends(refuse)])).get(path).status_code == 401
