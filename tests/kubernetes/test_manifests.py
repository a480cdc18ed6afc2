"""The manifests, without a cluster: against Kubernetes' schemas, the images, the settings and one another."""

from __future__ import annotations

import math
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from include.local.credentials import Credentials
from include.local.environment import environment as local_environment
from include.serving.app import create_app
from include.settings import REPOSITORY, Settings
from include.team import healthy, secrets_file
from tests import kubernetes_files as k8s

OLDEST, NEWEST = "1.30", kubernetes_validate.latest_version()
OWN_GROUP = "monitoring.coreos.com/v1"  # an operator's, whose schema is not Kubernetes'
SERVING = (REPOSITORY / "containers" / "serving" / "Dockerfile").read_text()
AIRFLOW = (REPOSITORY / "containers" / "airflow" / "Dockerfile").read_text()
DOCS = (REPOSITORY / "docs" / "kubernetes.md").read_text()
SECRET = re.compile(r"PASSWORD|TOKEN|SECRET|_KEY$|_KEY_ID$|DATABASE$|REDIS$|FEATURE_REGISTRY$")


def native() -> list[k8s.Resource]:
    return [each for each in k8s.resources() if each["apiVersion"] != OWN_GROUP]


def identity(resource: k8s.Resource) -> str:
    return f"{resource['kind']}-{resource['metadata']['name']}"


@pytest.mark.parametrize("version", [OLDEST, NEWEST])
@pytest.mark.parametrize("resource", native(), ids=identity)
def test_each_manifest_is_what_kubernetes_takes(resource: k8s.Resource, version: str) -> None:
    kubernetes_validate.validate(resource, version, strict=True)


@pytest.mark.parametrize("wrong", [{"replica": 2}, {"replicas": "2"}, {"strategy": "Recreate"}])
def test_a_wrong_manifest_is_refused(wrong: dict[str, Any]) -> None:
    deployment = k8s.named("Deployment", "serving")
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate({**deployment, "spec": {**deployment["spec"], **wrong}}, NEWEST, strict=True)


@pytest.mark.parametrize("path", k8s.kustomizations(), ids=lambda path: path.parent.name)
def test_the_kustomization_lists_every_file(path: Path) -> None:
    (content,) = k8s.read(path)
    nearest = {
        file: max(each.parent for each in k8s.kustomizations() if each.parent in file.parents) for file in k8s.files()
    }
    listed = sorted(path.parent / name for name in content["resources"])
    assert listed == [file for file, folder in nearest.items() if folder == path.parent]


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not installed")
@pytest.mark.parametrize("path", k8s.kustomizations(), ids=lambda path: path.parent.name)
def test_kubectl_builds_them(path: Path) -> None:
    done = subprocess.run(["kubectl", "kustomize", path.parent], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    built = list(yaml.safe_load_all(done.stdout))
    for resource in built:
        assert resource["kind"] == "Namespace" or resource["metadata"]["namespace"] == "evergreen"
        if resource["apiVersion"] != OWN_GROUP:
            kubernetes_validate.validate(resource, NEWEST, strict=True)
    images = {
        each["image"] for found in built if found["kind"] == "Deployment" for each in k8s.pod(found)["containers"]
    }
    assert all(re.fullmatch(r"registry\.example\.org/evergreen-(airflow|serving):1", image) for image in images)


def test_each_setting_is_one_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    names = {name for name, _ in k8s.variables() if name.startswith("EVERGREEN_")}
    assert names <= {f"EVERGREEN_{field.upper()}" for field in Settings.model_fields}
    for name, value in k8s.environment().items():
        monkeypatch.setenv(name, value)
    settings = Settings()
    assert settings.authentication
    assert settings.mlflow_uri == k8s.environment()["MLFLOW_TRACKING_URI"]


def test_libraries_are_told_what_they_are_told_on_one_machine() -> None:
    credentials = Credentials("fernet", "jwt", "api", "password")
    local = local_environment(Settings(mlflow_tracking_uri="http://mlflow:5000"), credentials)
    ours = ("EVERGREEN_", "AIRFLOW", "PYTHON", "FEAST_")
    libraries = {name: value for name, value in local.items() if not name.startswith(ours)}
    assert libraries.items() <= k8s.environment().items()


def test_probes_ask_for_paths_that_are_there() -> None:
    paths = {route.path for route in create_app(Settings(), {}).routes}  # type: ignore[attr-defined]
    expected = {"serving": paths, "exporter": {"/metrics"}, "mlflow": {healthy.OWN["mlflow"].split(":5000")[1]}}
    for name, container in k8s.containers():
        probes = [value for key, value in container.items() if key.endswith("Probe")]
        assert {"livenessProbe", "readinessProbe"} <= container.keys()
        assert {probe["httpGet"]["path"] for probe in probes if "httpGet" in probe} <= expected[name], name
        ports = {port["name"] for port in container["ports"]}
        assert {(probe.get("httpGet") or probe["tcpSocket"])["port"] for probe in probes} <= ports


def test_only_readiness_asks_for_a_model() -> None:
    container = k8s.container("serving")
    assert container["readinessProbe"]["httpGet"]["path"] == "/health/ready"
    assert container["livenessProbe"]["httpGet"]["path"] == "/health/live"
    startup = container["startupProbe"]
    patience = re.search(r"--start-period=(\d+)s", SERVING)
    assert startup["httpGet"]["path"] == "/health/live"
    assert patience and startup["periodSeconds"] * startup["failureThreshold"] >= int(patience[1])


def test_images_ports_and_users_are_those_of_the_dockerfiles() -> None:
    for name, container in k8s.containers():
        dockerfile = SERVING if container["image"] == "evergreen-serving" else AIRFLOW
        user = re.search(r"^ARG UID=(\d+)$", dockerfile, re.MULTILINE)
        assert user and k8s.pod(k8s.named("Deployment", name))["securityContext"]["runAsUser"] == int(user[1])
        assert f"EVERGREEN_HOME={k8s.environment()['EVERGREEN_HOME']}" in dockerfile
    (exposed,) = re.findall(r"^EXPOSE (\d+)$", SERVING, re.MULTILINE)
    ports = {name: container["ports"][0]["containerPort"] for name, container in k8s.containers()}
    assert ports == {"serving": int(exposed), "exporter": Settings().exporter_port, "mlflow": 5000}
    assert k8s.environment()["EVERGREEN_SERVING_REPLICAS"] == f"http://serving-replicas:{exposed}"
    names = {container["image"] for _, container in k8s.containers()}
    (kustomization,) = k8s.read(k8s.FOLDER / k8s.KUSTOMIZATION)
    assert names == {each["name"] for each in kustomization["images"]}


def test_no_secret_stands_in_a_file() -> None:
    assert not k8s.resources("Secret")
    for name, value in k8s.variables():
        assert value is None or not SECRET.search(name), name
    for path in [*k8s.files(), k8s.VALUES]:
        assert not re.search(r"://[^/\s]*:[^/\s]*@", path.read_text()), path


def test_the_page_makes_every_secret() -> None:
    made = {
        (name, key)
        for name, options in re.findall(r"create secret generic ([\w-]+)((?: *\\?\n? *--from-literal=\S+)+)", DOCS)
        for key in re.findall(r"--from-literal=([\w.-]+)=", options)
    }
    assert k8s.secret_keys() <= made
    values = set(re.findall(r"--from-literal=[^\n]*?\$(\w+)", DOCS))
    assert values - {"DATABASE", "REDIS"} <= secrets_file.SECRETS.keys()


def test_a_replica_ends_in_time() -> None:
    """After preStop, uvicorn waits for open requests, and then the app once more for those that it let in."""
    spec, container = k8s.pod(k8s.named("Deployment", "serving")), k8s.container("serving")
    _, pause = container["lifecycle"]["preStop"]["exec"]["command"]
    timeout = Settings().request_timeout
    assert spec["terminationGracePeriodSeconds"] >= int(pause) + math.ceil(timeout) + 1 + timeout


def test_no_replica_is_missed() -> None:
    serving, autoscaler = k8s.named("Deployment", "serving")["spec"], k8s.named("HorizontalPodAutoscaler", "serving")
    assert serving["strategy"]["rollingUpdate"]["maxUnavailable"] == 0
    assert "replicas" not in serving  # each kubectl apply would put it back
    assert autoscaler["spec"]["scaleTargetRef"]["name"] == "serving"
    assert autoscaler["spec"]["minReplicas"] > k8s.named("PodDisruptionBudget", "serving")["spec"]["minAvailable"]


def test_pods_can_do_nothing_else() -> None:
    for deployment in k8s.resources("Deployment"):
        spec = k8s.pod(deployment)
        assert spec["securityContext"]["runAsNonRoot"]
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert not spec["automountServiceAccountToken"]
        assert not spec["enableServiceLinks"]
        for container in spec["containers"]:
            confined = {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True}
            assert container["securityContext"] == {**confined, "capabilities": {"drop": ["ALL"]}}
            assert container["resources"].keys() == {"requests", "limits"}
            mounted = {mount["name"] for mount in container["volumeMounts"]}
            assert mounted == {volume["name"] for volume in spec["volumes"]}


def test_no_service_is_taken_for_a_setting() -> None:
    """Airflow's pods have every service's address in the environment: NAME_PORT=tcp://..."""
    for service in k8s.resources("Service"):
        variable = service["metadata"]["name"].upper().replace("-", "_") + "_PORT"
        assert not variable.startswith(("EVERGREEN_", "AIRFLOW__"))


def selectors() -> Iterator[tuple[str, dict[str, str]]]:
    for resource in k8s.resources():
        spec, name = resource.get("spec", {}), identity(resource)
        if resource["kind"] == "Service":
            yield name, spec["selector"]
        elif resource["kind"] == "NetworkPolicy":
            yield name, spec["podSelector"]["matchLabels"]
        elif resource["kind"] in ("Deployment", "PodDisruptionBudget"):
            yield name, spec["selector"]["matchLabels"]
            spread = k8s.pod(resource).get("topologySpreadConstraints", ()) if "template" in spec else ()
            yield from ((name, each["labelSelector"]["matchLabels"]) for each in spread)


@pytest.mark.parametrize(("name", "labels"), list(selectors()))
def test_selectors_choose_one_deployment(name: str, labels: dict[str, str]) -> None:
    templates = [each["spec"]["template"]["metadata"]["labels"] for each in k8s.resources("Deployment")]
    assert sum(labels.items() <= template.items() for template in templates) == 1


def test_what_is_named_is_there() -> None:
    services = {each["metadata"]["name"]: each for each in k8s.resources("Service")}
    for ingress in k8s.resources("Ingress"):
        for path in (path for rule in ingress["spec"]["rules"] for path in rule["http"]["paths"]):
            asked = path["backend"]["service"]
            ports = services[asked["name"]]["spec"]["ports"]
            assert asked["port"]["name"] in {port["name"] for port in ports}
    for monitor in k8s.resources("ServiceMonitor"):
        labels = monitor["spec"]["selector"]["matchLabels"]
        (service,) = (each for each in services.values() if labels.items() <= each["metadata"]["labels"].items())
        assert {end["port"] for end in monitor["spec"]["endpoints"]} <= {p["name"] for p in service["spec"]["ports"]}
    claims = {volume["persistentVolumeClaim"]["claimName"] for volume in home_volumes()}
    assert claims == {each["metadata"]["name"] for each in k8s.resources("PersistentVolumeClaim")}
    assert set(re.findall(r"http://([\w-]+):\d+", " ".join(k8s.environment().values()))) <= {
        *services, "airflow-api-server"
    }  # fmt: skip


def home_volumes() -> Iterator[k8s.Resource]:
    volumes = [volume for found in k8s.resources("Deployment") for volume in k8s.pod(found)["volumes"]]
    yield from (each for each in [*volumes, *k8s.values()["volumes"]] if each["name"] == "home")
