"""A version that is tried beside the champion, as requests meet it."""

from __future__ import annotations

import gc
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from include.registry import models
from include.serving.prediction_log import Source, online_lines, read_online
from tests.model_store import register_constant
from tests.serving.test_predict import ROW, champion

Serve = Callable[..., Any]
SOURCES: tuple[Source, Source] = ("online", "shadow")


@pytest.mark.parametrize(("weight", "versions"), [(1 - 1e-12, {2}), (1e-12, {1})])
def test_a_canary_answers_its_share(serve: Serve, use_case: str, weight: float, versions: set[int]) -> None:
    champion(use_case, 1.0)
    with serve() as client:
        challenger = put_beside(client, use_case, "canary", weight)
        answers = [
            client.post(f"/v1/{use_case}/predict", json=body).json()
            for body in [{"rows": [ROW]}, {"entities": [{"trip_id": 1}]}] * 5
        ]
    assert challenger == 2
    assert {answer["model"]["version"] for answer in answers} == versions
    assert {each["prediction"] for answer in answers for each in answer["predictions"]} == {float(*versions)}


def test_a_shadow_predicts_what_the_champion_answers(serve: Serve, use_case: str) -> None:
    champion(use_case, 1.0)
    with serve() as client:
        put_beside(client, use_case, "shadow", 0.0)
        answer = client.post(f"/v1/{use_case}/predict", json={"entities": [{"trip_id": 1}]}).json()
        metrics = client.get("/metrics").text.splitlines()
    assert answer["model"]["version"] == 1
    assert f'evergreen_served_generation{{use_case="{use_case}"}} 1.0' in metrics
    now = datetime.now(UTC)
    answered, unseen = (read_online(use_case, now - timedelta(minutes=5), now, source) for source in SOURCES)
    assert answered["prediction"].to_list() == [1.0]
    assert unseen["prediction"].to_list() == [2.0]
    assert answered["request_id"].to_list() == unseen["request_id"].to_list() == [answer["request_id"]]
    assert answered["distance"].to_list() == unseen["distance"].to_list() == [900.0]


@pytest.mark.parametrize("body", [{"rows": [ROW]}, {"entities": [{"trip_id": 1}]}], ids=["rows", "entities"])
def test_where_a_canary_fails_the_champion_answers_and_the_failure_is_kept(
    serve: Serve, use_case: str, body: dict[str, Any]
) -> None:
    class Broken:
        engine, reason, compiled = "compiled", "for the test", True

        def __init__(self, predictor: Any) -> None:
            self.predictor = predictor

        def predict(self, _: Any) -> list[float]:
            raise ValueError("a table is missing")

    champion(use_case, 1.0)
    with serve() as client:
        challenger = put_beside(client, use_case, "canary", 1 - 1e-12)
        followed = client.follower.states[use_case]
        broken = replace(followed.challenger, served=Broken(followed.challenger.served.predictor))
        client.follower.states[use_case] = replace(followed, challenger=broken)
        answer = client.post(f"/v1/{use_case}/predict", json=body)
    assert answer.status_code == 200
    assert answer.json()["model"]["version"] == challenger - 1
    assert [each["prediction"] for each in answer.json()["predictions"]] == [1.0]
    today = datetime.now(UTC).date()
    (line,) = online_lines(use_case, today - timedelta(days=1), today, "shadow")
    assert (line["model_version"], line["prediction"]) == (challenger, None)
    assert "a table is missing" in line["error"]


def test_each_deployment_is_settled_once(serve: Serve, use_case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    settled: list[None] = []
    monkeypatch.setattr(gc, "freeze", lambda: settled.append(None))
    champion(use_case, 1.0)
    with serve() as client:
        for count in (1, 1, 2, 2):
            if count > len(settled) > 0:
                models.set_alias(use_case, models.CHAMPION, register_constant(use_case, 2.0).version)
                client.follower.poll()
            assert client.post(f"/v1/{use_case}/predict", json={"rows": [ROW]}).status_code == 200
            assert len(settled) == count


def put_beside(client: Any, use_case: str, mode: Any, weight: float) -> int:
    """Put a second version beside the one that is served, as a generation does."""
    version = register_constant(use_case, 2.0)
    models.set_alias(use_case, models.CHAMPION, version.version)
    first = client.follower.states[use_case]
    client.follower.poll()
    second = client.follower.states[use_case].deployment
    client.follower.states[use_case] = replace(first, challenger=second, mode=mode, weight=weight, generation=1)
    return version.version
