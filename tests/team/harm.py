"""Harm done to the team's system in the middle of its work, and what must hold after it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from include.local.airflow_client import AirflowClient
from include.local.airflow_records import Run
from tests.team.conftest import LAST, USE_CASE, named, train
from tests.team.stack import Asked, Stack, asking, until

WITHIN = 600.0  # seconds until a run has got over it
PREDICT = f"/v1/{USE_CASE}/predict"
LIBFAKETIME = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1")
SLACK = 8 << 20  # bytes that a file system may need for the allocation itself
Harm = Callable[[], None]


def versions(stack: Stack) -> list[str]:
    """The run of every version of the model, as MLflow has it."""
    code = f"from include.registry import models; print(*[each.run_id for each in models.versions({USE_CASE!r})])"
    return stack.run("worker", "python", "-c", code).split()


def generations(stack: Stack) -> list[dict[str, object]]:
    """Every change of what is in production, the oldest first."""
    code = (
        "import json; from include.deployment import ledger;"
        f"print(json.dumps([vars(each) for each in ledger.read({USE_CASE!r})], default=str))"
    )
    told: list[dict[str, object]] = json.loads(stack.run("worker", "python", "-c", code).splitlines()[-1])
    return told


def state(airflow: AirflowClient, run: Run, task_id: str) -> str | None:
    return next((task.state for task in airflow.tasks(run) if task.task_id == task_id), None)


def during(
    stack: Stack, row: object, begin: Callable[[AirflowClient], Run], task_id: str, harm: Harm, *, well: bool = True
) -> Asked:
    """Begin a run, do harm while a task of it works, wait: it succeeds. What a client of serving saw meanwhile."""
    with stack.airflow as airflow, asking(stack, PREDICT, row) as asked:
        run = begin(airflow)
        until(f"{task_id} runs", lambda: state(airflow, run, task_id) == "running", 180, every=0.2)
        harm()
        until(f"{run.run_id}: the run ends", lambda: airflow.run(run.dag_id, run.run_id).finished, WITHIN)
        airflow.wait(run)  # or why it failed
    if well:
        stack.team("status")
    return asked


def survives(
    stack: Stack, row: object, reason: str, leaves: int, task_id: str, harm: Harm, *, well: bool = True
) -> Asked:
    """Harm in the middle of a training: there is one version more."""
    before = versions(stack)
    asked = during(stack, row, lambda airflow: train(airflow, reason, leaves), task_id, harm, well=well)
    after = versions(stack)
    assert len({*after}) == len(after), "a run has two versions"
    assert len(after) == len(before) + 1
    return asked


def ingest(airflow: AirflowClient, reason: str) -> Run:
    """The last day once more."""
    return airflow.trigger(f"{USE_CASE}.ingest", {"start": LAST}, run_id=named(reason))


def roll_back(airflow: AirflowClient, reason: str) -> Run:
    return airflow.trigger(f"{USE_CASE}.rollback", {"reason": reason}, run_id=named(reason))


def free_bytes(stack: Stack) -> int:
    return int(stack.run("worker", "df", "--output=avail", "-B1", "/var/lib/evergreen").split()[-1])


@contextmanager
def full_disk(stack: Stack) -> Iterator[None]:
    """Nothing can be written to the volume of the data repository, of logs and of the embedded stores."""
    ballast = "/var/lib/evergreen/ballast"
    try:
        stack.run("worker", "fallocate", "-l", str(free_bytes(stack) - SLACK), ballast)
        stack.run("worker", "sh", "-c", f"dd if=/dev/zero of={ballast}.more bs=4k 2>/dev/null || true")
        assert free_bytes(stack) < SLACK
        yield
    finally:
        stack.run("worker", "rm", "-f", ballast, f"{ballast}.more")


@contextmanager
def wrong_clock(stack: Stack, hours: int, *services: str) -> Iterator[None]:
    """The services' containers are as on a host whose clock is wrong by so many hours."""
    environment = {
        "LD_PRELOAD": f"/faketime/{LIBFAKETIME.name}",
        "FAKETIME": f"{hours:+d}h",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    changed = {"environment": environment, "volumes": [f"{LIBFAKETIME.parent}:/faketime:ro"]}
    stack.override(dict.fromkeys(services, changed))
    try:
        stack.compose("up", "--detach", "--no-deps", *services)
        yield
    finally:
        stack.override({})
        again(stack, *services)


def again(stack: Stack, *services: str) -> None:
    """Make the services' containers anew from the compose files as they are now."""
    stack.compose("up", "--detach", "--no-deps", *services)
    for service in services:
        until(f"{service} is well", lambda name=service: stack.well(name), 180)
