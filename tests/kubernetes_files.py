"""What stands in ``config/kubernetes``, as the tests ask for it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from include.settings import REPOSITORY

FOLDER = REPOSITORY / "config" / "kubernetes"
VALUES = FOLDER / "airflow-values.yaml"
KUSTOMIZATION = "kustomization.yaml"
Resource = dict[str, Any]


def kustomizations() -> list[Path]:
    return sorted(FOLDER.rglob(KUSTOMIZATION))


def files() -> list[Path]:
    """All manifests: neither the values for Helm, nor the lists for kustomize."""
    return sorted(path for path in FOLDER.rglob("*.yaml") if path != VALUES and path.name != KUSTOMIZATION)


def read(path: Path) -> list[Resource]:
    return list(yaml.safe_load_all(path.read_text(encoding="utf-8")))


def resources(kind: str = "") -> list[Resource]:
    return [found for path in files() for found in read(path) if kind in ("", found["kind"])]


def named(kind: str, name: str) -> Resource:
    (found,) = (each for each in resources(kind) if each["metadata"]["name"] == name)
    return found


def values() -> Resource:
    (found,) = read(VALUES)
    return dict(found)


def pod(deployment: Resource) -> Resource:
    return dict(deployment["spec"]["template"]["spec"])


def containers() -> Iterator[tuple[str, Resource]]:
    """Each container of the manifests with the name of its deployment."""
    for deployment in resources("Deployment"):
        for container in pod(deployment)["containers"]:
            yield deployment["metadata"]["name"], container


def container(name: str) -> Resource:
    return dict(containers())[name]


def environment() -> dict[str, str]:
    """What every process is told."""
    return dict(named("ConfigMap", "evergreen-environment")["data"])


def secret_keys() -> set[tuple[str, str]]:
    """Names and keys of all Secrets from which a variable is taken, those of the values included."""
    given = values()
    variables = [each for _, container in containers() for each in container.get("env", ()) if "valueFrom" in each]
    variables += given["migrateDatabaseJob"]["env"]
    references = [each["valueFrom"]["secretKeyRef"] for each in variables]
    of_chart = {(each["secretName"], each["secretKey"]) for each in given["secret"]}
    return {(each["name"], each["key"]) for each in references} | of_chart


def variables() -> Iterator[tuple[str, str | None]]:
    """Each environment variable of a file with its value; None where it comes from a Secret."""
    yield from environment().items()
    for _, found in containers():
        yield from ((each["name"], each.get("value")) for each in found.get("env", ()))
    given = values()
    lists = [given["env"], given["migrateDatabaseJob"]["env"]]
    lists += [each.get("env", []) for each in given["workers"]["celery"]["sets"]]
    for entries in lists:
        yield from ((each["name"], each.get("value")) for each in entries)
    yield from ((each["envName"], None) for each in given["secret"])
