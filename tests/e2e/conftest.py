"""The real system, once for all tests of a file: Airflow's scheduler, MLflow and serving as servers."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from include.contract.loading import FILE, load_use_case
from include.demo.steps import Tour
from include.history import log as history
from include.history.log import Entry
from include.local.airflow_client import AirflowClient
from include.local.airflow_records import Run
from include.settings import get_settings
from tests.ports import free_ports

ROOT = Path(__file__).parents[2]


def local(command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "include.local", command], cwd=ROOT, text=True, capture_output=True, check=False
    )


@pytest.fixture(scope="module")
def tour(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tour]:
    """The system with the tests' use case, on ports and in a folder of its own."""
    airflow, mlflow, serving = free_ports(3)
    with pytest.MonkeyPatch.context() as patch:
        home = tmp_path_factory.mktemp("the system")
        shutil.copytree(
            ROOT / "tests" / "use_cases" / "station_temperature", home / "use_cases" / "station_temperature"
        )
        patch.setenv("EVERGREEN_HOME", str(home))
        patch.setenv("EVERGREEN_USE_CASE_PATHS", str(home / "use_cases"))
        for name, port in (("AIRFLOW", airflow), ("MLFLOW", mlflow), ("SERVING", serving)):
            patch.setenv(f"EVERGREEN_{name}_PORT", str(port))
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        get_settings.cache_clear()
        started = local("up")
        try:
            assert started.returncode == 0, started.stdout + started.stderr
            with AirflowClient.of(get_settings()) as client:
                yield Tour(load_use_case("station_temperature"), client, get_settings())
        finally:
            ended = local("down")
            get_settings.cache_clear()
    assert ended.returncode == 0, ended.stdout + ended.stderr


@pytest.fixture(scope="module")
def first(tour: Tour) -> dict[str, Any]:
    """The first model: from raw data to production."""
    tour.ingest("2013-01-07/2013-03-04")
    return {**tour.promote(tour.train({"reason": "first"})), "served": tour.served()}


def require_approval(tour: Tour, minutes: int) -> None:
    """The use case wants a person's approval within so many minutes; its gate lets all pass that is not far worse."""
    file = tour.use_case.path / FILE
    content = yaml.safe_load(file.read_text())
    content["approval"] = {"required": True, "deadline": f"{minutes}m"}
    content["gate"]["champion"] |= {"rule": "non-inferiority", "margin": 20.0}
    file.write_text(yaml.safe_dump(content))
    until(lambda: "approve" in tour.airflow.task_ids(f"{tour.name}.promote"), "a promotion asks for approval")


@contextmanager
def approval_required(tour: Tour, minutes: int) -> Iterator[None]:
    """As ``require_approval``, for a while."""
    file = tour.use_case.path / FILE
    before = file.read_text()
    require_approval(tour, minutes)
    yield
    file.write_text(before)
    until(lambda: "approve" not in tour.airflow.task_ids(f"{tour.name}.promote"), "a promotion asks nobody again")


def until(condition: Callable[[], bool], what: str, timeout: float = 300.0) -> None:
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, f"not within {timeout:.0f} s: {what}"
        time.sleep(0.5)


def asked(tour: Tour, training: Run) -> Run:
    """The promotion of the version of a training, when it waits for an answer."""
    return awaiting(tour, tour.airflow.find_run(f"{tour.name}.promote", upstream=training))


def awaiting(tour: Tour, run: Run) -> Run:
    """A promotion, when it waits for an answer."""

    def settled() -> bool:
        return state(tour, run, "approve") == "awaiting_input" or tour.airflow.run(run.dag_id, run.run_id).finished

    until(settled, f"{run.dag_id} {run.run_id} waits for an answer")
    tasks = {task.label: task.state for task in tour.airflow.tasks(run)}
    assert tasks["approve"] == "awaiting_input", (tasks, decided(run, "gate"))
    return run


def state(tour: Tour, run: Run, task: str) -> str | None:
    return next((each.state for each in tour.airflow.tasks(run) if each.task_id == task), None)


def decided(run: Run, kind: str) -> list[Entry]:
    return [each for each in history.read(run.dag_id.split(".")[0]) if each.origin == run.run_id and each.kind == kind]
