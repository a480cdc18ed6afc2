"""What must exist before the first process starts: folders, databases, the data repository, feature definitions.

Everything here may be run again. The slow steps run beside each other in processes of their own, since each imports
a large library, and a step that is known to be done is left out.
"""

from __future__ import annotations

import hashlib
import json
import logging
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from include.local.checks import CheckError
from include.settings import REPOSITORY, Settings, get_settings

MARKER = "evergreen-home"
POOLS_FILE = REPOSITORY / "include" / "orchestration" / "stage.py"


def mlflow_database(settings: Settings) -> str:
    """The address of the local MLflow server's database; writers wait for each other instead of failing."""
    return f"sqlite:///{settings.mlflow.absolute() / 'mlflow.db'}?timeout=60"


def create_mlflow_database() -> None:
    """Creates the MLflow database: of several processes that find it empty, all but one would fail."""
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    SqlAlchemyStore(mlflow_database(get_settings()), "mlflow-artifacts:/")


def create_data_repository() -> None:
    from include.ingestion import versions

    versions.initialize()


def apply_feature_definitions() -> None:
    from include.features import store

    logging.basicConfig(level=logging.INFO, format="%(message)s")  # the plan, before it is applied
    store.apply()


def migrate_airflow() -> None:
    """Creates or upgrades Airflow's database and the pools that the DAGs name."""
    from include.orchestration.stage import POOLS

    airflow = [sys.executable, "-m", "airflow"]
    subprocess.run([*airflow, "db", "migrate"], check=True)
    # One at a time: fits fill the machine, and two changes of what is in production must not cross.
    pools = {name: {"slots": 1, "description": text, "include_deferred": False} for name, text in POOLS.items()}
    file = get_settings().home / "airflow" / "pools.json"
    file.write_text(json.dumps(pools), encoding="utf-8")
    subprocess.run([*airflow, "pools", "import", str(file)], check=True)


STEPS: dict[str, Callable[[], None]] = {
    "airflow": migrate_airflow,
    "mlflow": create_mlflow_database,
    "versions": create_data_repository,
    "features": apply_feature_definitions,
}


def prepare(settings: Settings, env: Mapping[str, str]) -> None:
    """Brings everything on disk to the state that the processes expect."""
    folders = (settings.logs, settings.mlflow / "artifacts", settings.work, settings.data_repository.parent)
    for folder in (*folders, settings.features, settings.home / "airflow"):
        folder.mkdir(parents=True, exist_ok=True)
    (settings.home / MARKER).touch()
    wanted = _wanted(settings)
    commands = {
        name: command
        for name, command in _commands(settings).items()
        if _read(wanted[name].stamp) != wanted[name].state
    }
    if not commands:
        return
    started = time.monotonic()
    print(f"prepare: {', '.join(commands)}", flush=True)
    _run_together(commands, settings.logs, env)
    for name in commands:
        wanted[name].stamp.write_text(wanted[name].state, encoding="utf-8")
    print(f"prepare: done in {time.monotonic() - started:.0f} s", flush=True)


@dataclass(frozen=True)
class _Wanted:
    """A step is done when its stamp, which lies beside what it makes, holds this state."""

    stamp: Path
    state: str


def _wanted(settings: Settings) -> dict[str, _Wanted]:
    definitions = f"{_definitions(settings)} {_registry(settings)}"
    return {
        "airflow": _Wanted(
            settings.home / "airflow" / "migrated", f"{version('apache-airflow')} {_digest([POOLS_FILE])}"
        ),
        "mlflow": _Wanted(settings.mlflow / "migrated", version("mlflow")),
        "versions": _Wanted(settings.data_repository.parent / "initialized", version("dvc")),
        "features": _Wanted(settings.features / "applied", f"{version('feast')} {definitions}"),
    }


def _definitions(settings: Settings) -> str:
    """Changes with every file from which feature definitions are made."""
    folders = (REPOSITORY / "feature_repo", *settings.use_case_folders)
    return _digest(file for folder in folders for file in sorted([*folder.rglob("*.py"), *folder.rglob("*.yaml")]))


def _registry(settings: Settings) -> str:
    """Changes with the database that holds the definitions; its address may hold a password."""
    return hashlib.sha256(settings.feature_registry.encode()).hexdigest()[:12]


def _digest(files: Iterable[Path]) -> str:
    digest = hashlib.sha256()
    for file in files:
        digest.update(f"{file}\0".encode() + hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()


def _read(file: Path) -> str | None:
    return file.read_text(encoding="utf-8") if file.is_file() else None


def _commands(settings: Settings) -> dict[str, list[str]]:
    python = sys.executable
    commands = {name: [python, "-m", "include.local.preparation", name] for name in STEPS}
    if settings.mlflow_tracking_uri:
        commands.pop("mlflow")
    elif (settings.mlflow / "mlflow.db").exists():
        commands["mlflow"] = [python, "-m", "mlflow", "db", "upgrade", mlflow_database(settings)]
    return commands


def _run_together(commands: Mapping[str, list[str]], logs: Path, env: Mapping[str, str]) -> None:
    running = {}
    for name, command in commands.items():
        with (logs / f"prepare-{name}.log").open("wb") as output:
            running[name] = subprocess.Popen(
                command, cwd=REPOSITORY, env=dict(env), stdin=subprocess.DEVNULL, stdout=output, stderr=output
            )
    try:
        failed = [name for name, process in running.items() if process.wait() != 0]
    except BaseException:
        for process in running.values():
            process.terminate()
        raise
    if failed:
        tails = []
        for name in failed:
            log = logs / f"prepare-{name}.log"
            lines = log.read_text(encoding="utf-8", errors="replace").splitlines()[-12:]
            tails.append("\n".join([f"preparing {name} failed; the end of {log}:", *lines]))
        raise CheckError("\n".join(tails))


if __name__ == "__main__":
    STEPS[sys.argv[1]]()
