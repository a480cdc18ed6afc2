"""What a challenger predicts in the shadow is logged beside what was answered, and never in its way."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from include.registry import models
from include.serving.compiled.served import accelerate
from include.serving.followed import Deployment
from include.serving.log_lines import Columns
from include.serving.prediction_log import PredictionLog, online_lines, read_online
from include.serving.shadow import Append, ShadowQueue, predicted
from tests.model_store import register_constant
from tests.serving.segments import answer

ROW = {"distance": 900.0, "carrier": "AA", "night": True, "unread": 1}


class Gate:
    """A model that waits until it may predict."""

    def __init__(self, inner: Any) -> None:
        self._inner, self.open, self.entered = inner, threading.Event(), threading.Event()
        self.predictor = inner.predictor

    def predict(self, rows: Sequence[Sequence[Any]]) -> list[float]:
        self.entered.set()
        assert self.open.wait(30)
        return list(self._inner.predict(rows))


@pytest.fixture
def challenger(mlflow_store: Path, home: Path, use_case: str) -> Deployment:
    version = register_constant(use_case, 2.0)
    return Deployment(accelerate(models.load(version)), None, datetime.now(UTC))


@pytest.fixture
def log(home: Path, use_case: str) -> PredictionLog:
    return PredictionLog(home / "predictions", use_case)


@pytest.fixture
def append(log: PredictionLog) -> Append:
    return lambda use_case, time, line, columns: log.append(time, line, columns)


def line(request: str) -> dict[str, Any]:
    return {
        "request_id": request,
        "model_version": 1,
        "run_id": "champion's",
        "entity": {"trip_id": 1},
        "as_of": datetime.now(UTC),
        "event_timestamp": None,
        "feature_timestamps": {},
        "features": {"distance": 900.0},
        "prediction": 1.0,
    }


def logged(use_case: str, source: Any) -> list[dict[str, Any]]:
    today = datetime.now(UTC).date()
    return list(online_lines(use_case, today - timedelta(days=1), today, source))


def test_it_is_in_the_log_as_a_shadow_and_only_for_who_asks(
    challenger: Deployment, log: PredictionLog, append: Any, use_case: str
) -> None:
    queue = ShadowQueue(append)
    answered, columns = answer("a", line("a"), line("a"))
    log.append(datetime.now(UTC), answered, columns)
    assert queue.submit(challenger, answered, [ROW, ROW])
    assert queue.submit(challenger, line("b"), [ROW])
    queue.close()
    *shadowed, single = logged(use_case, "shadow")
    assert single == {**shadowed[0], **{name: single[name] for name in ("time", "request_id", "as_of", "seconds")}}
    assert [(each["request_id"], each["model_version"], each["prediction"]) for each in shadowed] == [("a", 1, 2.0)] * 2
    assert shadowed[0]["run_id"] == challenger.version.run_id
    assert shadowed[0]["features"] == {"distance": 900.0, "carrier": "AA", "night": True}
    assert (shadowed[0]["entity"], shadowed[0]["error"]) == ({"trip_id": 1}, None)
    assert 0 < shadowed[0]["seconds"] < 30
    assert [each["prediction"] for each in logged(use_case, "online")] == [1.0, 1.0]
    assert len(logged(use_case, None)) == 5
    start, end = datetime.now(UTC) - timedelta(minutes=5), datetime.now(UTC) + timedelta(minutes=5)
    assert read_online(use_case, start, end)["prediction"].to_list() == [1.0, 1.0]
    assert read_online(use_case, start, end, "shadow")["prediction"].to_list() == [2.0] * 3
    assert queue.dropped == 0


def test_structs_are_read_by_the_names_that_they_have_in_json(challenger: Deployment) -> None:
    names = {"f0": "distance", "f1": "carrier", "f2": "night"}
    row = msgspec.defstruct("Row", [(name, Any) for name in names], rename=names)(900.0, None, True)
    answered = msgspec.defstruct("Line", [("request_id", str), ("prediction", float)])("a", 1.0)
    found = predicted(challenger, answered, [row])
    assert (found["request_id"], found["prediction"], found["features"]) == ("a", 2.0, [900.0, None, True])


def test_a_full_queue_drops_and_counts_without_waiting(challenger: Deployment, append: Any, use_case: str) -> None:
    slow = Gate(challenger.served)
    queue = ShadowQueue(append, size=2)
    behind = replace(challenger, served=slow)  # type: ignore[arg-type]
    assert queue.submit(behind, line("0"), [ROW])
    assert slow.entered.wait(30)
    assert [queue.submit(behind, line(str(number)), [ROW]) for number in range(1, 6)] == [True] * 2 + [False] * 3
    assert queue.dropped == 3
    slow.open.set()
    queue.close()
    assert [each["request_id"] for each in logged(use_case, "shadow")] == ["0", "1", "2"]


@pytest.mark.parametrize(
    ("values", "row", "said"),
    [
        (ValueError("odd row"), ROW, "ValueError: odd row"),
        ([float("nan")], ROW, "not finite"),
        ([], ROW, "0 values for 1 rows"),
        ([1.0], {"distance": 1.0, "night": True}, "FeaturesMissingError: the request has no carrier"),
    ],
    ids=["raises", "not finite", "too few", "a row that it would have refused"],
)
def test_a_failure_is_logged_with_its_cause(
    challenger: Deployment, append: Any, use_case: str, values: Any, row: dict[str, Any], said: str
) -> None:
    class Broken:
        predictor = challenger.predictor

        def predict(self, rows: Any) -> list[float]:
            if isinstance(values, Exception):
                raise values
            return list(values)

    queue = ShadowQueue(append)
    queue.submit(replace(challenger, served=Broken()), line("a"), [row])  # type: ignore[arg-type]
    queue.submit(challenger, line("b"), [ROW])
    queue.close()
    failed, fine = logged(use_case, "shadow")
    assert failed["prediction"] is None and said in failed["error"]
    assert fine["prediction"] == 2.0


def test_what_cannot_be_logged_is_counted_and_the_next_goes_on(challenger: Deployment) -> None:
    kept: list[str] = []

    def append(use_case: str, time: datetime, line: Mapping[str, Any], columns: Columns) -> None:
        if line["request_id"] == "0":
            raise OSError("disk full")
        kept.append(line["request_id"])

    queue = ShadowQueue(append)
    for number in range(3):
        queue.submit(challenger, line(str(number)), [ROW])
    queue.close()
    assert (kept, queue.dropped) == (["1", "2"], 1)


def test_a_closed_queue_takes_nothing(challenger: Deployment, append: Any) -> None:
    queue = ShadowQueue(append)
    queue.close()
    assert not queue.submit(challenger, line("a"), [ROW])
    assert queue.dropped == 1


def test_closing_does_not_wait_for_a_model_that_hangs(challenger: Deployment, append: Any) -> None:
    slow = Gate(challenger.served)
    queue = ShadowQueue(append, size=1)
    behind = replace(challenger, served=slow)  # type: ignore[arg-type]
    queue.submit(behind, line("a"), [ROW])
    assert slow.entered.wait(30)
    queue.submit(behind, line("b"), [ROW])
    started = time.monotonic()
    queue.close(timeout=0.1)
    assert time.monotonic() - started < 10
    assert not queue.submit(behind, line("c"), [ROW])
    slow.open.set()
