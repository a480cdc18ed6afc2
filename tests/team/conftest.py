"""The team's system, once for all tests of this folder that need it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from include.local.airflow_client import AirflowClient
from include.local.airflow_records import Run
from tests.team.images import missing
from tests.team.stack import KEPT, Stack, started

USE_CASE = "flight_delay"
LAST = "2013-02-25"


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    if why := missing():
        pytest.skip(f"{why}; `make test-team` needs one")
    folder = Path(os.environ[KEPT]) if KEPT in os.environ else tmp_path_factory.mktemp("team")
    with started(folder) as stack:
        yield stack


@pytest.fixture(scope="session")
def champion(stack: Stack) -> int:
    """The loop as `make team-demo` runs it: weeks of data, a champion, a challenger, a rollback; its version."""
    file = "/var/lib/evergreen/demo/summary.json"
    if KEPT not in os.environ or not stack.run("worker", "sh", "-c", f"ls {file} || true"):
        stack.team("demo")
    summary = json.loads(stack.run("worker", "cat", file))
    assert summary["succeeded"], summary["expected"]
    with stack.serving() as client:
        return int(client.get(f"/v1/{USE_CASE}").json()["model"]["version"])


def named(reason: str) -> str:
    """The id of a run that no earlier one has."""
    return f"{reason}__{datetime.now(UTC):%H%M%S}"


def train(airflow: AirflowClient, reason: str, leaves: int) -> Run:
    """A training whose model is another than all before."""
    asked = {"until": LAST, "search": False, "model_params": {"max_leaf_nodes": leaves}, "reason": reason}
    return airflow.trigger(f"{USE_CASE}.train", asked, run_id=named(reason))


@pytest.fixture(scope="session")
def row(stack: Stack, champion: int) -> dict[str, object]:
    """A request that the champion can answer from the row alone."""
    with stack.serving() as client:
        features = client.get(f"/v1/{USE_CASE}").json()["features"]
        asked = {"rows": [{each["name"]: None for each in features}]}
        answer = client.post(f"/v1/{USE_CASE}/predict", json=asked)
    assert answer.status_code == 200, answer.text
    return asked
