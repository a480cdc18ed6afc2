"""Commands find the running system by the settings of its start."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from include.local.checks import CheckError
from include.local.running import processes, remember, running_settings, settings_to_start
from include.settings import Settings


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """A home in which one process of a system with a port of its own runs."""
    started = Settings(home=tmp_path, airflow_port=18080)
    command = [sys.executable, "-c", "import time; time.sleep(60)"]
    processes(started).start("api-server", command, env=dict(os.environ), cwd=tmp_path)
    remember(started)
    yield tmp_path
    processes(started).stop(["api-server"], grace=1)


def test_the_running_system_is_found_without_repeating_its_settings(home: Path) -> None:
    assert running_settings(Settings(home=home)).airflow_port == 18080
    assert running_settings(Settings(home=home, airflow_port=1)).airflow_port == 18080
    assert settings_to_start(Settings(home=home)).airflow_port == 18080
    assert settings_to_start(Settings(home=home, airflow_port=18080)).airflow_port == 18080


def test_a_running_system_is_not_started_with_other_settings(home: Path) -> None:
    with pytest.raises(CheckError, match="runs with EVERGREEN_AIRFLOW_PORT=18080: make down before"):
        settings_to_start(Settings(home=home, airflow_port=18081))


def test_the_settings_of_an_ended_system_are_forgotten(home: Path) -> None:
    processes(Settings(home=home)).stop(["api-server"], grace=1)

    assert running_settings(Settings(home=home)).airflow_port == Settings().airflow_port
    assert settings_to_start(Settings(home=home, airflow_port=18081)).airflow_port == 18081
