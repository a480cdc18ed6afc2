"""What is in production changes under load: no request fails, and no answer is made of two versions."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pandas as pd
import pytest
import uvicorn
from sklearn.dummy import DummyRegressor

from include.contract.loading import Folder, load_use_cases
from include.deployment import ledger, published, switch
from include.deployment.eligible import choose as choose_version
from include.deployment.switch import Change
from include.features import store
from include.registry import models
from include.registry.client import client, registry
from include.registry.model_input import Feature, to_model_input
from include.serving.app import create_app
from include.serving.prediction_log import online_lines
from include.settings import get_settings
from tests.features.written_use_case import write_use_case
from tests.model_store import register_constant, start_run
from tests.ports import free_port
from tests.serving.conftest import FakeLookup

ROW = {"distance": 900, "carrier": "AA", "night": True}
NAME = "station_temperature"


def test_versions_change_under_load_without_an_error(serve: Callable[..., Any], use_case: str) -> None:
    """Each version predicts its own number, so that an answer whose parts are of two versions shows."""
    versions = [register_constant(use_case, float(number)) for number in range(1, 7)]
    models.set_alias(use_case, models.CHAMPION, 1)
    stop = threading.Event()
    answers: list[list[tuple[int, int, str, float]]] = []

    def ask(client: Any, body: dict[str, Any]) -> None:
        mine: list[tuple[int, int, str, float]] = []
        answers.append(mine)
        while not stop.is_set():
            response = client.post(f"/v1/{use_case}/predict", json=body)
            content = response.json() if response.status_code == 200 else {"model": {}, "predictions": [{}]}
            model = content["model"]
            for each in content["predictions"]:
                mine.append(
                    (
                        response.status_code,
                        model.get("version", 0),
                        model.get("run_id", ""),
                        each.get("prediction", 0.0),
                    )
                )

    with serve(interval=0.05) as client:
        bodies = ({"rows": [ROW]}, {"rows": [ROW, ROW]}, {"entities": [{"trip_id": 1}]}, {"rows": [ROW]})
        threads = [threading.Thread(target=ask, args=(client, body)) for body in bodies]
        for thread in threads:
            thread.start()
        for version in versions[1:]:
            models.set_alias(use_case, models.CHAMPION, version.version)
            deadline = time.monotonic() + 30
            while client.get(f"/v1/{use_case}").json()["model"]["version"] != version.version:
                assert time.monotonic() < deadline
                time.sleep(0.01)
        stop.set()
        for thread in threads:
            thread.join()

    run_of = {version.version: version.run_id for version in versions}
    assert {status for mine in answers for status, *_ in mine} == {200}
    for mine in answers:
        served = [version for _, version, _, _ in mine]
        assert served == sorted(served)
        for _, version, run_id, prediction in mine:
            assert (run_id, prediction) == (run_of[version], float(version))
    assert {version for mine in answers for _, version, _, _ in mine} == set(run_of)


# Promotions and rollbacks, with the real ledger and registry and two real servers.


@dataclass(frozen=True)
class Answer:
    started: float
    ended: float
    status: int
    version: int
    predictions: tuple[float, ...]
    request_id: str


@pytest.fixture
def stations(mlflow_store: Path, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Folder:
    folder = tmp_path / "use_cases"
    folder.mkdir()
    monkeypatch.setattr("include.settings.Settings.use_case_folders", (folder,))
    written = write_use_case(folder)
    store.apply()
    for alias in models.ALIASES:
        models.remove_alias(NAME, alias)
    with suppress(models.ModelNotFound), registry():  # what another test has left
        client().delete_registered_model_tag(NAME, published.TAG)
    return written


def register(value: float) -> int:
    features = [Feature("temp", "numeric")]
    frame = pd.DataFrame({"temp": [1.0, 2.0]})
    model = DummyRegressor(strategy="constant", constant=value).fit(to_model_input(frame, features), [0.0, 0.0])
    run_id = start_run(NAME)
    models.log_model(model, frame, run_id=run_id, task="regression", features=features)
    return models.register(run_id, NAME, "model", {}).version


@contextmanager
def replica() -> Iterator[str]:
    """A server on a port of its own; its base address."""
    lookup = FakeLookup(features=("temp",))
    app = create_app(get_settings(), load_use_cases(), lookup_factory=lambda _: lookup, interval=0.1)
    server = uvicorn.Server(uvicorn.Config(app, port=free_port(), log_level="warning"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.config.port}"
    finally:
        server.should_exit = True
        thread.join(timeout=30)


def ask(address: str, rows: int, stop: threading.Event, answers: list[Answer]) -> None:
    with httpx.Client(base_url=address, timeout=30, trust_env=False) as client:
        while not stop.is_set():
            started = time.monotonic()
            response = client.post(f"/v1/{NAME}/predict", json={"rows": [{"temp": 1.0}] * rows})
            content = response.json() if response.status_code == 200 else {"model": {}, "predictions": []}
            answers.append(
                Answer(
                    started,
                    time.monotonic(),
                    response.status_code,
                    content["model"].get("version", 0),
                    tuple(each["prediction"] for each in content["predictions"]),
                    content.get("request_id", ""),
                )
            )


def test_twenty_changes_of_the_champion_under_load(stations: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    versions = [register(float(number)) for number in range(11)]
    value = {version: float(number) for number, version in enumerate(versions)}
    changes: list[tuple[float, float, int]] = []  # from when on it may answer, since when it is alone, the champion
    answers: list[Answer] = []
    stop = threading.Event()

    def change(kind: Any, version: int, judged_against: int | None) -> None:
        asked = Change(kind, version, f"{kind} {len(changes)}", ("test",))
        began = time.monotonic()
        if kind == "promotion":
            switch.promote(stations, asked, judged_against)
        else:
            switch.rollback(stations, asked)
        changes.append((began, time.monotonic(), version))

    with replica() as first, replica() as second:
        monkeypatch.setenv("EVERGREEN_SERVING_REPLICAS", f"{first},{second}")
        get_settings.cache_clear()
        change("promotion", versions[0], None)
        loads = [(first, 1), (second, 1), (first, 3), (second, 3)]
        threads = [threading.Thread(target=ask, args=(*load, stop, answers)) for load in loads]
        for thread in threads:
            thread.start()
        for version in versions[1:]:
            champion = changes[-1][2]
            change("promotion", version, champion)
            change("rollback", choose_version(NAME, None), None)
        deadline = time.monotonic() + 60
        while len(answers) < 1000:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        stop.set()
        for thread in threads:
            thread.join()

    assert {each.status for each in answers} == {200}
    in_force = [(began, following[1], version) for (began, _, version), following in itertools.pairwise(changes)]
    in_force.append((changes[-1][0], float("inf"), changes[-1][2]))
    for each in answers:
        assert each.predictions in {(value[each.version],), (value[each.version],) * 3}
        assert any(
            version == each.version and each.started <= until and each.ended >= since
            for since, until, version in in_force
        ), each
    assert len({each.version for each in answers}) > 5
    assert [each.number for each in ledger.read(NAME)] == list(range(1, 22))
    today = datetime.now(UTC).date()
    lines = online_lines(NAME, today - timedelta(days=1), today)
    logged = {(line["request_id"], line["model_version"]) for line in lines}
    assert {(each.request_id, each.version) for each in answers} == logged
