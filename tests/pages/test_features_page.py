from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from fastapi.testclient import TestClient

from include.contract.loading import Folder
from include.features import catalogue, in_use
from include.features.catalogue import Catalogue, Entity, Field, Service, View
from include.features.moments import microseconds
from include.features.online.opening import open_rows
from include.features.online.rows import Row, encoder, key_of
from include.files import write_json
from include.monitoring import parity
from include.monitoring.parity import Example, FeatureParity, Parity
from include.pages.app import create_app
from include.pages.features import in_words
from include.registry.models import ModelVersion
from include.settings import REPOSITORY, get_settings

NAME = "station_temperature"
PAGE = f"/{NAME}/features"
TEMP = Field("temp", "Float64", "Degrees Fahrenheit.", {"kind": "measured"})
VIEW = View(
    name="observation", kind="push", entities=("station",), join_keys=("station",), ttl_seconds=2 * 86400,
    source="reports", owner="weather@evergreen.example", description="What a station measured.",
    tags={"cadence": "hourly"}, fields=(TEMP, replace(TEMP, name="dewp")),
)  # fmt: skip
CATALOGUE = Catalogue(
    use_case=NAME,
    definition_hash="0123456789abcdef",
    entities=(Entity("station", "station", "STRING", "us", "A station.", {"kind": "place"}),),
    views=(VIEW,),
    services=(Service(NAME, "us", "For the model.", {}, (("observation", "temp"), ("observation", "dewp"))),),
    applied_at="2013-05-01T12:00:00+00:00",
)


@pytest.fixture
def client(stations: Folder) -> TestClient:
    return TestClient(create_app([]))


def test_before_anything_is_applied_the_page_says_what_to_do(client: TestClient) -> None:
    page = client.get(PAGE).text
    assert "make up" in page
    assert f"{NAME}.features" in page


def test_the_catalogue_is_shown_in_words(client: TestClient) -> None:
    catalogue.write(CATALOGUE)
    page = client.get(PAGE).text
    for shown in (
        "observation", "push", "2 days", "weather@evergreen.example", "What a station measured.", "cadence: hourly",
        "Float64", "Degrees Fahrenheit.", "kind: measured", "reports", "For the model.", "0123456789ab",
        "2013-05-01 12:00", "A station.",
    ):  # fmt: skip
        assert shown in page, shown


def test_what_the_champion_reads_is_marked(client: TestClient) -> None:
    catalogue.write(CATALOGUE)
    versions = [ModelVersion(NAME, number, f"run-{number}", "", ("temp",), "", {}) for number in (3, 2)]
    in_use.record(versions[0], replace(versions[1], features=("temp", "dewp")))
    page = client.get(PAGE).text
    assert f'version <a href="/{NAME}/versions/3">3</a>' in page
    rows = {name: row for row in page.split("<tr>") for name in ("temp", "dewp") if f"<code>{name}</code>" in row}
    assert ">champion, previous champion<" in rows["temp"]
    assert ">previous champion<" in rows["dewp"]


def test_hostile_descriptions_tags_and_names_stay_text(client: TestClient) -> None:
    hostile = "<script>alert('x')</script>"
    field = Field(hostile, hostile, hostile, {hostile: hostile})
    view = replace(
        VIEW, name=hostile, owner=hostile, description=hostile, source=hostile, entities=(hostile,),
        tags={hostile: hostile}, fields=(field,),
    )  # fmt: skip
    service = Service(hostile, hostile, hostile, {}, ((hostile, hostile),))
    entity = Entity(hostile, hostile, hostile, hostile, hostile, {})
    catalogue.write(replace(CATALOGUE, views=(view,), services=(service,), entities=(entity,)))
    page = client.get(PAGE).text
    assert "<script>" not in page
    assert "&lt;script&gt;" in page


def test_it_needs_no_network_and_is_found_from_the_models_page(client: TestClient) -> None:
    catalogue.write(CATALOGUE)
    assert re.findall(r'(?:src|href)="https?://', client.get(PAGE).text) == []
    assert f'href="/{NAME}"' in client.get("/").text
    assert f'href="/{NAME}/features"' in client.get(f"/{NAME}").text


def test_an_unknown_use_case_has_no_features(client: TestClient) -> None:
    assert client.get("/unknown/features").status_code == 404


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (172800.0, "2 days"), (86400.0, "1 day"), (5400.0, "1 hour 30 minutes"),
        (90061.0, "1 day 1 hour 1 minute 1 second"), (None, "without end"),
    ],
)  # fmt: skip
def test_a_time_to_live_is_told_in_words(seconds: float | None, words: str) -> None:
    assert in_words(seconds) == words


def test_the_pages_do_not_import_large_libraries() -> None:
    code = "import sys, include.pages.features; print({'feast', 'mlflow', 'great_expectations'} & {*sys.modules})"
    ran = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "set()"


def stored(at: datetime) -> None:
    rows = [Row(key_of(["EWR"]), microseconds(at), microseconds(at), encoder(["temp"])([1.0]))]
    open_rows().write("evergreen:observation", rows, source="2013-01-07", keep=None)


def test_how_fresh_a_view_is_online_is_said(client: TestClient) -> None:
    catalogue.write(CATALOGUE)
    assert "no row yet" in client.get(PAGE).text
    stored(datetime(2013, 5, 1, 12, tzinfo=UTC))
    page = client.get(PAGE).text
    assert "newest 2013-05-01 12:00 UTC" in page
    assert re.search(r"failed\W+expired", page)
    stored(datetime.now(UTC) - timedelta(hours=3, minutes=5, seconds=1))
    page = client.get(PAGE).text
    assert "3 hours 5 minutes old" in page
    assert re.search(r"passed\W+fresh", page)


def test_an_online_store_that_cannot_be_read_is_told_and_the_rest_is_shown(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    catalogue.write(CATALOGUE)
    monkeypatch.setenv("EVERGREEN_REDIS", "redis://127.0.0.1:1/0")
    get_settings.cache_clear()
    page = client.get(PAGE).text
    assert "the online store cannot be read: ConnectionError" in page
    assert "What a station measured." in page


def test_features_that_differ_are_shown_with_examples(client: TestClient) -> None:
    catalogue.write(CATALOGUE)
    assert "No online prediction has been compared yet" in client.get(PAGE).text
    example = Example("r1", "station <b>EWR</b>", "2013-05-01T12:00:00+00:00", "-12.2", "10.0")
    found = Parity(
        NAME, "2013-04-29", "2013-04-29", predictions=9, sampled=7,
        features=(FeatureParity("temp", 7, 2, 1, (example,)), FeatureParity("dewp", 7, 0, 0)),
    )  # fmt: skip
    write_json(parity.record_file(NAME, "2013-04-29"), found.to_dict())
    page = client.get(PAGE).text
    assert "1 of 2 features differ" in " ".join(page.split())
    assert "station &lt;b&gt;EWR&lt;/b&gt; at 2013-05-01 12:00: served -12.2, offline 10.0" in " ".join(page.split())
