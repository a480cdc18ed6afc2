"""What a replica makes of the generation that the registry tells it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from include.deployment import ledger, published
from include.deployment.generation import Generation
from include.registry import models
from include.serving.followed import Followed
from include.serving.routing import choose, shadow
from tests.model_store import register_constant
from tests.serving.conftest import FakeLookup

ROW = {"distance": 900, "carrier": "AA", "night": True}


def publish(name: str, champion: int | None, **rollout: Any) -> Generation:
    generation = ledger.append(name, ledger.head(name), champion=champion, previous=None, kind="rollout", **rollout)
    published.publish(generation)
    return generation


def followed(client: Any, use_case: str) -> Followed:
    client.follower.poll()
    state: Followed = client.follower.states[use_case]
    return state


def test_a_canary_is_followed_and_promoted_without_loading_it_again(serve: Callable[..., Any], use_case: str) -> None:
    first, second = (register_constant(use_case, value).version for value in (1.0, 2.0))
    with serve() as client:
        publish(use_case, first)
        assert client.get(f"/v1/{use_case}").json()["generation"] is None
        assert followed(client, use_case).generation == 1
        publish(use_case, first, challenger=second, mode="canary", weight=0.4)
        state = followed(client, use_case)
        status = client.get(f"/v1/{use_case}").json()
        assert status["model"]["version"] == first
        assert [status[key] for key in ("generation", "challenger", "mode", "weight")] == [2, second, "canary", 0.4]
        assert status["ready"] and status["current"] and not status["problems"]
        answering = {choose(state, str(number).encode()).version.version for number in range(100)}
        assert answering == {first, second}
        assert client.post(f"/v1/{use_case}/predict", json={"rows": [ROW]}).status_code == 200
        publish(use_case, second)
        promoted = followed(client, use_case)
        assert promoted.deployment is state.challenger
        assert (promoted.challenger, promoted.mode, promoted.weight, promoted.generation) == (None, "", 0.0, 3)
        assert state.deployment is not None and state.deployment.version.version == first  # a request keeps its own


def test_a_shadow_answers_nobody(serve: Callable[..., Any], use_case: str) -> None:
    first, second = (register_constant(use_case, value).version for value in (1.0, 2.0))
    with serve() as client:
        publish(use_case, first, challenger=second, mode="shadow")
        state = followed(client, use_case)
        behind = shadow(state)
        assert behind is not None and behind.version.version == second
        answer = client.post(f"/v1/{use_case}/predict", json={"rows": [ROW]}).json()
        assert (answer["model"]["version"], answer["predictions"][0]["prediction"]) == (first, 1.0)


def test_an_unreachable_registry_changes_nothing(
    serve: Callable[..., Any], use_case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = (register_constant(use_case, value).version for value in (1.0, 2.0))
    with serve() as client:
        publish(use_case, first, challenger=second, mode="canary", weight=0.5)
        before = followed(client, use_case)
        with monkeypatch.context() as patch:
            patch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
            assert followed(client, use_case) is before
            status = client.get(f"/v1/{use_case}").json()
            assert (status["generation"], status["challenger"], status["ready"]) == (1, second, True)
            assert "127.0.0.1:9" in status["problems"][0]
            assert client.post(f"/v1/{use_case}/predict", json={"rows": [ROW]}).status_code == 200
        publish(use_case, second)
        assert followed(client, use_case).generation == 2
        assert client.get(f"/v1/{use_case}").json()["problems"] == []


def test_a_challenger_that_cannot_be_loaded_leaves_the_champion_alone(serve: Callable[..., Any], use_case: str) -> None:
    import mlflow

    first = register_constant(use_case, 1.0).version
    source = mlflow.MlflowClient().get_model_version(use_case, str(first)).source
    broken = int(mlflow.MlflowClient().create_model_version(use_case, source).version)
    with serve() as client:
        publish(use_case, first)
        champion = followed(client, use_case).deployment
        publish(use_case, first, challenger=broken, mode="canary", weight=0.5)
        for _ in range(2):  # the second poll comes before the next try
            state = followed(client, use_case)
            assert state.deployment is champion
            assert (state.challenger, state.generation, state.ready) == (None, None, True)
            status = client.get(f"/v1/{use_case}").json()
            assert status["generation"] is None and f"challenger, version {broken}" in status["problems"][0]
        assert client.post(f"/v1/{use_case}/predict", json={"rows": [ROW]}).status_code == 200
        publish(use_case, first)
        assert followed(client, use_case).generation == 3
        assert client.get(f"/v1/{use_case}").json()["problems"] == []


def test_a_challenger_whose_features_are_not_served_is_not_confirmed(serve: Callable[..., Any], use_case: str) -> None:
    first, second = (register_constant(use_case, value).version for value in (1.0, 2.0))
    served = [["distance", "carrier", "night"], ["distance"]]
    with serve(lookup=lambda _: FakeLookup(served.pop(0))) as client:
        publish(use_case, first)
        followed(client, use_case)
        publish(use_case, first, challenger=second, mode="shadow")
        assert followed(client, use_case).generation is None
        assert "lacks carrier, night" in client.get(f"/v1/{use_case}").json()["problems"][0]


def test_a_champion_that_cannot_be_loaded_leaves_the_generation_before(
    serve: Callable[..., Any], use_case: str
) -> None:
    import mlflow

    first = register_constant(use_case, 1.0).version
    source = mlflow.MlflowClient().get_model_version(use_case, str(first)).source
    broken = int(mlflow.MlflowClient().create_model_version(use_case, source).version)
    with serve() as client:
        publish(use_case, first)
        followed(client, use_case)
        publish(use_case, broken)
        state = followed(client, use_case)
        assert (state.generation, state.ready, state.current) == (1, True, False)
        publish(use_case, None)
        assert followed(client, use_case).deployment is None
        assert client.get(f"/v1/{use_case}").json()["generation"] == 3


def test_a_tag_that_is_no_generation_is_told(serve: Callable[..., Any], use_case: str) -> None:
    import mlflow

    first = register_constant(use_case, 1.0).version
    with serve() as client:
        publish(use_case, first)
        followed(client, use_case)
        mlflow.MlflowClient().set_registered_model_tag(use_case, published.TAG, "{}")
        state = followed(client, use_case)
        assert (state.generation, state.ready) == (1, True)
        assert "what is in production cannot be read" in client.get(f"/v1/{use_case}").json()["problems"][0]


def test_once_published_a_moved_alias_changes_nothing(serve: Callable[..., Any], use_case: str) -> None:
    first, second = (register_constant(use_case, value).version for value in (1.0, 2.0))
    with serve() as client:
        publish(use_case, first)
        models.set_alias(use_case, models.CHAMPION, second)
        state = followed(client, use_case)
        assert state.deployment is not None and state.deployment.version.version == first
