"""Parts of the team's system die in the middle of work: nothing is lost, nothing is there twice, serving answers on."""

from __future__ import annotations

import time

import httpx
import pytest

from tests.team.conftest import LAST, USE_CASE
from tests.team.harm import (
    LIBFAKETIME,
    PREDICT,
    during,
    full_disk,
    generations,
    ingest,
    roll_back,
    state,
    survives,
    versions,
    wrong_clock,
)
from tests.team.stack import Stack, asking, docker, until

pytestmark = pytest.mark.team

Row = dict[str, object]


def test_a_trainer_is_killed_in_the_middle_of_a_fit(stack: Stack, row: Row) -> None:
    asked = survives(stack, row, "trainer-killed", 21, "fit", lambda: stack.kill("trainer"))
    assert asked.answers > 50 and asked.failures == []


def test_a_worker_is_killed_in_the_middle_of_a_training(stack: Stack, row: Row) -> None:
    asked = survives(stack, row, "worker-killed", 22, "build_training_set", lambda: stack.kill("worker"))
    assert asked.failures == []


def test_a_worker_is_killed_in_the_middle_of_an_ingestion(stack: Stack, row: Row) -> None:
    days = _days(stack)
    asked = during(stack, row, lambda airflow: ingest(airflow, "check-killed"), "check", lambda: stack.kill("worker"))
    assert asked.failures == []
    assert _days(stack) == days and len({*days}) == len(days)


def test_a_worker_is_killed_in_the_middle_of_a_change_of_production(stack: Stack, row: Row) -> None:
    before = generations(stack)
    for number, reason in enumerate(("switch-killed", "switched-back")):
        begin = lambda airflow, reason=reason: roll_back(airflow, reason)  # noqa: E731
        asked = during(stack, row, begin, "switch", (lambda: stack.kill("worker")) if number == 0 else lambda: None)
        assert asked.failures == []
    after = generations(stack)
    assert len(after) == len(before) + 2, "a change was made twice, or not"
    assert after[-1]["champion"] == before[-1]["champion"] != after[-2]["champion"]


@pytest.mark.parametrize(
    ("service", "leaves"), [("scheduler", 23), ("redis", 24), ("postgres", 25), ("mlflow", 26), ("objects", 27)]
)
def test_a_service_is_killed_in_the_middle_of_a_fit(stack: Stack, row: Row, service: str, leaves: int) -> None:
    asked = survives(stack, row, f"{service}-killed", leaves, "fit", lambda: stack.kill(service))
    assert asked.answers > 50 and asked.failures == []


def test_the_cable_between_a_trainer_and_everything_is_pulled(stack: Stack, row: Row) -> None:
    def pulled() -> None:
        with stack.cut_off("trainer"):
            time.sleep(30)

    asked = survives(stack, row, "cable-pulled", 28, "fit", pulled)
    assert asked.failures == []


def test_a_disk_is_full_for_a_while(stack: Stack, row: Row) -> None:
    if stack.no_disk:
        pytest.skip(f"no disk can be made to be filled: {stack.no_disk}")
    refused = "evergreen_prediction_log_failures_total"

    def full() -> None:
        with full_disk(stack):
            until("the alert", lambda: stack.firing("PredictionsNotLogged"), 180)

    before, days = versions(stack), _days(stack)
    asked = survives(stack, row, "disk-full", 30, "fit", full)
    assert asked.failures, f"nothing was refused, but {refused} rose"
    assert {each[:3] for each in asked.failures} == {"503"}, asked.failures
    assert versions(stack)[-len(before) :] == before or {*before} < {*versions(stack)}
    assert _days(stack) == days
    until("answers come again", lambda: _predicts(stack, row), 30)


@pytest.mark.parametrize("hours", [-3, 3])
def test_the_clock_of_a_worker_and_of_a_trainer_is_wrong(stack: Stack, row: Row, hours: int) -> None:
    if not LIBFAKETIME.exists():
        pytest.skip(f"{LIBFAKETIME} is not there: install faketime")
    days = _days(stack)
    with wrong_clock(stack, hours, "worker", "trainer"):
        off = float(stack.run("worker", "date", "+%s")) - time.time()
        assert abs(off - hours * 3600) < 60
        asked = survives(stack, row, f"clock{hours:+d}", 31 + (hours > 0), "fit", lambda: None, well=False)
        assert asked.failures == []
        # Object storage takes no signature of another hour: nothing is published, and the container says why.
        with stack.airflow as airflow:
            run = ingest(airflow, f"clock{hours:+d}")
            until("publish is refused", lambda: state(airflow, run, "publish") in {"failed", "up_for_retry"}, 300)
        until("the worker says so", lambda: "the clock is wrong by" in stack.said("worker"), 180)
    assert _days(stack) == days
    with stack.airflow as airflow:
        airflow.wait(ingest(airflow, f"after-clock{hours:+d}"))
    assert _days(stack) == days


def test_replicas_die_one_after_the_other_and_no_client_notices(stack: Stack, row: Row) -> None:
    with asking(stack, PREDICT, row) as asked:
        for replica in ("serving-1", "serving-2"):
            stack.kill(replica)
            time.sleep(5)
            until(f"{replica} is back", lambda name=replica: stack.well(name), 120)
    assert asked.answers > 100 and asked.failures == []


def test_an_alert_is_raised_while_a_part_is_down(stack: Stack) -> None:
    name = stack.container("objects")
    docker("stop", "--time", "1", name)
    try:
        until("the alert", lambda: stack.firing("PartDown") == {"objects"}, 240)
    finally:
        docker("start", name)
    until("the alert is over", lambda: not stack.firing("PartDown"), 240)


def _days(stack: Stack) -> list[str]:
    code = f"from include.ingestion import versions; print(*versions.keys({USE_CASE!r}, versions.head()))"
    days = stack.run("worker", "python", "-c", code).split()
    assert LAST in days
    return days


def _predicts(stack: Stack, row: Row) -> bool:
    with stack.serving() as client:
        return client.post(PREDICT, json=row).status_code == httpx.codes.OK
