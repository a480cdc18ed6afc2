from __future__ import annotations

from datetime import UTC, datetime

import polars as pl
import pytest
from fastapi.testclient import TestClient

from include.contract.loading import Folder
from include.pages.app import create_app
from include.serving import batch_log

NAME = "station_temperature"
CASE = f"/{NAME}"
HOSTILE = "<script>alert('x')</script>"


@pytest.fixture
def predicted(stations: Folder) -> TestClient:
    frame = pl.DataFrame(
        {
            "request_id": ["r-1", "r-2"], "station": ["EWR", HOSTILE],
            "event_timestamp": [datetime(2013, 3, 4, 5, tzinfo=UTC)] * 2, "prediction": [41.5, 20.0],
            "model_version": [2, 2], "run_id": ["run-2"] * 2, "temp": [39.0, None], "sky": [HOSTILE, "clear"],
        },
        schema_overrides={"event_timestamp": batch_log.INSTANT},
    )  # fmt: skip
    batch_log.write(NAME, "2013-03-04", frame)
    return TestClient(create_app([]))


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
