"""Which parts of a team's system can be reached from here: each is asked when Prometheus asks, and not for long."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any, TypeVar
from urllib.parse import urlsplit

import httpx
from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from include.settings import Settings

TIMEOUT = 3.0  # seconds
ANSWER = 5.0  # seconds for all of it: the name of a server that is gone may be looked for longer than Prometheus waits
PORTS = {"http": 80, "https": 443, "redis": 6379, "rediss": 6379, "postgresql+psycopg2": 5432}
WELL = {"healthy": 1.0}
T = TypeVar("T")


class Parts(Collector):
    """``evergreen_part_up``: 1 where a store takes connections, or Airflow calls its part healthy; 0 otherwise.

    Only of what the settings name as a server of its own; on one machine that is nothing, and there is no sample.
    """

    def __init__(self, settings: Settings, objects: str | None = None) -> None:
        self._airflow = settings.airflow_address
        endpoint = os.environ.get("AWS_ENDPOINT_URL", "") if objects is None else objects
        named = {"redis": settings.redis, "postgres": settings.feature_registry, "objects": endpoint}
        mlflow = {"mlflow": settings.mlflow_tracking_uri} if self._airflow else {}
        self._stores = {part: address for part, address in {**named, **mlflow}.items() if address}
        self._pool = ThreadPoolExecutor(max_workers=16, thread_name_prefix="parts")

    def collect(self) -> Iterator[Metric]:
        family = GaugeMetricFamily("evergreen_part_up", "Whether a part of the system is well.", labels=("part",))
        told = self._pool.submit(_airflow, self._airflow)
        asked = {part: self._pool.submit(_connects, address) for part, address in self._stores.items()}
        begun: list[Future[Any]] = [told, *asked.values()]
        wait(begun, timeout=ANSWER)
        for part, state in _by_now(told, {"api_server": 0.0}).items():
            family.add_metric((part,), state)
        for part, connects in asked.items():
            family.add_metric((part,), float(_by_now(connects, False)))
        yield family


def _by_now(asked: Future[T], otherwise: T) -> T:
    """The answer, or what its lack means; nobody waits for one that has not begun."""
    if asked.done():
        return asked.result()
    asked.cancel()
    return otherwise


def _connects(address: str) -> bool:
    parts = urlsplit(address)
    try:
        with socket.create_connection((parts.hostname or "", parts.port or PORTS[parts.scheme]), timeout=TIMEOUT):
            return True
    except OSError:
        return False


def _airflow(address: str) -> dict[str, float]:
    """What Airflow says of its parts; where it does not answer, that its API server is down is all that is known."""
    if not address:
        return {}
    try:
        answer = httpx.get(f"{address}/api/v2/monitor/health", timeout=TIMEOUT, trust_env=False)
        told = answer.raise_for_status().json()
        known = {part: WELL.get(state["status"], 0.0) for part, state in told.items() if state["status"] is not None}
    except (httpx.HTTPError, ValueError, LookupError, TypeError, AttributeError):
        return {"api_server": 0.0}
    return {"api_server": 1.0, **known}
