"""The values for Airflow's Helm chart: against the chart, the images and the rest of ``config/kubernetes``.

The chart is not part of this repository. ``AIRFLOW_CHART`` names its unpacked folder: ``helm pull --untar`` makes one.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from jsonschema.validators import validator_for

from include.orchestration.stage import TRAINING_QUEUE
from include.settings import REPOSITORY
from tests import kubernetes_files as k8s

CHART = os.environ.get("AIRFLOW_CHART", "")
with_chart = pytest.mark.skipif(not CHART, reason="AIRFLOW_CHART names no folder with Airflow's Helm chart")
with_helm = pytest.mark.skipif(not CHART or shutil.which("helm") is None, reason="helm or AIRFLOW_CHART is missing")
COMPOSE = REPOSITORY / "docker-compose.yaml"


def merged(below: Any, above: Any) -> Any:
    """As Helm puts values over a chart's own."""
    if not (isinstance(below, dict) and isinstance(above, dict)):
        return above
    return {**below, **{key: merged(below.get(key), value) for key, value in above.items()}}


def unknown(values: dict[str, Any], chart: dict[str, Any], path: tuple[str, ...] = ()) -> Iterator[str]:
    """The keys of ours that the chart does not have; its own configuration of Airflow is free."""
    for key, value in values.items():
        if (*path, key) == ("config",):
            continue
        if key not in chart:
            yield ".".join((*path, key))
        elif isinstance(value, dict) and isinstance(chart[key], dict) and chart[key]:
            yield from unknown(value, chart[key], (*path, key))


@with_chart
def test_the_chart_takes_the_values() -> None:
    folder = Path(CHART)
    chart = yaml.safe_load((folder / "values.yaml").read_text())
    schema = json.loads((folder / "values.schema.json").read_text())
    check = validator_for(schema)(schema)
    assert [error.message for error in check.iter_errors(merged(chart, k8s.values()))] == []
    assert list(unknown(k8s.values(), chart)) == []
    workers = chart["workers"]["celery"].keys() | {"name"}
    assert all(each.keys() <= workers for each in k8s.values()["workers"]["celery"]["sets"])
    assert [error.message for error in check.iter_errors(merged(chart, {"uid": "nobody"}))]


@with_chart
def test_the_chart_is_the_one_that_is_named() -> None:
    version = yaml.safe_load((Path(CHART) / "Chart.yaml").read_text())["version"]
    assert f"chart, {'.'.join(version.split('.')[:2])}:" in k8s.VALUES.read_text()
    assert f"--version {version}" in (REPOSITORY / "docs" / "kubernetes.md").read_text()


@with_helm
def test_helm_renders_what_kubernetes_takes() -> None:
    command = ["helm", "template", "airflow", CHART, "--namespace", "evergreen", "--values", str(k8s.VALUES)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    rendered = [each for each in yaml.safe_load_all(done.stdout) if each]
    for resource in rendered:
        kubernetes_validate.validate(resource, kubernetes_validate.latest_version(), strict=True)
    assert {each["metadata"]["name"] for each in rendered} >= {"airflow-worker", "airflow-worker-training"}
    assert "/entrypoint" not in done.stdout


def test_the_versions_and_images_are_those_of_this_repository() -> None:
    values = k8s.values()
    locked = re.search(r"^apache-airflow==(\S+)", (REPOSITORY / "requirements.txt").read_text(), re.MULTILINE)
    assert locked and values["airflowVersion"] == locked[1]
    (kustomization,) = k8s.read(k8s.FOLDER / k8s.KUSTOMIZATION)
    (image,) = (each for each in kustomization["images"] if each["name"] == "evergreen-airflow")
    assert (image["newName"], image["newTag"]) == (values["defaultAirflowRepository"], values["defaultAirflowTag"])


def test_people_find_the_addresses_that_are_told() -> None:
    environment, values = k8s.environment(), k8s.values()
    assert values["config"]["api"]["base_url"] == environment["EVERGREEN_PUBLIC_URL"]
    (host,) = values["ingress"]["apiServer"]["hosts"]
    assert environment["EVERGREEN_PUBLIC_URL"] == f"https://{host['name']}"
    hosts = {rule["host"] for each in k8s.resources("Ingress") for rule in each["spec"]["rules"]}
    assert environment["EVERGREEN_MLFLOW_PUBLIC_URL"].removeprefix("https://") in hosts
    told = {each["name"]: each.get("value") for each in k8s.container("mlflow")["env"]}
    assert told["MLFLOW_PUBLIC_URL"] == environment["EVERGREEN_MLFLOW_PUBLIC_URL"]


def test_each_queue_has_workers() -> None:
    celery = k8s.values()["workers"]["celery"]
    assert [celery["queue"], *(each["queue"] for each in celery["sets"])] == ["default", TRAINING_QUEUE]


def test_airflow_is_configured_as_by_compose() -> None:
    given = yaml.safe_load(COMPOSE.read_text())["x-airflow-environment"]
    # The chart makes these from values of their own, or names another address.
    own = {"core": {"executor", "load_examples", "auth_manager", "fernet_key", "execution_api_server_url"}}
    own |= {"database": {"sql_alchemy_conn"}, "api": {"secret_key", "base_url"}, "api_auth": {"jwt_secret"}}
    own |= {"celery": {"broker_url", "result_backend"}}
    config = k8s.values()["config"]
    for name, value in given.items():
        prefix, *rest = name.lower().split("__")
        if prefix != "airflow" or rest[1] in own.get(rest[0], ()):
            continue
        section, option = rest
        default = re.sub(r"^\$\{\w+:-(.*)\}$", r"\1", str(value))
        assert str(config[section][option]) == default, name


def commands() -> list[list[str]]:
    values = k8s.values()
    celery = values["workers"]["celery"]
    parts = ("scheduler", "dagProcessor", "triggerer")
    probes = [values[part]["livenessProbe"]["command"] for part in parts] + [celery["livenessProbe"]["command"]]
    own = [container["command"] for _, container in k8s.containers() if "command" in container]
    return [values["migrateDatabaseJob"]["args"], *probes, *own]


@pytest.mark.parametrize("command", commands(), ids=" ".join)
def test_commands_are_those_of_the_image(command: list[str]) -> None:
    assert command[0] == "airflow" or command[:2] == ["python", "-m"]
    if command[0] == "python":
        assert importlib.util.find_spec(command[2])


def test_the_chart_adds_no_account_and_no_container_of_airflows_own_image() -> None:
    values = k8s.values()
    assert values["createUserJob"] == {"enabled": False}
    for part in (values["scheduler"], values["dagProcessor"], values["triggerer"], values["workers"]["celery"]):
        assert part["logGroomerSidecar"] == {"enabled": False}
        assert part["livenessProbe"]["command"]
