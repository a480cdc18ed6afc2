from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from include.registry import models
from tests.model_store import register_constant
from tests.serving.conftest import FakeLookup

Serve = Callable[..., Any]
ROW = {"distance": 900, "carrier": "AA", "night": True}


def promote(use_case: str, version: models.ModelVersion) -> None:
    models.set_alias(use_case, models.CHAMPION, version.version)


def test_the_status_tells_what_is_served(serve: Serve, use_case: str) -> None:
    version = register_constant(use_case, 1.0)
    promote(use_case, version)
    with serve() as client:
        status = client.get(f"/v1/{use_case}").json()
        assert client.get("/v1").json() == [status]
    assert status["model"] == {"name": use_case, "version": 1, "run_id": version.run_id}
    assert status["digest"] == version.digest
    assert status["data_revision"] == "rev-1"
    assert status["alias"] == "champion"
    assert status["features"][1] == {"name": "carrier", "kind": "categorical"}
    assert status["feature_views"] == ["trips"]
    assert status["entity_key"] == ["trip_id"]
    assert status["loaded_at"]
    assert (status["ready"], status["current"], status["problems"]) == (True, True, [])


def test_ready_when_every_version_with_the_alias_is_loaded(serve: Serve, use_case: str) -> None:
    with serve() as client:
        assert client.get("/health/live").json() == {"status": "alive"}
        answer = client.get("/health/ready")
        assert answer.status_code == 200
        assert answer.json() == {"ready": True, "waiting_for": [], "registry_reachable": True}
        assert client.get(f"/v1/{use_case}").json()["model"] is None
        promote(use_case, register_constant(use_case, 1.0))
        client.follower.poll()
        assert client.get("/health/ready").json() == answer.json()
        assert client.get(f"/v1/{use_case}").json()["model"]["version"] == 1


def test_not_ready_before_the_registry_answered(serve: Serve, use_case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    with serve() as client:
        answer = client.get("/health/ready")
        assert answer.status_code == 503
        assert answer.json() == {"ready": False, "waiting_for": [use_case], "registry_reachable": False}
        assert "127.0.0.1:9" in client.get(f"/v1/{use_case}").json()["problems"][0]
        refused = client.post(f"/v1/{use_case}/predict", json={"rows": [ROW]})
        assert refused.status_code == 503
        assert "127.0.0.1:9" in refused.json()["detail"]


def test_an_unreachable_registry_leaves_the_model_in_place(
    serve: Serve, use_case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    promote(use_case, register_constant(use_case, 1.0))
    with serve() as client:
        with monkeypatch.context() as patch:
            patch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
            client.follower.poll()
            assert client.post(f"/v1/{use_case}/predict", json={"rows": [ROW]}).status_code == 200
            assert client.get("/health/ready").status_code == 200
            assert "127.0.0.1:9" in client.get(f"/v1/{use_case}").json()["problems"][0]
            assert "evergreen_registry_reachable 0.0" in client.get("/metrics").text
        client.follower.poll()
        assert client.get(f"/v1/{use_case}").json()["problems"] == []


def test_a_version_that_cannot_be_loaded_leaves_the_old_one(serve: Serve, use_case: str, home: Any) -> None:
    import mlflow

    promote(use_case, register_constant(use_case, 1.0))
    with serve() as client:
        source = mlflow.MlflowClient().get_model_version(use_case, "1").source
        by_hand = mlflow.MlflowClient().create_model_version(use_case, source)
        models.set_alias(use_case, models.CHAMPION, int(by_hand.version))
        client.follower.poll()
        status = client.get(f"/v1/{use_case}").json()
        assert (status["model"]["version"], status["wanted_version"], status["current"]) == (1, 2, False)
        assert "has no digest" in status["problems"][0]
        assert client.get("/health/ready").status_code == 200
        models.set_alias(use_case, models.CHAMPION, 1)
        client.follower.poll()
        assert client.get(f"/v1/{use_case}").json()["problems"] == []


def test_a_first_version_that_cannot_be_loaded_is_not_ready(serve: Serve, use_case: str) -> None:
    import mlflow

    register_constant(use_case, 1.0)
    source = mlflow.MlflowClient().get_model_version(use_case, "1").source
    mlflow.MlflowClient().create_model_version(use_case, source)
    models.set_alias(use_case, models.CHAMPION, 2)
    with serve() as client:
        assert client.get("/health/ready").status_code == 503
        refused = client.post(f"/v1/{use_case}/predict", json={"rows": [ROW]})
        assert refused.status_code == 503
        assert "has no digest" in refused.json()["detail"]


def test_a_model_whose_features_are_not_served_is_not_ready_until_they_are(serve: Serve, use_case: str) -> None:
    promote(use_case, register_constant(use_case, 1.0))
    served = [["distance"], ["distance", "carrier", "night"]]
    with serve(lookup=lambda _: FakeLookup(features=served.pop(0)), interval=0.05) as client:
        deadline = time.monotonic() + 10
        while client.get("/health/ready").status_code != 200:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        assert served == []


def test_a_newer_version_without_its_features_does_not_replace_the_old_one(serve: Serve, use_case: str) -> None:
    promote(use_case, register_constant(use_case, 1.0))
    served = [["distance", "carrier", "night"], ["distance"]]
    with serve(lookup=lambda _: FakeLookup(features=served.pop(0))) as client:
        promote(use_case, register_constant(use_case, 2.0))
        client.follower.poll()
        status = client.get(f"/v1/{use_case}").json()
    assert (status["model"]["version"], status["ready"]) == (1, True)
    assert "lacks carrier, night" in status["problems"][0]


def test_an_alias_that_is_taken_away_takes_the_model_away(serve: Serve, use_case: str) -> None:
    promote(use_case, register_constant(use_case, 1.0))
    with serve() as client:
        models.remove_alias(use_case, models.CHAMPION)
        client.follower.poll()
        assert client.post(f"/v1/{use_case}/predict", json={"rows": [ROW]}).status_code == 503


def test_a_tag_that_is_set_later_does_not_reload_the_model(serve: Serve, use_case: str) -> None:
    import mlflow

    promote(use_case, register_constant(use_case, 1.0))
    with serve() as client:
        loaded = client.get(f"/v1/{use_case}").json()["loaded_at"]
        mlflow.MlflowClient().set_model_version_tag(use_case, "1", "gate", "passed")
        client.follower.poll()
        assert client.get(f"/v1/{use_case}").json()["loaded_at"] == loaded


def test_metrics_count_requests_and_name_the_version(serve: Serve, use_case: str) -> None:
    version = register_constant(use_case, 1.0)
    promote(use_case, version)
    with serve() as client:
        client.post(f"/v1/{use_case}/predict", json={"rows": [ROW, ROW]})
        client.post(f"/v1/{use_case}/predict", json={})
        client.post("/v1/nowhere/predict", json={"rows": [ROW]})
        page = client.get("/metrics")
    assert page.headers["content-type"].startswith("text/plain; version=0.0.4")
    lines = page.text.splitlines()
    assert f'evergreen_requests_total{{status="200",use_case="{use_case}"}} 1.0' in lines
    assert f'evergreen_requests_total{{status="422",use_case="{use_case}"}} 1.0' in lines
    assert 'evergreen_requests_total{status="404",use_case="unknown"} 1.0' in lines
    assert f'evergreen_predictions_total{{use_case="{use_case}"}} 2.0' in lines
    assert f'evergreen_request_seconds_count{{use_case="{use_case}"}} 2.0' in lines
    assert f'evergreen_request_seconds_bucket{{le="+Inf",use_case="{use_case}"}} 2.0' in lines
    assert "evergreen_shadows_dropped_total 0.0" in lines
    info = next(line for line in lines if line.startswith("evergreen_model_info{"))
    assert f'version="{version.version}"' in info
    assert version.run_id in info


def test_the_documentation_needs_no_network(serve: Serve, use_case: str) -> None:
    promote(use_case, register_constant(use_case, 1.0))
    with serve() as client:
        assert client.get("/", follow_redirects=False).headers["location"] == "docs"
        page = client.get("/docs").text
        assert "//" not in page.replace("<!DOCTYPE", "").replace("// ", "")
        for name in ("swagger-ui-bundle.js", "swagger-ui.css", "favicon.png"):
            assert f"static/{name}" in page
            assert client.get(f"/static/{name}").status_code == 200
        schema = client.get("/openapi.json").json()
        body = schema["paths"][f"/v1/{use_case}/predict"]["post"]["requestBody"]["content"]["application/json"]
        assert len(body["examples"]) == 3
        for example in body["examples"].values():
            assert client.post(f"/v1/{use_case}/predict", json=example["value"]).status_code == 200
        assert schema["paths"]["/v1/{use_case}"]["get"]["parameters"][0]["schema"]["enum"] == [use_case]


@pytest.mark.parametrize("broken", [False, True])
def test_metrics_tell_how_fresh_features_are_if_the_store_does(serve: Serve, use_case: str, broken: bool) -> None:
    promote(use_case, register_constant(use_case, 1.0))
    with serve(lookup=lambda _: FakeLookup(broken=broken)) as client:
        page = client.get("/metrics").text
    gauge = f'evergreen_feature_newest_timestamp_seconds{{use_case="{use_case}",view="trips"}} 1.3674096e+09'
    assert (gauge in page.splitlines()) is not broken
    assert "evergreen_model_info{" in page
