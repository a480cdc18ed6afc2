"""The processes that make up the system on one machine: how each is started and how it tells that it is well."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import httpx

from include.local.checks import Port
from include.local.preparation import mlflow_database
from include.settings import Settings

READY_WITHIN = 180.0  # seconds; a busy laptop imports slowly
API_SERVER = (sys.executable, "-m", "include.local.api_server")


@dataclass(frozen=True)
class Service:
    """One process. ``healthy`` is given the moment at which the process was created."""

    name: str
    title: str
    command: tuple[str, ...]
    healthy: Callable[[float], bool]
    port: Port | None = None
    address: str = ""


def services(settings: Settings) -> tuple[Service, ...]:
    """All processes of this configuration, in the order in which they are shown."""
    found = [
        Service(
            "api-server",
            "Airflow",
            (*API_SERVER, "--host", settings.host, "--port", str(settings.airflow_port)),
            lambda _: _airflow_part(settings, "metadatabase", None),
            Port(settings.airflow_port, "Airflow", "EVERGREEN_AIRFLOW_PORT"),
            settings.airflow_url,
        ),
        # Logs are read from the disk: the log servers of these two would listen on every interface.
        _component(settings, "scheduler", "--skip-serve-logs"),
        _component(settings, "dag-processor"),
        _component(settings, "triggerer", "--skip-serve-logs"),
    ]
    if not settings.mlflow_tracking_uri:
        found.append(_mlflow(settings))
    if not settings.serving_replicas:
        found.append(_serving(settings))
    return tuple(found)


@lru_cache(maxsize=1)
def _http() -> httpx.Client:
    """One client for all questions: to make one takes longer than to ask."""
    return httpx.Client(timeout=5, trust_env=False)


def get_json(url: str) -> dict[str, Any] | None:
    """The JSON object at an address, nothing while nobody answers there."""
    try:
        response = _http().get(url)
        content = response.json() if response.is_success else None
    except (httpx.HTTPError, ValueError):
        return None
    return content if isinstance(content, dict) else None


def _answers(url: str) -> bool:
    try:
        return _http().get(url).is_success
    except httpx.HTTPError:
        return False


def _airflow(*arguments: str) -> tuple[str, ...]:
    return (sys.executable, "-m", "airflow", *arguments)


def _component(settings: Settings, name: str, *options: str) -> Service:
    part = name.replace("-", "_")
    return Service(
        name, f"Airflow {name}", _airflow(name, *options), lambda since: _airflow_part(settings, part, since)
    )


def _airflow_part(settings: Settings, part: str, since: float | None) -> bool:
    """Whether Airflow calls a part healthy; a heartbeat from before the process started is another process's."""
    health = get_json(f"{settings.airflow_url}/api/v2/monitor/health")
    state = (health or {}).get(part) or {}
    if state.get("status") != "healthy":
        return False
    heartbeat = state.get(f"latest_{part}_heartbeat")
    return since is None or (
        heartbeat is not None and datetime.fromisoformat(heartbeat) >= datetime.fromtimestamp(since, UTC)
    )


def _mlflow(settings: Settings) -> Service:
    command = (
        sys.executable, "-m", "mlflow", "server",
        "--host", settings.host, "--port", str(settings.mlflow_port), "--workers", "1",
        "--backend-store-uri", mlflow_database(settings),
        "--artifacts-destination", str(settings.mlflow.absolute() / "artifacts"),
    )  # fmt: skip
    port = Port(settings.mlflow_port, "MLflow", "EVERGREEN_MLFLOW_PORT")
    return Service(
        "mlflow", "MLflow", command, lambda _: _answers(f"{settings.mlflow_uri}/health"), port, settings.mlflow_uri
    )


def _serving(settings: Settings) -> Service:
    address = settings.replicas[0]
    port = Port(settings.serving_port, "serving", "EVERGREEN_SERVING_PORT")
    command = (sys.executable, "-m", "include.serving")
    return Service("serving", "Serving", command, lambda _: _answers(f"{address}/health/live"), port, address)
