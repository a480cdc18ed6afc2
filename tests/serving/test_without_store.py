"""An online store that fails or hangs, and what a use case wants then."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from include.contract.serving import ServingConfig
from include.registry import models
from include.serving.breaker import FAILURES
from include.serving.prediction_log import online_lines
from include.serving.service import PATIENCE, default_row
from tests.model_store import FEATURES, register_classifier
from tests.serving.conftest import FakeLookup, write_use_case

Serve = Callable[..., Any]
DEFAULTS = "serving: {threshold: 0.5, on_missing_store: defaults, defaults: {distance: 1200, night: false}}"
ROW = {"distance": 900, "carrier": "AA", "night": True}


@pytest.fixture
def with_defaults(tmp_path: Path, use_case: str) -> None:
    write_use_case(tmp_path / "use_cases", use_case, "classification")
    file = tmp_path / "use_cases" / use_case / "use_case.yaml"
    file.write_text(file.read_text().replace("serving: {threshold: 0.5}", DEFAULTS))


def promote(use_case: str) -> None:
    models.set_alias(use_case, models.CHAMPION, register_classifier(use_case).version)


def ask(client: Any, use_case: str, **more: Any) -> Any:
    return client.post(f"/v1/{use_case}/predict", json={"entities": [{"trip_id": 1}], **more})


def test_a_store_that_fails_is_refused_by_default_and_then_left_alone(serve: Serve, use_case: str) -> None:
    promote(use_case)
    broken = FakeLookup(broken=True)
    with serve("classification", lookup=lambda _: broken) as client:
        for _ in range(FAILURES):
            answer = ask(client, use_case)
            assert answer.status_code == 503
            assert answer.headers["retry-after"] == "1"
            assert "ConnectionError" in answer.json()["detail"]
        broken.broken = False
        answer = ask(client, use_case)
        assert answer.status_code == 503
        assert "left alone" in answer.json()["detail"]
        assert client.post(f"/v1/{use_case}/predict", json={"rows": [ROW]}).status_code == 200
        time.sleep(1.05)
        assert ask(client, use_case).status_code == 200
        assert ask(client, use_case).status_code == 200


@pytest.mark.usefixtures("with_defaults")
@pytest.mark.parametrize("opened", [True, False])
def test_defaults_stand_for_a_store_that_fails(serve: Serve, use_case: str, opened: bool) -> None:
    def lookup(_: Any) -> FakeLookup:
        if not opened:
            raise ConnectionError("no store")
        return FakeLookup(broken=True)

    promote(use_case)
    with serve("classification", lookup=lookup) as client:
        body = ask(client, use_case).json()
        page = client.get("/metrics").text
        same = client.post(
            f"/v1/{use_case}/predict", json={"rows": [{"distance": 1200, "carrier": None, "night": False}]}
        ).json()
    assert body["features_from"] == "defaults"
    assert same["features_from"] == "request"
    (prediction,) = body["predictions"]
    assert prediction["prediction"] == same["predictions"][0]["prediction"]
    assert prediction["entity"] == {"trip_id": 1}
    assert prediction["event_timestamp"] is None
    assert f'evergreen_predictions_from_defaults_total{{use_case="{use_case}"}} 1.0' in page.splitlines()
    today = datetime.now(UTC).date()
    (line, _) = online_lines(use_case, today - timedelta(days=1), today)
    assert line["features_from"] == "defaults"
    assert line["features"] == {"distance": 1200, "carrier": None, "night": False}
    assert line["entity"] == {"trip_id": 1}


@pytest.mark.usefixtures("with_defaults")
def test_an_entity_that_the_store_does_not_know_has_no_defaults(serve: Serve, use_case: str) -> None:
    promote(use_case)
    with serve("classification") as client:
        answer = client.post(f"/v1/{use_case}/predict", json={"entities": [{"trip_id": 77}]})
    assert answer.status_code == 404


class Hanging(FakeLookup):
    """A store behind a network that does not answer."""

    def rows(self, *arguments: Any, **named: Any) -> Any:
        time.sleep(PATIENCE * 4)
        return super().rows(*arguments, **named)


@pytest.mark.usefixtures("with_defaults")
def test_a_store_that_hangs_holds_up_nobody(serve: Serve, use_case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVERGREEN_REDIS", "redis://127.0.0.1:9/0")
    promote(use_case)
    with serve("classification", lookup=lambda _: Hanging()) as client:
        taken = []
        for _ in range(FAILURES + 2):
            start = time.monotonic()
            assert ask(client, use_case).json()["features_from"] == "defaults"
            taken.append(time.monotonic() - start)
    assert max(taken) < PATIENCE * 3
    assert taken[-1] < PATIENCE


def test_defaults_need_the_policy() -> None:
    with pytest.raises(ValidationError, match="nothing uses them"):
        ServingConfig(defaults={"distance": 1.0})


@pytest.mark.parametrize(("defaults", "said"), [({"wind": 3.0}, "no such feature"), ({"distance": "far"}, "a finite")])
def test_a_default_that_the_model_does_not_take_is_named(defaults: dict[str, Any], said: str) -> None:
    config = ServingConfig(on_missing_store="defaults", defaults=defaults)
    with pytest.raises(ValueError, match=rf"serving.defaults.{next(iter(defaults))}: .*{said}"):
        default_row(config, FEATURES)


@pytest.mark.usefixtures("with_defaults")
def test_defaults_that_the_model_does_not_take_are_refused(serve: Serve, use_case: str, tmp_path: Path) -> None:
    file = tmp_path / "use_cases" / use_case / "use_case.yaml"
    file.write_text(file.read_text().replace("distance: 1200", "distance: far"))
    promote(use_case)
    with serve("classification", lookup=lambda _: FakeLookup(broken=True)) as client:
        answer = ask(client, use_case)
    assert answer.status_code == 503
    assert "serving.defaults.distance" in answer.json()["detail"]
