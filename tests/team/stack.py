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
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from include.local.airflow_client import AirflowClient
from include.settings import REPOSITORY
from include.team import secrets_file
from tests.ports import free_ports
from tests.team import disk, images

PROJECT = "evergreen-test"
KEPT = "EVERGREEN_TEST_TEAM"  # names a folder: the system lives there and stays up for the next tests
ROW_EVERY = 0.1  # seconds between two questions to serving


@dataclass
class Stack:
    """The running system: its folder, its ports, and what is asked of it."""

    folder: Path
    environment: dict[str, str]
    secrets: dict[str, str] = field(default_factory=dict)
    no_disk: str = ""  # why its volume "home" is not a disk of its own
    volumes: dict[str, object] = field(default_factory=dict)  # where they differ from those of the compose file

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

    def docker(self, *arguments: str) -> str:
        return docker(*arguments, environment=self.environment)

    def container(self, service: str) -> str:
        project = f"label=com.docker.compose.project={PROJECT}"
        found = self.docker("ps", "--filter", project, "--format", "{{.Names}}").split()
        return next(name for name in found if name.startswith((f"{PROJECT}_{service}_", f"{PROJECT}-{service}-")))

    def compose(self, *arguments: str) -> None:
        """Run a command of Compose, as a person does beside the Makefile."""
        command = [*(["docker", "compose"] if _plugin() else ["docker-compose"])]
        for profile in ("storage", "monitoring", "tools"):
            command += ["--profile", profile]
        done = subprocess.run(
            [*command, *arguments], cwd=self.folder, env=self.environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr

    def override(self, services: Mapping[str, object]) -> None:
        """What Compose reads beside the compose file."""
        overriding = {"services": services, "volumes": self.volumes}
        (self.folder / "docker-compose.override.yaml").write_text(
            json.dumps({key: value for key, value in overriding.items() if value})
        )

    def well(self, service: str) -> bool:
        return self.docker("inspect", "--format", "{{.State.Health.Status}}", self.container(service)) == "healthy"

    def said(self, service: str) -> str:
        """What the health check of a container found the last time."""
        log = json.loads(self.docker("inspect", "--format", "{{json .State.Health.Log}}", self.container(service)))
        return str(log[-1]["Output"]) if log else ""

    def run(self, service: str, *command: str) -> str:
        """The output of a command in a container."""
        return self.docker("exec", self.container(service), *command)

    def kill(self, service: str) -> None:
        """SIGKILL to all processes of a container, as a crash is: Docker starts it again by its policy."""
        pid = int(self.docker("inspect", "--format", "{{.State.Pid}}", self.container(service)))
        os.kill(pid, signal.SIGKILL)

    @contextmanager
    def cut_off(self, service: str) -> Iterator[None]:
        """Without the inner network for a while, as when a cable is pulled."""
        name, network = self.container(service), f"{PROJECT}_inside"
        self.docker("network", "disconnect", network, name)
        try:
            yield
        finally:
            self.docker("network", "connect", "--alias", service, network, name)

    def samples(self, query: str) -> dict[str, float]:
        """What Prometheus answers, by the label ``part``."""
        code = (
            "import json,urllib.request,urllib.parse as p;"
            f"print(urllib.request.urlopen('http://prometheus:9090/api/v1/query?'+p.urlencode({{'query':{query!r}}})).read().decode())"
        )
        answer = json.loads(self.run("exporter", "python", "-c", code))
        return {each["metric"].get("part", ""): float(each["value"][1]) for each in answer["data"]["result"]}

    def firing(self, alert: str) -> set[str]:
        """The parts (or "") that an alert fires for."""
        return {*self.samples(f'ALERTS{{alertname="{alert}",alertstate="firing"}}')}


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
    """The system, built from the files of this checkout; ended with its volumes, unless it is kept."""
    for name in _files():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(REPOSITORY / name, target)
    environment = {
        **os.environ,
        "COMPOSE_PROJECT_NAME": PROJECT,
        "COMPOSE_PROFILES": "storage,monitoring",
        "SUBNET": "10.213.79",
        "AIRFLOW_IMAGE": "evergreen-airflow:test",
        "SERVING_IMAGE": "evergreen-serving:test",
        "OBJECTS_IMAGE": "evergreen-objects:test",
        **_ports(folder),
        **images.base(),
    }
    stack = Stack(folder, environment)
    try:
        own_disk(stack)
        stack.team("up")
        yield stack
    finally:
        if KEPT not in os.environ:
            _destroy(stack)


def own_disk(stack: Stack) -> None:
    """Put the volume ``home`` on a disk that can be filled, where this machine allows it."""
    if f"{PROJECT}_home" in docker("volume", "ls", "--format", "{{.Name}}").split():
        options = json.loads(docker("volume", "inspect", f"{PROJECT}_home"))[0]["Options"]
        stack.volumes = {"home": {"driver_opts": options}} if options else {}
        stack.no_disk = "" if options else "it was made without"
        return
    disk.remove(stack.folder, "home")
    image = stack.environment.get("DEBIAN_IMAGE", "debian:bookworm-slim")
    try:
        stack.volumes["home"] = {"driver_opts": disk.make_volume(stack.folder, PROJECT, "home", image)}
    except disk.NoDiskError as error:
        stack.no_disk = str(error)
    stack.override({})


def until(what: str, condition: Callable[[], bool], seconds: float, every: float = 1.0) -> None:
    """Wait until it is so; what cannot be asked yet is not so yet."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if condition():
                return
        except (httpx.HTTPError, AssertionError):
            pass  # a part that is down cannot be asked
        time.sleep(every)
    raise AssertionError(f"{what}: not within {seconds:.0f} s")


def docker(*arguments: str, environment: Mapping[str, str] | None = None) -> str:
    done = subprocess.run(["docker", *arguments], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"docker {' '.join(arguments)}: {done.stderr}"
    return done.stdout.strip()


def _destroy(stack: Stack) -> None:
    for command in (("kill",), ("down", "--volumes", "--remove-orphans")):
        with suppress(AssertionError):  # what was never started cannot be ended
            stack.compose(*command)
    disk.remove(stack.folder, "home")


def _plugin() -> bool:
    return subprocess.run(["docker", "compose", "version"], capture_output=True, check=False).returncode == 0


def _ports(folder: Path) -> dict[str, str]:
    """Free ports; of a system that was kept, those it has."""
    file = folder / "ports.json"
    if not file.exists():
        names = ("AIRFLOW_PORT", "MLFLOW_PORT", "SERVING_PORT", "GRAFANA_PORT")
        file.write_text(json.dumps({name: str(port) for name, port in zip(names, free_ports(4), strict=True)}))
    ports: dict[str, str] = json.loads(file.read_text())
    return ports


def _files() -> list[str]:
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listed = subprocess.run(command, cwd=REPOSITORY, capture_output=True, check=True).stdout.decode()
    return [name for name in listed.split("\0") if name and (REPOSITORY / name).is_file()]
