"""Everything is destroyed, and comes back from a backup."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.team.conftest import USE_CASE, train
from tests.team.harm import versions
from tests.team.stack import PROJECT, Stack, docker, own_disk

pytestmark = pytest.mark.team


def data(stack: Stack) -> dict[str, object]:
    """What an installation must not lose, by one look at each store."""
    code = (
        "import json; from include.ingestion import versions; from include.registry import models;"
        "from include.deployment import ledger; from include.features.online.opening import open_rows;"
        f"name={USE_CASE!r}; head=versions.head();"
        "print(json.dumps({'head': head, 'days': versions.keys(name, head),"
        "'champion': models.by_alias(name, 'champion').version,"
        "'files': len(versions.files(name, head, versions.keys(name, head)[-1:]))}))"
    )
    told: dict[str, object] = json.loads(stack.run("worker", "python", "-c", code).splitlines()[-1])
    with stack.airflow as airflow:
        told["runs"] = sorted(run.run_id for run in airflow.runs(f"{USE_CASE}.train"))
    return told


def test_everything_is_destroyed_and_comes_back(stack: Stack, champion: int, tmp_path: Path) -> None:
    folder, before = tmp_path / "backup", data(stack)
    stack.team("backup", str(folder))
    assert {file.name for file in folder.iterdir()} >= {"manifest.json", "home.tar.gz", "airflow.dump", "mlflow.dump"}

    stack.team("down")
    volumes = docker("volume", "ls", "--quiet", "--filter", f"label=com.docker.compose.project={PROJECT}").split()
    docker("volume", "rm", *volumes)
    own_disk(stack)
    stack.team("restore", str(folder))

    assert data(stack) == before
    with stack.serving() as client:
        assert client.get(f"/v1/{USE_CASE}").json()["model"]["version"] == champion
    known = versions(stack)
    with stack.airflow as airflow:
        airflow.wait(train(airflow, "after-the-restore", 29))
    assert len(versions(stack)) == len(known) + 1


def test_a_restore_does_not_touch_an_installation_with_data(stack: Stack, tmp_path: Path) -> None:
    folder = tmp_path / "backup"
    stack.team("backup", str(folder))
    command = ["python3", "-m", "include.team", "restore", str(folder)]
    done = subprocess.run(command, cwd=stack.folder, env=stack.environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert f"there is data in {PROJECT}_home" in done.stderr
