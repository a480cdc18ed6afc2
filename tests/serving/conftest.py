from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from include.contract.loading import load_use_cases
from include.contract.use_case import UseCase
from include.serving.app import create_app
from include.serving.lookup import EntitiesNotFound, FeatureRow, Known
from include.settings import get_settings

CONFIG = """
name: {name}
title: A {task} of trips
description: For tests.
owners: [data]
task: {task}
entity: {{view: trips, key: [trip_id]}}
label: {{name: late, delay: 1d}}
gate:
  limits: {{{metric}: {{max: 1}}}}
  champion: {{metric: {metric}}}
monitoring: {{quality: {{metric: {metric}, tolerance: 0.1}}}}
{serving}
"""

SEEN = datetime(2013, 5, 1, 12, tzinfo=UTC)
TRIPS: dict[int, dict[str, Any]] = {
    1: {"distance": 900.0, "carrier": "AA", "night": True},
    2: {"distance": 1500.0, "carrier": None, "night": False},
}


class FakeLookup:
    """An online store in memory."""

    def __init__(self, features: Sequence[str] = ("distance", "carrier", "night"), broken: bool = False) -> None:
        self.features = tuple(features)
        self.views = ("trips",)
        self.key_types: Mapping[str, type] = {"trip_id": int}
        self.request_types: Mapping[str, type] = {}
        self.needed = frozenset(self.key_types)
        self.broken = broken

    def rows(self, entities: Sequence[Mapping[str, Any]], as_of: datetime | None = None) -> list[FeatureRow]:
        if self.broken:
            raise ConnectionError("the store is down")
        early = as_of is not None and as_of < SEEN
        absent = [number for number, entity in enumerate(entities) if early or entity["trip_id"] not in TRIPS]
        if absent:
            raise EntitiesNotFound(absent)
        return [FeatureRow(dict(TRIPS[entity["trip_id"]]), SEEN, {"trips": SEEN}) for entity in entities]

    def known(self, limit: int) -> Known:
        return Known([{"trip_id": number} for number in TRIPS][:limit], SEEN)

    def newest(self) -> dict[str, datetime]:
        if self.broken:
            raise ConnectionError("the store is down")
        return {"trips": SEEN}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of its own for what is written."""
    monkeypatch.setenv("EVERGREEN_HOME", str(tmp_path))
    get_settings.cache_clear()
    yield tmp_path
    get_settings.cache_clear()


@pytest.fixture
def use_case(request: pytest.FixtureRequest) -> str:
    """A name that no other test registers models under."""
    name = "".join(letter if letter.isalnum() else "_" for letter in str(request.node.name).lower())
    return name.strip("_")[:60]


def write_use_case(folder: Path, name: str, task: str) -> None:
    metric = "log_loss" if task == "classification" else "mae"
    serving = "serving: {threshold: 0.5}" if task == "classification" else ""
    path = folder / name / "use_case.yaml"
    path.parent.mkdir(parents=True)
    path.write_text(CONFIG.format(name=name, task=task, metric=metric, serving=serving))


@pytest.fixture
def serve(
    mlflow_store: Path, home: Path, tmp_path: Path, use_case: str, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Any]:
    """Starts the app for one use case of a task. Clients do not raise the server's errors."""

    @contextmanager
    def start(
        task: str = "regression", lookup: Callable[[UseCase], Any] | None = None, interval: float = 3600.0
    ) -> Iterator[TestClient]:
        folder = tmp_path / "use_cases"
        monkeypatch.setenv("EVERGREEN_USE_CASE_PATHS", str(folder))
        get_settings.cache_clear()
        if not folder.exists():
            write_use_case(folder, use_case, task)
        app = create_app(
            get_settings(),
            load_use_cases(),
            lookup_factory=lookup or (lambda _: FakeLookup()),
            interval=interval,
        )
        with TestClient(app, raise_server_exceptions=False) as client:
            client.follower = app.state.follower
            client.follower.poll()
            yield client

    return start
