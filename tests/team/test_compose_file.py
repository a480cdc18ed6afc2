"""``docker-compose.yaml`` by its rules: one door, no default secret, limits everywhere, and names that exist."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from include.local.credentials import Credentials
from include.local.environment import environment
from include.orchestration.stage import TRAINING_QUEUE
from include.settings import REPOSITORY, Settings
from include.team import services as parts
from include.team.secrets_file import SECRETS

TEXT = (REPOSITORY / "docker-compose.yaml").read_text(encoding="utf-8")
CONTENT: dict[str, Any] = yaml.safe_load(TEXT)
SERVICES: dict[str, dict[str, Any]] = CONTENT["services"]
AIRFLOWS = [name for name, service in SERVICES.items() if "AIRFLOW__CORE__EXECUTOR" in service.get("environment", {})]
ENTERED_BY_ROOT = {"postgres"}  # its image changes the user itself
INTERPOLATED = re.compile(r"\$\{([A-Za-z_]+)(:?[-?])?([^}]*)\}")


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_is_limited(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["restart"] == ("no" if name in parts.ONCE else "unless-stopped")
    assert "privileged" not in service
    if name not in parts.ONCE:
        assert service["mem_limit"]


def test_only_the_proxy_has_ports_and_they_are_of_this_machine_by_default() -> None:
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert list(published) == ["proxy"]
    assert all(port.startswith("${EVERGREEN_BIND:-127.0.0.1}:") for port in published["proxy"])


def test_the_stores_and_the_replicas_are_on_the_inner_network_alone() -> None:
    assert CONTENT["networks"]["inside"]["internal"] is True
    for name in ("postgres", "redis", "objects", *parts.REPLICAS, "prometheus"):
        assert set(SERVICES[name]["networks"]) == {"inside"}, name


def test_every_secret_is_required_by_its_name_and_none_has_a_default() -> None:
    required = set()
    for name, operator, message in INTERPOLATED.findall(TEXT):
        if name in SECRETS:
            assert operator in ("", ":?"), f"{name} has a default"
            if operator:
                required.add(name)
                assert message == f"{name} is missing; make team-up makes it"
        elif operator == "":
            pytest.fail(f"{name} has neither a default nor a place among the secrets")
    assert required == set(SECRETS)


def test_whoever_holds_no_secret_is_not_given_it() -> None:
    for name, service in SERVICES.items():
        text = yaml.safe_dump(service)
        if name not in ("postgres",):
            assert "${POSTGRES_PASSWORD" not in text, name
        if name in parts.REPLICAS:
            assert not any(
                f"${{{secret}" in text for secret in ("MLFLOW_ADMIN_PASSWORD", "FERNET_KEY", "OBJECTS_SECRET")
            )


@pytest.mark.parametrize("name", [*AIRFLOWS, *parts.REPLICAS, "exporter"])
def test_its_settings_are_settings(name: str) -> None:
    known = {f"EVERGREEN_{field.upper()}" for field in Settings.model_fields} | {"EVERGREEN_FEATURES"}
    given = {variable for variable in SERVICES[name]["environment"] if variable.startswith("EVERGREEN_")}
    assert given <= known


@pytest.mark.parametrize("name", [*AIRFLOWS, *parts.REPLICAS, "mlflow"])
def test_libraries_are_told_what_they_are_told_on_one_machine(name: str) -> None:
    there = environment(Settings(), Credentials("", "", "", ""))
    shared = {key for key in there if not key.startswith(("AIRFLOW", "EVERGREEN_", "PYTHON", "FEAST_"))}
    told = SERVICES[name]["environment"]
    for key in shared - {"MLFLOW_TRACKING_URI"}:
        expected = "${EVERGREEN_THREADS:-1}" if key.endswith("_THREADS") else there[key]
        assert told[key] == expected, key


def test_the_queues_that_tasks_name_have_workers() -> None:
    queues = {name: " ".join(SERVICES[name]["command"]) for name in ("worker", "trainer")}
    assert "--queues default" in queues["worker"]
    assert f"--queues {TRAINING_QUEUE}" in queues["trainer"]


def test_images_of_others_are_pinned_and_can_be_named_by_the_user() -> None:
    for name, service in SERVICES.items():
        variable, default = re.fullmatch(r"\$\{([A-Z_]+):-(.+)\}", service["image"]).groups()  # type: ignore[union-attr]
        assert variable.endswith("_IMAGE"), name
        if not default.startswith("evergreen-"):
            assert re.search(r":v?\d", default), f"{name}: {default} is not pinned"


def test_the_commands_know_every_service() -> None:
    known = {*parts.STORES, *parts.AIRFLOW, *parts.REPLICAS, *parts.MONITORING, *parts.ONCE, "proxy"}
    assert set(SERVICES) == known


def test_the_commands_know_the_profiles() -> None:
    assert {
        name: service["profiles"][0] for name, service in SERVICES.items() if "profiles" in service
    } == parts.PROFILES


def test_what_is_built_copies_only_what_is_sent_to_the_builder() -> None:
    sent = [line[1:] for line in (REPOSITORY / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    for service in SERVICES.values():
        if "build" not in service:
            continue
        file = REPOSITORY / service["build"]["dockerfile"]
        copied = re.findall(r"^COPY (?!--from)(\S+)", file.read_text(), re.MULTILINE)
        assert copied or "containers/objects" in str(file)
        assert all(any(path == each or path.startswith(f"{each}/") for each in sent) for path in copied), file
