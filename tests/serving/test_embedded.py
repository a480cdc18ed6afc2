from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from include.registry import models
from include.serving import embedded
from include.serving.prediction_log import online_lines
from include.serving.problems import Problem
from include.settings import get_settings
from tests.feature_store import CONFIG, LATER, build_store
from tests.model_store import register_classifier, register_constant

NAME = "trips_late"
ROW = {"distance": 900, "carrier": "AA", "night": True}
OTHER = {"distance": None, "carrier": "new", "night": False}
Serve = Callable[..., Any]


@pytest.fixture
def use_case() -> str:
    return NAME


@pytest.fixture
def stored(mlflow_store: Path, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A feature store and a champion."""
    import mlflow

    folder = tmp_path / "use_cases"
    monkeypatch.setenv("EVERGREEN_USE_CASE_PATHS", str(folder))
    get_settings.cache_clear()
    (folder / NAME).mkdir(parents=True)
    task = CONFIG.replace("task: regression", "task: classification").replace("mae", "log_loss")
    (folder / NAME / "use_case.yaml").write_text(f"{task}serving: {{threshold: 0.5}}\n")
    build_store()
    models.set_alias(NAME, models.CHAMPION, register_classifier(NAME).version)
    yield
    mlflow.MlflowClient().delete_registered_model(NAME)  # another test has versions of this name


def same(answer: dict[str, Any]) -> dict[str, Any]:
    """What two answers to the same question have in common."""
    return {**answer, "request_id": None, "as_of": None}


@pytest.mark.usefixtures("stored")
def test_it_answers_as_the_server_does(serve: Serve) -> None:
    keys = [{"trip_id": number} for number in (1, 2, 3, 4)]
    with embedded.load(NAME) as model, serve(lookup=embedded.shared_store()) as client:

        def served(**asked: Any) -> dict[str, Any]:
            answer: dict[str, Any] = client.post(f"/v1/{NAME}/predict", json=asked).json()
            return answer

        assert same(model.predict([ROW, OTHER])) == same(served(rows=[ROW, OTHER]))
        assert same(model.predict(entities=keys, as_of=LATER)) == same(served(entities=keys, as_of=LATER.isoformat()))
        assert same(model.predict([ROW], explain=True)) == same(served(rows=[ROW], explain=True))
        with pytest.raises(Problem) as caught:
            model.predict([{**ROW, "distance": "far"}])
        refused = served(rows=[{**ROW, "distance": "far"}])
        assert (caught.value.status, caught.value.detail) == (refused["status"], refused["detail"])
        with pytest.raises(Problem, match="has no row online"):
            model.predict(entities=[{"trip_id": 77}], as_of=LATER)
    today = datetime.now(UTC).date()
    clients = [line["client"] for line in online_lines(NAME, today - timedelta(days=1), today)]
    assert (clients.count("embedded"), clients.count("anonymous")) == (7, 7)


@pytest.mark.usefixtures("stored")
def test_values_may_be_of_numpy_and_nan_is_missing() -> None:
    with embedded.load(NAME, lookup=False) as model:
        plain = model.predict([{"distance": 900.0, "carrier": "AA", "night": True}, {**ROW, "distance": None}])
        given = model.predict(
            ({"distance": np.float64(900), "carrier": "AA", "night": np.True_}, {**ROW, "distance": float("nan")})
        )
    assert given["predictions"] == plain["predictions"]


@pytest.mark.usefixtures("stored")
def test_without_look_up_entities_are_refused() -> None:
    with embedded.load(NAME, lookup=False) as model, pytest.raises(Problem) as caught:
        model.predict(entities=[{"trip_id": 1}])
    assert caught.value.status == 503


@pytest.mark.usefixtures("stored")
def test_no_version_with_the_alias_is_said() -> None:
    with pytest.raises(Problem, match="no version is staging yet"):
        embedded.load(NAME, alias="staging", lookup=False)


@pytest.mark.usefixtures("stored")
def test_threads_share_it_while_it_follows() -> None:
    with embedded.load(NAME, lookup=False) as model:
        first = model.version
        model.follow()
        stop, failed, seen = threading.Event(), [], set()

        def ask() -> None:
            while not stop.is_set():
                try:
                    seen.add(model.predict([ROW])["model"]["version"])
                except Exception as error:  # noqa: BLE001 - whatever it is, it fails the test
                    failed.append(error)

        threads = [threading.Thread(target=ask) for _ in range(4)]
        for thread in threads:
            thread.start()
        newer = register_constant(NAME, 0.25).version
        models.set_alias(NAME, models.CHAMPION, newer)
        deadline = time.monotonic() + 30
        while model.version != newer:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        time.sleep(0.1)
        stop.set()
        for thread in threads:
            thread.join()
    assert not failed
    assert seen == {first, newer}
