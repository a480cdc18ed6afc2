"""A team's system of its own for the tests: a copy of the checkout, other ports, volumes that go with it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from include.local.airflow_client import AirflowClient
from include.settings import REPOSITORY
from include.team import secrets_file
from tests.containers.seaweedfs import seaweedfs_image
from tests.ports import free_ports

PROJECT = "evergreen-test"
ROW_EVERY = 0.1  # seconds between two questions to serving
# Debian's own Prometheus, where no official image can be had.
PROMETHEUS = """
ARG DEBIAN_IMAGE
FROM ${DEBIAN_IMAGE}
RUN apt-get update -qq \\
 && apt-get install -y -qq --no-install-recommends prometheus prometheus-alertmanager >/dev/null \\
 && ln -s /usr/bin/prometheus-alertmanager /usr/bin/alertmanager \\
 && install -d -o nobody -g nogroup /prometheus /alertmanager
USER nobody
"""


def missing() -> str:
    """Why no team's system can be started here; empty where it can."""
    if shutil.which("docker") is None:
        return "no docker command is installed"
    if subprocess.run(["docker", "info"], capture_output=True, check=False).returncode:
        return "no docker engine answers"
    return ""


@dataclass
class Stack:
    """The running system: its folder, its ports, and what is asked of it."""

    folder: Path
    environment: dict[str, str]
    secrets: dict[str, str] = field(default_factory=dict)

    def team(self, *arguments: str, timeout: float = 1800) -> str:
        """Run a command of ``include.team``; its output."""
        command = [sys.executable, "-m", "include.team", *arguments]
        done = subprocess.run(
            command, cwd=self.folder, env=self.environment, capture_output=True, text=True, timeout=timeout, check=False
        )
        assert done.returncode == 0, f"{' '.join(arguments)}:\n{done.stdout[-3000:]}\n{done.stderr[-6000:]}"
        self.secrets = secrets_file.read(self.folder / ".env")
        return done.stdout

    def port(self, name: str) -> int:
        return int(self.environment[f"{name}_PORT"])

    @property
    def airflow(self) -> AirflowClient:
        return AirflowClient(
            f"http://127.0.0.1:{self.port('AIRFLOW')}", "admin", self.secrets["AIRFLOW_ADMIN_PASSWORD"]
        )

    def serving(self, token: str | None = None) -> httpx.Client:
        token = self.secrets["SERVING_TOKEN"] if token is None else token
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return httpx.Client(base_url=f"http://127.0.0.1:{self.port('SERVING')}", headers=headers, timeout=30)

    def container(self, service: str) -> str:
        found = docker(
            "ps", "--filter", f"label=com.docker.compose.project={PROJECT}", "--format", "{{.Names}}"
        ).split()
        return next(name for name in found if name.startswith((f"{PROJECT}_{service}_", f"{PROJECT}-{service}-")))

    def run(self, service: str, *command: str) -> str:
        """The output of a command in a container."""
        return docker("exec", self.container(service), *command)

    def kill(self, service: str) -> None:
        """SIGKILL to all processes of a container, as a crash is: Docker starts it again by its policy."""
        pid = int(docker("inspect", "--format", "{{.State.Pid}}", self.container(service)))
        os.kill(pid, signal.SIGKILL)

    @contextmanager
    def cut_off(self, service: str) -> Iterator[None]:
        """Without the inner network for a while, as when a cable is pulled."""
        name, network = self.container(service), f"{PROJECT}_inside"
        docker("network", "disconnect", network, name)
        try:
            yield
        finally:
            docker("network", "connect", "--alias", service, network, name)

    def samples(self, query: str) -> dict[str, float]:
        """What Prometheus answers, by the label ``part``."""
        code = (
            "import json,urllib.request,urllib.parse as p;"
            f"print(urllib.request.urlopen('http://prometheus:9090/api/v1/query?'+p.urlencode({{'query':{query!r}}})).read().decode())"
        )
        answer = json.loads(self.run("exporter", "python", "-c", code))
        return {each["metric"].get("part", ""): float(each["value"][1]) for each in answer["data"]["result"]}


@dataclass
class Asked:
    """What a client saw who asked serving all the time."""

    answers: int = 0
    failures: list[str] = field(default_factory=list)


@contextmanager
def asking(stack: Stack, path: str, body: object) -> Iterator[Asked]:
    """Somebody who asks for a prediction ten times a second as long as this lasts, once for each."""
    seen, done = Asked(), threading.Event()

    def ask() -> None:
        with stack.serving() as client:
            while not done.wait(ROW_EVERY):
                try:
                    answer = client.post(path, json=body)
                    if answer.status_code != httpx.codes.OK:
                        seen.failures.append(f"{answer.status_code}: {answer.text[:200]}")
                except httpx.HTTPError as error:
                    seen.failures.append(repr(error))
                seen.answers += 1

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield seen
    finally:
        done.set()
        thread.join()


@contextmanager
def started(folder: Path) -> Iterator[Stack]:
    """The system, built from the files of this checkout; ended with its volumes."""
    for name in _files():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(REPOSITORY / name, target)
    airflow, mlflow, serving, grafana = free_ports(4)
    environment = {
        **os.environ,
        "COMPOSE_PROJECT_NAME": PROJECT,
        "COMPOSE_PROFILES": "storage,monitoring",
        "SUBNET": "10.213.79",
        "AIRFLOW_IMAGE": "evergreen-airflow:test",
        "SERVING_IMAGE": "evergreen-serving:test",
        "OBJECTS_IMAGE": "evergreen-objects:test",
        "AIRFLOW_PORT": str(airflow),
        "MLFLOW_PORT": str(mlflow),
        "SERVING_PORT": str(serving),
        "GRAFANA_PORT": str(grafana),
        **_images(),
    }
    stack = Stack(folder, environment)
    try:
        stack.team("up")
        yield stack
    finally:
        compose = ["docker", "compose"] if _plugin() else ["docker-compose"]
        command = [*compose, "--profile", "storage", "--profile", "monitoring", "kill"]
        subprocess.run(command, cwd=folder, env=environment, capture_output=True, check=False)
        command = [
            *compose,
            "--profile",
            "storage",
            "--profile",
            "monitoring",
            "--profile",
            "tools",
            "down",
            "--volumes",
        ]
        subprocess.run([*command, "--remove-orphans"], cwd=folder, env=environment, capture_output=True, check=False)


def until(what: str, condition: Callable[[], bool], seconds: float) -> None:
    """Wait until it is so; what cannot be asked yet is not so yet."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if condition():
                return
        except (httpx.HTTPError, AssertionError):
            pass  # a part that is down cannot be asked
        time.sleep(1)
    raise AssertionError(f"{what}: not within {seconds:.0f} s")


def docker(*arguments: str) -> str:
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"docker {' '.join(arguments)}: {done.stderr}"
    return done.stdout.strip()


def _plugin() -> bool:
    return subprocess.run(["docker", "compose", "version"], capture_output=True, check=False).returncode == 0


def _files() -> list[str]:
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listed = subprocess.run(command, cwd=REPOSITORY, capture_output=True, check=True).stdout.decode()
    return [name for name in listed.split("\0") if name and (REPOSITORY / name).is_file()]


def _images() -> dict[str, str]:
    """The base images that the environment names; those of this machine where official ones cannot be pulled."""
    present = set(docker("image", "ls", "--format", "{{.Repository}}:{{.Tag}}").split())
    local = {
        "POSTGRES_IMAGE": "local/postgres:15",
        "REDIS_IMAGE": "local/redis:7",
        "NGINX_IMAGE": "local/nginx:1.22",
        "PYTHON_IMAGE": "local/python:3.11-slim",
        "DEBIAN_IMAGE": "local/debian:bookworm-slim",
    }
    if not set(local.values()) <= present:
        return {}
    tag = "evergreen-prometheus:test"
    command = [
        "docker",
        "build",
        "--network",
        "host",
        "-q",
        "-t",
        tag,
        "--build-arg",
        f"DEBIAN_IMAGE={local['DEBIAN_IMAGE']}",
    ]
    subprocess.run([*command, "-"], input=PROMETHEUS, text=True, check=True, capture_output=True)
    own = {
        "PROMETHEUS_IMAGE": tag,
        "ALERTMANAGER_IMAGE": tag,
        "SEAWEEDFS_IMAGE": seaweedfs_image(),
        "BUILD_NETWORK": "host",
    }
    return {**local, **own}
