"""The orchestration's share of the loop: the time in which runs are under way and no task works.

Starts the whole system in a folder and on ports of its own and takes the tests' small use case from raw data to a
watched champion, so that the work itself is little and the share is at its worst.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from socket import socket
from typing import Any

REPOSITORY = Path(__file__).resolve().parent.parent
LIBRARIES = ("apache-airflow",)
LIMIT = 0.5


def _free_port() -> int:
    with socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _local(command: str) -> None:
    subprocess.run([sys.executable, "-m", "include.local", command], cwd=REPOSITORY, check=True)


def run() -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as home:
        os.environ |= {
            "EVERGREEN_HOME": home,
            "EVERGREEN_USE_CASE_PATHS": str(REPOSITORY / "tests" / "use_cases"),
            **{f"EVERGREEN_{name}_PORT": str(_free_port()) for name in ("AIRFLOW", "MLFLOW", "SERVING")},
        }
        _local("up")
        try:
            return [_measure()]
        finally:
            _local("down")


def _measure() -> dict[str, Any]:
    from include.contract.loading import load_use_case
    from include.demo.orchestration import waiting
    from include.demo.steps import Tour
    from include.local.airflow_client import AirflowClient
    from include.local.running import join_running_system

    settings = join_running_system()
    since = datetime.now(UTC)
    with AirflowClient.of(settings) as airflow:
        tour = Tour(load_use_case("station_temperature"), airflow, settings)
        tour.ingest("2013-01-07/2013-03-04")
        tour.promote(tour.train({"reason": "benchmark"}))
        for span in ("2013-03-11", "2013-03-18"):
            tour.watch(span, tour.ingest(span))
        under_way, idle = waiting(airflow, tour.name, since)
    share = idle / under_way
    return {
        "name": "share of the loop in which no task works",
        "ours": round(share, 3),
        "limit": LIMIT,
        "ratio": round(share / LIMIT, 2),
        "goal": f"at most {LIMIT:.0%} for the smallest use case",
        "met": share <= LIMIT,
        "unit": "share",
        "note": f"{idle:.1f} of {under_way:.1f} s",
    }


if __name__ == "__main__":
    print(run())
