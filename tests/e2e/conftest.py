"""The real system, once for all tests of a file: Airflow's scheduler, MLflow and serving as servers."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from include.contract.loading import load_use_case
from include.demo.steps import Tour
from include.local.airflow_client import AirflowClient
from include.settings import get_settings

ROOT = Path(__file__).parents[2]


def free_ports(count: int) -> list[int]:
    probes = [socket.socket() for _ in range(count)]
    for probe in probes:
        probe.bind(("127.0.0.1", 0))
    ports = [int(probe.getsockname()[1]) for probe in probes]
    for probe in probes:
        probe.close()
    return ports


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
