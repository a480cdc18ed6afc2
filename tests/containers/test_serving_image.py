"""The image that serves, built and run as a user would: read-only, without privileges, its home on a volume."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from include.registry import models
from include.registry.models import ModelVersion
from include.serving.prediction_log import read_online
from include.settings import REPOSITORY, get_settings
from tests.feature_store import CONFIG, LATER, build_store
from tests.model_store import register_classifier
from tests.ports import free_port

NAME = "trips_late"
TAG = "evergreen-serving:test"
HOME = "/var/lib/evergreen"
UID = 10001
STARTING, STOPPING = 180.0, 20.0  # seconds


def docker(*arguments: str, check: bool = True) -> str:
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, check=False)
    assert not check or done.returncode == 0, f"docker {' '.join(arguments)}: {done.stderr}"
    return done.stdout.strip()


def engine() -> str:
    """Why no container can be run here; empty where one can."""
    if shutil.which("docker") is None:
        return "no docker command is installed"
    done = subprocess.run(["docker", "info"], capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else f"no docker engine answers: {done.stderr.strip().splitlines()[-1:]}"


@pytest.fixture(scope="module")
def image() -> Iterator[str]:
    """The image as ``make image`` builds it; its base from EVERGREEN_PYTHON_IMAGE where that is set."""
    if why := engine():
        pytest.skip(why)
    command = ["make", "image", f"TAG={TAG}", "BUILD_OPTIONS=--network host"]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert f"image: {TAG}, " in done.stdout
    yield TAG
    docker("image", "rm", "--no-prune", TAG, check=False)


def wait(what: str, condition: Callable[[], bool], seconds: float, told: Callable[[], str]) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if condition():
                return
        except httpx.TransportError:
            pass  # it does not listen yet
        time.sleep(0.5)
    raise AssertionError(f"{what}: not within {seconds:.0f} s: {told()}")


@pytest.fixture(scope="module")
def registry(image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An MLflow server on this machine, as ``make up`` starts one."""
    folder, port = tmp_path_factory.mktemp("mlflow"), free_port()
    address, log = f"http://127.0.0.1:{port}", folder / "log.txt"
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", f"sqlite:///{folder}/mlflow.db", "--artifacts-destination", f"{folder}/files"]
    environment = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    with log.open("w") as stream:
        server = subprocess.Popen(command, cwd=folder, env=environment, stdout=stream, stderr=stream)
    try:
        wait("MLflow", lambda: httpx.get(f"{address}/health").status_code == 200, 120, log.read_text)
        yield address
    finally:
        server.terminate()
        server.wait(timeout=30)


@dataclass(frozen=True)
class Prepared:
    """A home with features, a folder of use cases, and a champion in the registry."""

    folder: Path
    registry: str
    champion: ModelVersion


@pytest.fixture(scope="module")
def prepared(registry: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prepared]:
    folder = tmp_path_factory.mktemp("container")
    use_case = folder / "use_cases" / NAME / "use_case.yaml"
    use_case.parent.mkdir(parents=True)
    task = CONFIG.replace("task: regression", "task: classification").replace("mae", "log_loss")
    use_case.write_text(f"{task}serving: {{threshold: 0.5}}\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EVERGREEN_HOME", str(folder / "home"))
        patch.setenv("EVERGREEN_USE_CASE_PATHS", str(folder / "use_cases"))
        patch.setenv("MLFLOW_TRACKING_URI", registry)
        get_settings.cache_clear()
        build_store()
        champion = register_classifier(NAME)
        models.set_alias(NAME, models.CHAMPION, champion.version)
        for path in [folder, *folder.rglob("*")]:
            path.chmod(0o777 if path.is_dir() else 0o666)  # the container's user is nobody here
        yield Prepared(folder, registry, champion)
    get_settings.cache_clear()


@dataclass(frozen=True)
class Container:
    name: str
    client: httpx.Client

    def inspect(self, field: str) -> str:
        return docker("inspect", "--format", f"{{{{json {field}}}}}", self.name)

    def shell(self, command: str) -> str:
        """What a command in the container prints; empty where it fails."""
        return docker("exec", self.name, "sh", "-c", command, check=False)


@pytest.fixture(scope="module")
def container(image: str, prepared: Prepared) -> Iterator[Container]:
    name, port = f"evergreen-serving-{uuid.uuid4().hex[:12]}", free_port()
    docker(
        "run", "--detach", "--name", name, "--network", "host",
        "--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges",
        "--volume", f"{prepared.folder / 'home'}:{HOME}",
        "--volume", f"{prepared.folder / 'use_cases'}:/use_cases:ro",
        "--env", "EVERGREEN_USE_CASE_PATHS=/use_cases",
        "--env", f"EVERGREEN_MLFLOW_TRACKING_URI={prepared.registry}",
        "--env", f"EVERGREEN_SERVING_PORT={port}",
        image, "--host", "127.0.0.1",
    )  # fmt: skip
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
            yield Container(name, client)
    finally:
        docker("rm", "--force", "--volumes", name)


@pytest.mark.container
def test_the_container_serves_and_stops(container: Container, prepared: Prepared) -> None:
    def log() -> str:
        return subprocess.run(["docker", "logs", container.name], capture_output=True, text=True, check=False).stderr

    wait("healthy", lambda: container.inspect(".State.Health.Status") == '"healthy"', STARTING, log)
    status = container.client.get(f"/v1/{NAME}").json()
    assert (status["model"]["version"], status["engine"]) == (prepared.champion.version, "compiled"), status
    predictor = models.load(prepared.champion)

    rows = [{"distance": 900.0, "carrier": "AA", "night": True}, {"distance": None, "carrier": "new", "night": None}]
    answer = container.client.post(f"/v1/{NAME}/predict", json={"rows": rows}).json()
    import pandas as pd

    expected = predictor.predict(pd.DataFrame(rows, dtype=object)).tolist()
    assert [each["prediction"] for each in answer["predictions"]] == pytest.approx(expected, abs=1e-9)
    asked = {"entities": [{"trip_id": 1}], "as_of": LATER.isoformat(), "explain": True}
    known = container.client.post(f"/v1/{NAME}/predict", json=asked).json()
    assert known["predictions"][0]["prediction"] == pytest.approx(expected[0], abs=1e-9)
    assert known["predictions"][0]["features"] == rows[0]
    assert known["predictions"][0]["explanation"]

    assert container.shell("id -u") == str(UID)
    assert container.shell("touch /opt/app/x /tmp/x && echo written") == ""
    assert container.shell("cat /proc/1/status | grep CapEff").split() == ["CapEff:", "0" * 16]

    begun = time.monotonic()
    docker("stop", "-t", str(int(STOPPING)), container.name)
    assert time.monotonic() - begun < STOPPING / 2
    state = json.loads(container.inspect(".State"))
    assert state["ExitCode"] in (0, 143), log()
    assert not state["OOMKilled"]
    now = datetime.now(UTC)
    kept = read_online(NAME, now - timedelta(hours=1), now)
    assert set(kept["request_id"]) == {answer["request_id"], known["request_id"]}
