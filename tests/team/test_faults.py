"""Parts of the team's system die in the middle of work: nothing is lost, nothing is there twice, serving answers on."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from include.local.airflow_client import AirflowClient
from include.local.airflow_records import Run
from tests.team.conftest import USE_CASE, train
from tests.team.stack import Asked, Stack, asking, until

pytestmark = pytest.mark.team

ENTITIES = {"entities": [{"flight_id": "nobody-knows-it"}]}
WITHIN = 600.0  # seconds until a run has got over it


def versions(stack: Stack) -> list[str]:
    """The run of every version of the model, as MLflow has it."""
    code = f"from include.registry import models; print(*[each.run_id for each in models.versions({USE_CASE!r})])"
    return stack.run("worker", "python", "-c", code).split()


def running(airflow: AirflowClient, run: Run, task_id: str) -> bool:
    return any(task.task_id == task_id and task.state == "running" for task in airflow.tasks(run))


def survives(stack: Stack, reason: str, leaves: int, task_id: str, harm: Callable[[], None]) -> Asked:
    """Train, do harm while a task runs, wait: the run succeeds, and there is one version more."""
    before = versions(stack)
    with stack.airflow as airflow, asking(stack, f"/v1/{USE_CASE}/predict", ROW) as asked:
        run = train(airflow, reason, leaves)
        until(f"{task_id} runs", lambda: running(airflow, run, task_id), 180)
        harm()
        until(f"{reason}: the run ends", lambda: airflow.run(run.dag_id, run.run_id).finished, WITHIN)
        airflow.wait(run)  # or why it failed
    after = versions(stack)
    assert sorted(after)[:] == sorted({*after}), "a run has two versions"
    assert len(after) == len(before) + 1
    stack.team("status")
    return asked


ROW: dict[str, object] = {}


@pytest.fixture(scope="module", autouse=True)
def a_row(stack: Stack, champion: int) -> None:
    """A prediction that the champion can make by its row alone."""
    with stack.serving() as client:
        features = client.get(f"/v1/{USE_CASE}").json()["features"]
    ROW.update({"rows": [{each["name"]: None for each in features}]})
    with stack.serving() as client:
        answer = client.post(f"/v1/{USE_CASE}/predict", json=ROW)
        assert answer.status_code == 200, answer.text


def test_a_trainer_is_killed_in_the_middle_of_a_fit(stack: Stack) -> None:
    asked = survives(stack, "trainer-killed", 21, "fit", lambda: stack.kill("trainer"))
    assert asked.answers > 50 and asked.failures == []


def test_a_worker_is_killed_in_the_middle_of_a_task(stack: Stack) -> None:
    asked = survives(stack, "worker-killed", 22, "build_training_set", lambda: stack.kill("worker"))
    assert asked.failures == []


@pytest.mark.parametrize(
    ("service", "leaves"), [("scheduler", 23), ("redis", 24), ("postgres", 25), ("mlflow", 26), ("objects", 27)]
)
def test_a_service_is_killed_in_the_middle_of_a_fit(stack: Stack, service: str, leaves: int) -> None:
    asked = survives(stack, f"{service}-killed", leaves, "fit", lambda: stack.kill(service))
    assert asked.answers > 50 and asked.failures == []


def test_the_cable_between_a_trainer_and_everything_is_pulled(stack: Stack) -> None:
    def pulled() -> None:
        with stack.cut_off("trainer"):
            time.sleep(30)

    asked = survives(stack, "cable-pulled", 28, "fit", pulled)
    assert asked.failures == []


def test_replicas_die_one_after_the_other_and_no_client_notices(stack: Stack) -> None:
    with asking(stack, f"/v1/{USE_CASE}/predict", ROW) as asked:
        for replica in ("serving-1", "serving-2"):
            stack.kill(replica)
            time.sleep(5)
            until(f"{replica} is back", lambda name=replica: _well(stack, name), 120)
    assert asked.answers > 100 and asked.failures == []


def test_an_alert_is_raised_while_a_part_is_down(stack: Stack) -> None:
    from tests.team.stack import docker

    name = stack.container("objects")
    docker("pause", name)
    try:
        docker("stop", "--time", "1", name)
        until(
            "the alert",
            lambda: stack.samples('ALERTS{alertname="PartDown",alertstate="firing"}') == {"objects": 1.0},
            240,
        )
    finally:
        docker("start", name)
    until("the alert is over", lambda: stack.samples('ALERTS{alertname="PartDown",alertstate="firing"}') == {}, 240)


def _well(stack: Stack, service: str) -> bool:
    from tests.team.stack import docker

    return docker("inspect", "--format", "{{.State.Health.Status}}", stack.container(service)) == "healthy"
