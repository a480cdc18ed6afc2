"""The team's system as its people meet it: one door, users and roles, tokens, pages, alerts, and the loop."""

from __future__ import annotations

import json

import httpx
import pytest

from include.local.airflow_client import AirflowClient, AirflowError
from tests.team.conftest import USE_CASE
from tests.team.stack import PROJECT, Stack, docker, until

pytestmark = pytest.mark.team


def test_every_container_is_well_and_a_second_start_changes_nothing(stack: Stack) -> None:
    stack.team("status")
    before = docker("ps", "--quiet", "--no-trunc", "--filter", f"label=com.docker.compose.project={PROJECT}").split()
    names = docker("ps", "--filter", f"label=com.docker.compose.project={PROJECT}", "--format", "{{.Names}} {{.Ports}}")
    assert len(before) >= 15
    published = [line.split()[0] for line in names.splitlines() if "->" in line]
    assert published == [stack.container("proxy")]
    assert "0.0.0.0" not in names


def test_stores_and_replicas_are_on_a_network_that_leads_nowhere(stack: Stack) -> None:
    assert json.loads(docker("network", "inspect", f"{PROJECT}_inside"))[0]["Internal"] is True
    for service in ("postgres", "redis", "objects", "serving-1", "serving-2"):
        networks = json.loads(docker("inspect", stack.container(service)))[0]["NetworkSettings"]["Networks"]
        assert list(networks) == [f"{PROJECT}_inside"], service


def test_processes_are_nobody_and_cannot_change_their_image(stack: Stack) -> None:
    for service in ("scheduler", "worker", "serving-1", "mlflow", "objects"):
        assert stack.run(service, "id", "-u") == "10001", service
        with pytest.raises(AssertionError, match=r"[Rr]ead-only"):
            stack.run(service, "touch", "/opt/touched")


def test_airflow_knows_its_people_and_their_roles(stack: Stack) -> None:
    address = f"http://127.0.0.1:{stack.port('AIRFLOW')}"
    with AirflowClient(address, "admin", "wrong") as nobody, pytest.raises(AirflowError, match="refused the login"):
        nobody.dags()
    password = "a-password-for-a-test"
    create = ["airflow", "users", "create", "--username", "vera", "--role", "Viewer", "--password", password]
    stack.run("api-server", *create, "--email", "vera@example.com", "--firstname", "Vera", "--lastname", "Test")
    with AirflowClient(address, "vera", password) as viewer:
        assert f"{USE_CASE}.train" in {dag.dag_id for dag in viewer.dags()}
        with pytest.raises(AirflowError, match="403"):
            viewer.trigger(f"{USE_CASE}.train", {})


def test_the_pages_are_for_those_who_signed_in(stack: Stack) -> None:
    address = f"http://127.0.0.1:{stack.port('AIRFLOW')}"
    assert httpx.get(f"{address}/evergreen/", timeout=60).status_code in (401, 403, 302, 307)
    login = {"username": "admin", "password": stack.secrets["AIRFLOW_ADMIN_PASSWORD"]}
    token = httpx.post(f"{address}/auth/token", json=login, timeout=60).json()["access_token"]
    page = httpx.get(f"{address}/evergreen/", headers={"Authorization": f"Bearer {token}"}, timeout=60)
    assert page.status_code == 200 and "Late arrivals from New York" in page.text


def test_mlflow_lets_its_reader_read_and_nobody_else_in(stack: Stack) -> None:
    address = f"http://127.0.0.1:{stack.port('MLFLOW')}/api/2.0/mlflow/registered-models"
    assert httpx.get(f"{address}/get", params={"name": USE_CASE}).status_code == 401
    reader = ("serving", stack.secrets["MLFLOW_SERVING_PASSWORD"])
    assert httpx.get(f"{address}/get", params={"name": USE_CASE}, auth=reader).status_code == 200
    alias = {"name": USE_CASE, "alias": "champion", "version": "1"}
    assert httpx.post(f"{address}/alias", json=alias, auth=reader).status_code == 403
    assert httpx.request("DELETE", f"{address}/delete", json={"name": USE_CASE}, auth=reader).status_code == 403


def test_serving_asks_for_a_token_and_keeps_its_metrics_to_itself(stack: Stack) -> None:
    with stack.serving(token="") as stranger:
        assert stranger.get("/health/live").status_code == 200
        assert stranger.get(f"/v1/{USE_CASE}").status_code == 401
    with stack.serving() as client:
        assert client.get(f"/v1/{USE_CASE}").status_code == 200
        assert client.get("/metrics").status_code == 404


def test_prometheus_sees_every_part(stack: Stack) -> None:
    parts = {"api_server", "metadatabase", "scheduler", "dag_processor", "triggerer"}
    parts |= {"postgres", "redis", "objects", "mlflow"}
    until("all parts up", lambda: stack.samples("evergreen_part_up == 1").keys() == parts, 120)
    assert stack.samples('sum(up{job="serving"})') == {"": 2.0}


def test_the_loop_runs(stack: Stack, champion: int) -> None:
    with stack.airflow as airflow:
        queues = {task.task_id for task in airflow.tasks(airflow.runs(f"{USE_CASE}.train")[0])}
    assert "fit" in queues and champion >= 1
    kept = stack.run("objects", "sh", "-c", "ls -A /data | head -1")
    assert kept, "the object storage is empty"
