"""Workers on a second machine, which knows the first by a network and shares its home volume."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.team.conftest import train
from tests.team.harm import PREDICT, ingest, versions
from tests.team.machine import NoMachineError, copy_images, second_machine
from tests.team.stack import Stack, asking

pytestmark = pytest.mark.team


def test_the_work_is_done_on_another_machine(stack: Stack, row: dict[str, object], tmp_path: Path) -> None:
    if stack.no_disk:
        pytest.skip(f"no disk that both machines reach: {stack.no_disk}")
    before = versions(stack)
    try:
        with second_machine() as there:
            _overlay(stack)
            copy_images(there, stack.environment["AIRFLOW_IMAGE"])
            second = _checkout(stack, tmp_path / "checkout", there)
            second.team("join")
            second.team("status")
            stack.compose("stop", "worker", "trainer")
            with stack.airflow as airflow, asking(stack, PREDICT, row) as asked:
                runs = [ingest(airflow, "elsewhere"), train(airflow, "elsewhere", 33)]
                hosts = {task.host for run in runs for task in airflow.tasks(airflow.wait(run, timeout=900))} - {""}
            assert asked.failures == []
            assert hosts == {second.run(each, "hostname") for each in ("worker", "trainer")}
            stack.compose("start", "worker", "trainer")
            second.team("leave")
            stack.team("down")
    except NoMachineError as error:
        pytest.skip(str(error))
    stack.environment.pop("NETWORK_DRIVER")
    stack.team("up")
    assert len(versions(stack)) == len(before) + 1


def _overlay(stack: Stack) -> None:
    stack.team("down")
    stack.environment["NETWORK_DRIVER"] = "overlay"
    stack.team("up")


def _checkout(stack: Stack, folder: Path, there: dict[str, str]) -> Stack:
    shutil.copytree(stack.folder, folder)
    environment = {**stack.environment, **there, "TEAM_BUILD": "false"}
    return Stack(folder, environment, stack.secrets)
