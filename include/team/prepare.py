"""``python -m include.team.prepare``: brings the stores to the state that the services expect. May be run again."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime

import httpx

from include.contract.loading import load_use_cases
from include.local.preparation import MARKER, apply_feature_definitions, create_data_repository, migrate_airflow
from include.registry import models
from include.serving.access.tokens import Tokens
from include.settings import get_settings


def main() -> int:
    settings = get_settings()
    for folder in (settings.logs, settings.work, settings.data_repository.parent, settings.features):
        folder.mkdir(parents=True, exist_ok=True)
    (settings.home / "airflow").mkdir(exist_ok=True)
    (settings.home / MARKER).touch()
    steps: dict[str, Callable[[], None]] = {
        "Airflow's database and pools": migrate_airflow,
        "Airflow's administrator": create_administrator,
        "MLflow's reader": create_reader,
        "the registered models": create_models,
        "the system's tokens": accept_tokens,
        "the data repository": create_data_repository,
        "the feature definitions": apply_feature_definitions,
    }
    for name, step in steps.items():
        print(f"prepare: {name}", flush=True)
        step()
    return 0


def create_administrator() -> None:
    """The user ``admin`` with the password of the environment, also where that has changed."""
    password = os.environ["AIRFLOW_ADMIN_PASSWORD"]
    airflow = [sys.executable, "-m", "airflow", "users"]
    who = ["--username", "admin", "--password", password]
    rest = ["--role", "Admin", "--email", "admin@localhost", "--firstname", "Evergreen", "--lastname", "Admin"]
    subprocess.run([*airflow, "create", *who, *rest], check=True)
    subprocess.run([*airflow, "reset-password", *who], check=True)


def create_reader() -> None:
    """The user of MLflow whom the replicas are: it may read, and change nothing."""
    settings = get_settings()
    login = (os.environ["MLFLOW_TRACKING_USERNAME"], os.environ["MLFLOW_TRACKING_PASSWORD"])
    reader = {"username": "serving", "password": os.environ["MLFLOW_SERVING_PASSWORD"]}
    with httpx.Client(base_url=f"{settings.mlflow_uri}/api/2.0/mlflow/users/", auth=login, timeout=30) as http:
        known = http.get("get", params={"username": reader["username"]})
        if known.status_code == httpx.codes.NOT_FOUND:
            http.post("create", json=reader).raise_for_status()
        else:
            known.raise_for_status()
            http.patch("update-password", json=reader).raise_for_status()


def create_models() -> None:
    """One for each use case: whether an unknown model exists, MLflow does not tell its readers."""
    for name in load_use_cases():
        models.ensure(name)


def accept_tokens() -> None:
    """The tokens with which the system asks its own replicas."""
    tokens, now = Tokens(get_settings().tokens), datetime.now(UTC).replace(microsecond=0)
    tokens.accept(os.environ["EVERGREEN_SERVING_TOKEN"], "evergreen", ["predict", "admin"], now)
    tokens.accept(os.environ["PROMETHEUS_TOKEN"], "prometheus", ["admin"], now)


if __name__ == "__main__":
    sys.exit(main())
