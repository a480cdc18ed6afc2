from __future__ import annotations

import re
import shutil
from pathlib import Path

import polars as pl
import pytest
from fastapi import Depends, HTTPException
from fastapi.testclient import TestClient

from include.contract.loading import Folder
from include.files import write_json
from include.history import log as history
from include.history.log import Decision
from include.ingestion import ingest, landing, versions
from include.ingestion.validation import RefusedBatchError
from include.monitoring import evidently_report
from include.pages.app import create_app
from include.settings import get_settings
from tests.conftest import USE_CASES


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
    history.append(Decision("station_temperature", "promotion", "run", "promoted", 3, 2, ("it is better",)))
    assert "version 3" in client.get("/").text
    assert "it is better" in client.get("/station_temperature/versions/3").text


def test_the_card_of_a_version_and_what_came_of_making_it_again_are_shown(client: TestClient) -> None:
    history.append(Decision("station_temperature", "promotion", "run", "promoted", 3, 2, ("it is better",)))
    page = "/station_temperature/versions/3"
    assert "cards/3" not in client.get(page).text
    card = get_settings().cards / "station_temperature" / "3.html"
    card.parent.mkdir(parents=True)
    card.write_text("<h1>A card</h1>", encoding="utf-8")
    write_json(get_settings().reproductions / "station_temperature" / "3.json", {"outcome": "within tolerance"})
    for address in (page, "/station_temperature/versions"):
        assert 'href="/station_temperature/cards/3"' in client.get(address).text
        assert "within tolerance" in client.get(address).text
    answer = client.get("/station_temperature/cards/3")
    assert answer.text == "<h1>A card</h1>"
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert client.get("/station_temperature/cards/2").status_code == 404
    assert client.get("/station_temperature/cards/x").status_code == 422


def test_hostile_text_stays_text(client: TestClient) -> None:
    hostile = "<script>alert('x')</script>"
    history.append(Decision("station_temperature", "promotion", "run", "promoted", 1, None, (hostile,)))
    page = client.get("/station_temperature/versions/1").text
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
    whole = broken.parents[1] / "station_temperature"
    shutil.copytree(USE_CASES / "station_temperature", whole)
    assert client.get("/station_temperature").status_code == 200
    assert client.get("/broken").status_code == 404
    (whole / "use_case.yaml").write_text((whole / "use_case.yaml").read_text().replace("at the airport", "in town"))
    assert "Temperature in town in a day" in client.get("/").text


@pytest.mark.parametrize(
    "path",
    ["/unknown/reports/2013-03-11", "/station_temperature/reports/2013-03-12", "/station_temperature/reports/x"],
)
def test_a_report_that_is_not_there_is_not_found(client: TestClient, path: str) -> None:
    assert client.get(path).status_code == 404


def test_no_file_outside_the_reports_can_be_read(client: TestClient) -> None:
    assert client.get("/station_temperature/reports/..%2F..%2Fdecisions").status_code == 404


def test_a_report_of_evidently_may_draw_and_reach_nothing(client: TestClient) -> None:
    address = "/station_temperature/reports/2013-03-11/evidently"
    assert client.get(address).status_code == 404
    page = evidently_report.file("station_temperature", "2013-03-11")
    page.parent.mkdir(parents=True)
    page.write_text("<h1>Evidently</h1>", encoding="utf-8")
    answer = client.get(address)
    assert answer.text == "<h1>Evidently</h1>"
    policy = {words[0]: words[1:] for words in map(str.split, answer.headers["content-security-policy"].split(";"))}
    assert policy["sandbox"] == ["allow-scripts"]
    assert policy["default-src"] == ["'none'"]
    assert policy["script-src"] == ["'unsafe-inline'"]
    assert not {"connect-src", "frame-src", "form-action"} & set(policy)
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert client.get("/station_temperature/reports/..%2F2013-03-11/evidently").status_code == 404


@pytest.mark.parametrize(
    "path", ["/", "/station_temperature/reports/2013-03-11", "/station_temperature/reports/2013-03-11/evidently"]
)
def test_every_page_requires_what_it_was_built_with(stations: Folder, path: str) -> None:
    assert TestClient(create_app([Depends(refuse)])).get(path).status_code == 401


@pytest.fixture
def ingested(stations: Folder) -> Folder:
    versions.initialize()
    partitions = stations.config.calendar.parse("2013-02-04/2013-02-11")
    landing.land(stations, partitions)
    ingest.check(stations, partitions)
    ingest.publish(stations, partitions, origin="run-17")
    return stations


def test_the_data_of_a_use_case_is_listed_newest_first(client: TestClient, ingested: Folder) -> None:
    page = client.get("/station_temperature/data").text
    assert page.index("2013-02-11") < page.index("2013-02-04")
    assert versions.head()[:12] in page


def test_a_partition_shows_its_quarantine_its_checks_and_its_versions(client: TestClient, ingested: Folder) -> None:
    page = client.get("/station_temperature/data/2013-02-11").text
    assert "1048.36058" in page
    assert "station_temperature.replay" in page
    assert "expect_compound_columns_to_be_unique" in page
    assert "Run: run-17" in page
    assert 'href="/station_temperature/data/2013-02-11/docs/weather"' in page


def test_the_data_docs_are_the_library_s_and_need_no_network(client: TestClient, ingested: Folder) -> None:
    answer = client.get("/station_temperature/data/2013-02-11/docs/weather")
    assert "Must have greater than or equal to" in answer.text
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    loaded = re.findall(r'<(?:script|link|img|source)[^>]+(?:src|srcset|href)="https?://', answer.text)
    assert loaded == []
    assert re.findall(r'<script|<[^>]+\son[a-z]+="', answer.text) == []  # nothing that the browser has to refuse


def test_a_refused_delivery_is_shown_with_its_cause(
    client: TestClient, ingested: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    partitions = ingested.config.calendar.parse("2013-02-18")
    whole = ingested.source.read(partitions[0])["weather"]
    monkeypatch.setattr(ingested.source, "read", lambda _: {"weather": pl.concat([whole, whole])})
    landing.land(ingested, partitions)
    with pytest.raises(RefusedBatchError):
        ingest.check(ingested, partitions)
    for path in ("/", "/station_temperature/data", "/station_temperature/data/2013-02-18"):
        assert "expect_compound_columns_to_be_unique(station+observed_at)" in client.get(path).text
    assert "nothing of it was published" in client.get("/station_temperature/data/2013-02-18").text


def test_before_the_first_partition_the_page_says_what_to_do(client: TestClient) -> None:
    assert "station_temperature.ingest" in client.get("/station_temperature/data").text


@pytest.mark.parametrize(
    "path",
    [
        "/unknown/data", "/station_temperature/data/2013-02-25", "/station_temperature/data/x",
        "/station_temperature/data/2013-02-11/docs/orders",
        "/station_temperature/data/2013-02-11/docs/%2e%2e%2fweather",
    ],
)  # fmt: skip
def test_data_that_is_not_there_is_not_found(client: TestClient, ingested: Folder, path: str) -> None:
    assert client.get(path).status_code == 404
