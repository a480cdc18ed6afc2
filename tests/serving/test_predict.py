from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from include.registry import models
from include.registry.model_input import to_model_input
from include.serving.prediction_log import online_lines, read_online
from include.serving.schemas import PredictResponse
from tests.model_store import FEATURES, fit_classifier, register_classifier, register_constant
from tests.serving.conftest import SEEN, TRIPS, FakeLookup, write_use_case

Serve = Callable[..., Any]
ROW = {"distance": 900, "carrier": "AA", "night": True}


def champion(use_case: str, value: float = 7.0) -> models.ModelVersion:
    version = register_constant(use_case, value)
    models.set_alias(use_case, models.CHAMPION, version.version)
    return version


def assert_problem(response: Any, status: int, *parts: str) -> dict[str, Any]:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = response.json()
    assert {"type", "title", "status", "detail", "instance"} <= body.keys()
    assert body["status"] == status
    for part in parts:
        assert part in response.text
    return body


def test_rows_and_entities_are_predicted(serve: Serve, use_case: str) -> None:
    version = register_classifier(use_case)
    models.set_alias(use_case, models.CHAMPION, version.version)
    model, _ = fit_classifier()
    expected = model.predict_proba(to_model_input(list(TRIPS.values()), FEATURES))[:, 1]
    with serve("classification") as client:
        by_key = client.post(f"/v1/{use_case}/predict", json={"entities": [{"trip_id": 1}, {"trip_id": 2}]}).json()
        by_row = client.post(f"/v1/{use_case}/predict", json={"rows": list(TRIPS.values())}).json()
    assert by_key["model"] == {"name": use_case, "version": 1, "run_id": version.run_id}
    assert [each["prediction"] for each in by_key["predictions"]] == expected.tolist()
    assert [each["prediction"] for each in by_row["predictions"]] == expected.tolist()
    assert [each["decision"] for each in by_row["predictions"]] == [bool(value >= 0.5) for value in expected]
    assert by_key["predictions"][1]["entity"] == {"trip_id": 2}
    assert datetime.fromisoformat(by_key["predictions"][0]["event_timestamp"]) == SEEN
    assert datetime.fromisoformat(by_key["predictions"][0]["feature_timestamps"]["trips"]) == SEEN
    assert by_key["predictions"][0]["features"] is None
    assert by_row["predictions"][0]["entity"] is None
    assert by_key["request_id"] != by_row["request_id"]


def test_explain_shows_what_the_model_saw(serve: Serve, use_case: str) -> None:
    champion(use_case)
    with serve() as client:
        body = client.post(f"/v1/{use_case}/predict", json={"entities": [{"trip_id": 2}], "explain": True}).json()
    assert body["predictions"][0]["features"] == TRIPS[2]
    assert body["predictions"][0]["decision"] is None


def test_every_answer_is_in_the_log(serve: Serve, use_case: str) -> None:
    version = champion(use_case)
    with serve() as client:
        first = client.post(f"/v1/{use_case}/predict", json={"entities": [{"trip_id": 1}, {"trip_id": 2}]}).json()
        second = client.post(f"/v1/{use_case}/predict", json={"rows": [ROW]}).json()
        refused = client.post(f"/v1/{use_case}/predict", json={"rows": [{}]})
    assert refused.status_code == 422
    now = datetime.now(UTC)
    frame = read_online(use_case, now - timedelta(minutes=5), now)
    assert frame["request_id"].to_list() == [first["request_id"]] * 2 + [second["request_id"]]
    assert frame["trip_id"].to_list() == [1, 2, None]
    assert frame["prediction"].to_list() == [7.0] * 3
    assert frame["model_version"].to_list() == [1] * 3
    assert frame["run_id"].unique().to_list() == [version.run_id]
    assert frame["event_timestamp"].to_list() == [SEEN, SEEN, None]
    assert frame["carrier"].to_list() == ["AA", None, "AA"]


def test_what_was_sent_is_logged_however_it_was_written(serve: Serve, use_case: str) -> None:
    champion(use_case)
    row = json.dumps(ROW)
    bodies = [f'{{"rows": [{row}]}}', json.dumps({"rows": [ROW]}, indent=2), f'{{"rows": [{row}, {row}]}}']
    with serve() as client:
        for body in bodies:
            sent = client.post(f"/v1/{use_case}/predict", content=body, headers={"Content-Type": "application/json"})
            assert sent.status_code == 200
    today = datetime.now(UTC).date()
    assert [line["features"] for line in online_lines(use_case, today, today)] == [ROW] * 4


def test_a_hash_is_of_the_number_however_it_was_written(
    serve: Serve, use_case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    champion(use_case)
    write_use_case(tmp_path / "use_cases", use_case, "regression")
    with (tmp_path / "use_cases" / use_case / "use_case.yaml").open("a") as file:
        file.write("serving: {log: {hash: [distance]}}\n")
    monkeypatch.setenv("EVERGREEN_PREDICTION_LOG_KEY", "a secret of some length")
    with serve() as client:
        for distance in ("900", "900.0", "9e2"):
            body = f'{{"rows": [{{"distance": {distance}, "carrier": "AA", "night": true}}]}}'
            client.post(f"/v1/{use_case}/predict", content=body, headers={"Content-Type": "application/json"})
    today = datetime.now(UTC).date()
    lines = list(online_lines(use_case, today, today))
    assert len(lines) == 3
    assert len({line["hashed"]["distance"] for line in lines}) == 1
    assert all("distance" not in line["features"] for line in lines)


def test_answer_and_log_tell_the_moment_the_engine_and_the_client(serve: Serve, use_case: str) -> None:
    champion(use_case)
    asked = {"entities": [{"trip_id": 1}], "as_of": "2013-05-01T14:00:00+02:00"}
    with serve() as client:
        replayed = client.post(f"/v1/{use_case}/predict", json=asked).json()
        now = client.post(f"/v1/{use_case}/predict", json={"rows": [ROW]}).json()
        engine = client.get(f"/v1/{use_case}").json()["engine"]
    PredictResponse.model_validate(replayed)
    assert (replayed["features_from"], now["features_from"]) == ("store", "request")
    assert datetime.fromisoformat(replayed["as_of"]) == SEEN
    assert timedelta() <= datetime.now(UTC) - datetime.fromisoformat(now["as_of"]) < timedelta(minutes=1)
    today = datetime.now(UTC).date()
    first, second = online_lines(use_case, today - timedelta(days=1), today)
    assert datetime.fromisoformat(first["as_of"]) == SEEN
    assert first["entity"] == {"trip_id": 1}
    assert [line["source"] for line in (first, second)] == ["online"] * 2
    assert [line["engine"] for line in (first, second)] == [engine] * 2
    assert [line["client"] for line in (first, second)] == ["anonymous"] * 2
    assert [line["features_from"] for line in (first, second)] == ["store", "request"]
    assert all(0 < line["seconds"] < 60 and line["seconds"] == round(line["seconds"], 6) for line in (first, second))


def test_what_is_not_said_to_be_json_is_refused(serve: Serve, use_case: str) -> None:
    champion(use_case)
    with serve() as client:
        for kind in ("text/plain", "application/x-www-form-urlencoded", "application/jsonx", ""):
            headers = {"content-type": kind} if kind else {}
            answer = client.post(f"/v1/{use_case}/predict", content='{"rows": []}', headers=headers)
            assert_problem(answer, 415, "Content-Type")
        for kind in ("application/json; charset=utf-8", "Application/JSON", "application/vnd.example+json"):
            answer = client.post(f"/v1/{use_case}/predict", json={"rows": [ROW]}, headers={"content-type": kind})
            assert answer.status_code == 200


def test_a_body_that_is_too_large_is_refused(serve: Serve, use_case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVERGREEN_BODY_LIMIT", "200")
    champion(use_case)
    with serve() as client:
        assert_problem(client.post(f"/v1/{use_case}/predict", json={"rows": [ROW] * 10}), 413, "200 bytes")
        assert client.post(f"/v1/{use_case}/predict", json={"rows": [ROW]}).status_code == 200


def test_an_answer_that_cannot_be_logged_is_not_given(serve: Serve, use_case: str, home: Any) -> None:
    champion(use_case)
    (home / "predictions").write_text("in the way")
    with serve() as client:
        assert_problem(client.post(f"/v1/{use_case}/predict", json={"rows": [ROW]}), 503, "could not be logged")


@pytest.mark.parametrize(
    ("body", "status", "parts"),
    [
        ('{"rows": [', 400, ("Malformed JSON",)),
        ('{"rows": [{"distance": NaN, "carrier": "AA", "night": true}]}', 422, ("rows[0].distance", "finite number")),
        ('{"rows": [{"distance": 1e999, "carrier": "AA", "night": true}]}', 422, ("rows[0].distance", "finite number")),
        (
            '{"rows": [{"distance": 1' + "0" * 400 + ', "carrier": "AA", "night": true}]}',
            422,
            ("rows[0].distance", "finite number"),
        ),
        ('{"rows": [{"distance": "far", "carrier": "AA", "night": true}]}', 422, ("rows[0].distance", "'far'")),
        ('{"rows": [{"distance": true, "carrier": "AA", "night": true}]}', 422, ("rows[0].distance",)),
        ('{"rows": [{"distance": [1], "carrier": "AA", "night": true}]}', 422, ("rows[0].distance",)),
        ('{"rows": [{"distance": 1, "carrier": 3, "night": true}]}', 422, ("rows[0].carrier", "text or null")),
        ('{"rows": [{"distance": 1, "carrier": "AA", "night": 1}]}', 422, ("rows[0].night", "true, false or null")),
        (
            '{"rows": [{"distance": 1, "carrier": "AA", "night": true, "wind": 3}]}',
            422,
            ("rows[0].wind", "unknown feature"),
        ),
        ('{"rows": [{"distance": 1, "carrier": "AA"}]}', 422, ("rows[0].night", "missing feature")),
        ('{"rows": []}', 422, ("rows", "at least 1 item")),
        ('{"rows": {}}', 422, ("rows", "valid list")),
        ('{"rows": [5]}', 422, ("rows[0]", "valid dictionary")),
        ("{}", 422, ("exactly one of entities and rows",)),
        ('{"entities": [{"trip_id": 1}], "rows": []}', 422, ("rows",)),
        (
            '{"entities": [{"trip_id": 1}], "rows": [{"distance": 1, "carrier": "AA", "night": true}]}',
            422,
            ("exactly one of entities and rows",),
        ),
        ('{"rows": [{}], "threshold": 0.1}', 422, ("threshold", "not permitted")),
        ('{"rows": [{}], "explain": "yes"}', 422, ("explain", "valid boolean")),
        ('{"entities": [{"trip_id": "one"}]}', 422, ("entities[0].trip_id", "whole number")),
        ('{"entities": [{"trip_id": 1.5}]}', 422, ("entities[0].trip_id", "whole number")),
        ('{"entities": [{"trip_id": null}]}', 422, ("entities[0].trip_id", "whole number")),
        ('{"entities": [{"trip_id": 99999999999999999999}]}', 422, ("entities[0].trip_id", "whole number")),
        ('{"entities": [{}]}', 422, ("entities[0].trip_id", "missing key column")),
        ('{"entities": [{"trip_id": 1, "carrier": "AA"}]}', 422, ("entities[0].carrier", "unknown key column")),
        ('{"entities": [{"trip_id": 1}, {"trip_id": 77}]}', 404, ("entities[1]", "'trip_id': 77")),
        ("[]", 422, ("valid dictionary",)),
        ("", 422, ("body",)),
    ],
)
def test_bad_requests_name_the_field(
    serve: Serve, use_case: str, body: str, status: int, parts: tuple[str, ...]
) -> None:
    champion(use_case)
    with serve() as client:
        response = client.post(f"/v1/{use_case}/predict", content=body, headers={"content-type": "application/json"})
        assert_problem(response, status, *parts)


def test_at_most_a_thousand_rows(serve: Serve, use_case: str) -> None:
    champion(use_case)
    with serve() as client:
        assert len(client.post(f"/v1/{use_case}/predict", json={"rows": [ROW] * 1000}).json()["predictions"]) == 1000
        assert_problem(client.post(f"/v1/{use_case}/predict", json={"rows": [ROW] * 1001}), 422, "rows", "1000 items")
        assert_problem(
            client.post(f"/v1/{use_case}/predict", json={"entities": [{"trip_id": 1}] * 1001}), 422, "entities"
        )


def test_many_errors_are_told_in_part(serve: Serve, use_case: str) -> None:
    champion(use_case)
    with serve() as client:
        problem = assert_problem(client.post(f"/v1/{use_case}/predict", json={"rows": [{}] * 1000}), 422)
    assert problem["detail"].endswith("and 2997 more")
    assert len(problem["errors"]) == 20
    assert problem["errors"][0] == {"field": "rows[0].distance", "detail": "missing feature"}


@pytest.mark.parametrize("path", ["/v1/nowhere", "/v1/nowhere/entities", "/nowhere"])
def test_an_unknown_use_case_or_page_is_not_found(serve: Serve, path: str) -> None:
    with serve() as client:
        assert_problem(client.get(path), 404, "nowhere")


def test_predicting_for_an_unknown_use_case_is_not_found(serve: Serve) -> None:
    with serve() as client:
        assert_problem(client.post("/v1/nowhere/predict", json={"rows": [ROW]}), 404, "No such use case")
        assert_problem(client.get("/v1/nowhere/predict"), 405)


def test_a_use_case_without_a_model_cannot_predict_yet(serve: Serve, use_case: str) -> None:
    with serve() as client:
        response = client.post(f"/v1/{use_case}/predict", json={"rows": [ROW]})
        assert_problem(response, 503, "no version is champion yet")
        assert response.headers["retry-after"] == "1"


def test_an_online_store_that_fails_is_a_problem_of_entities_only(serve: Serve, use_case: str) -> None:
    champion(use_case)
    with serve(lookup=lambda _: FakeLookup(broken=True)) as client:
        assert_problem(client.post(f"/v1/{use_case}/predict", json={"entities": [{"trip_id": 1}]}), 503, "online store")
        assert client.post(f"/v1/{use_case}/predict", json={"rows": [ROW]}).status_code == 200


def test_known_entities_can_be_predicted(serve: Serve, use_case: str) -> None:
    champion(use_case)
    with serve() as client:
        known = client.get(f"/v1/{use_case}/entities?limit=1").json()["entities"]
        assert known == [{"trip_id": 1}]
        assert client.post(f"/v1/{use_case}/predict", json={"entities": known}).status_code == 200
        assert_problem(client.get(f"/v1/{use_case}/entities?limit=0"), 422, "limit")
