"""The team's system, once for all tests of this folder that need it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from include.local.airflow_client import AirflowClient
from include.local.airflow_records import Run
from tests.team.stack import Stack, missing, started

USE_CASE = "flight_delay"
LAST = "2013-02-25"


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    if why := missing():
        pytest.skip(f"{why}; `make test-team` needs one")
    with started(tmp_path_factory.mktemp("team")) as stack:
        yield stack


@pytest.fixture(scope="session")
def champion(stack: Stack) -> int:
    """The loop as `make team-demo` runs it: weeks of data, a champion, a challenger, a rollback; its version."""
    stack.team("demo")
    summary = json.loads(stack.run("worker", "cat", "/var/lib/evergreen/demo/summary.json"))
    assert summary["succeeded"], summary["expected"]
    with stack.serving() as client:
        return int(client.get(f"/v1/{USE_CASE}").json()["model"]["version"])


def train(airflow: AirflowClient, reason: str, leaves: int) -> Run:
    """A training whose model is another than all before."""
    asked = {"until": LAST, "search": False, "model_params": {"max_leaf_nodes": leaves}, "reason": reason}
    return airflow.trigger(f"{USE_CASE}.train", asked, run_id=f"{reason}__{datetime.now(UTC):%H%M%S}")
