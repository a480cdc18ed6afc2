"""The services of ``docker-compose.yaml`` by their parts, and the settings of this installation."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from include.team import secrets_file
from include.team.engine import Compose

FOLDER = Path(__file__).resolve().parent.parent.parent
SECRETS = FOLDER / ".env"
STORES = ("postgres", "redis", "objects", "mlflow")
WORKERS = ("worker", "trainer")
AIRFLOW = ("scheduler", "dag-processor", "triggerer", *WORKERS, "api-server")
REPLICAS = ("serving-1", "serving-2")
MONITORING = ("exporter", "prometheus", "alertmanager", "grafana")
BUILT = ("objects", "prepare", "serving-1")  # their images are built here
ONCE = ("prepare", "toolbox")  # these end by themselves
# What is started only with one of COMPOSE_PROFILES.
PROFILES = {
    "objects": "storage",
    "exporter": "monitoring",
    "prometheus": "monitoring",
    "alertmanager": "monitoring",
    "grafana": "grafana",
    "toolbox": "tools",
}
READY_WITHIN = 600.0  # seconds
PORTS = {"AIRFLOW_PORT": 8080, "MLFLOW_PORT": 5000, "SERVING_PORT": 8000, "GRAFANA_PORT": 3000}


def setting(name: str, default: str) -> str:
    """A setting of the compose file: from the environment, or else from the file of secrets."""
    return os.environ.get(name) or secrets_file.read(SECRETS).get(name) or default


def project() -> str:
    """The name before those of containers and volumes."""
    return setting("COMPOSE_PROJECT_NAME", "evergreen")


def compose() -> Compose:
    """The services with the profiles that COMPOSE_PROFILES names; by default all but the toolbox."""
    chosen = setting("COMPOSE_PROFILES", "storage,monitoring,grafana").split(",")
    profiles = tuple(name.strip() for name in chosen if name.strip())
    ports = {name: str(number) for name, number in ports_of().items()}
    addresses = {
        "AIRFLOW_URL": setting("AIRFLOW_URL", f"http://localhost:{ports['AIRFLOW_PORT']}"),
        "SERVING_URL": setting("SERVING_URL", f"http://localhost:{ports['SERVING_PORT']}"),
        "MLFLOW_URL": setting("MLFLOW_URL", f"http://localhost:{ports['MLFLOW_PORT']}"),
    }
    environment = {"COMPOSE_PROJECT_NAME": project(), "CODE_REVISION": _revision(), **ports, **addresses}
    return Compose(FOLDER, profiles, environment)


def ports_of() -> dict[str, int]:
    """The published ports by the names of their settings."""
    return {name: int(setting(name, str(default))) for name, default in PORTS.items()}


def chosen(services: Compose, *names: str) -> list[str]:
    """Those of the names that the profiles have."""
    return [name for name in names if PROFILES.get(name) in (None, *services.profiles)]


def _revision() -> str:
    """The commit that is built, and whether files differ from it."""

    def git(*arguments: str) -> str:
        done = subprocess.run(["git", *arguments], cwd=FOLDER, capture_output=True, text=True, check=False)
        return done.stdout.strip() if done.returncode == 0 else ""

    commit = git("rev-parse", "HEAD")
    return f"{commit}-dirty" if commit and git("status", "--porcelain") else commit
