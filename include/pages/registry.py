"""What MLflow knows of a version, asked over HTTP: its library is too large for the API server."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from include.settings import get_settings

TIMEOUT = 3.0  # seconds
USER, PASSWORD = "MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"


class RegistryError(Exception):
    """MLflow did not answer, or not with what was asked for."""


@dataclass(frozen=True)
class Registered:
    """A version and the run that made it."""

    version: int
    run_id: str
    tags: Mapping[str, str]
    params: Mapping[str, str]
    metrics: Mapping[str, float]

    @property
    def features(self) -> tuple[str, ...]:
        """The features that it reads."""
        return tuple(json.loads(self.tags.get("features", "[]")))


async def read(use_case: str, version: int) -> Registered:
    """``RegistryError`` where MLflow has no such version or does not answer in time."""
    user, password = os.environ.get(USER), os.environ.get(PASSWORD)
    auth = httpx.BasicAuth(user, password) if user and password else None
    settings = get_settings()
    address = settings.mlflow_uri
    if not address.startswith(("http://", "https://")):
        raise RegistryError(f"{address}: is no MLflow server; versions are looked up over HTTP")
    async with httpx.AsyncClient(base_url=address, timeout=TIMEOUT, trust_env=False, auth=auth) as http:
        found = (await _get(http, "model-versions/get", name=use_case, version=str(version)))["model_version"]
        run = (await _get(http, "runs/get", run_id=found["run_id"]))["run"]["data"]
    return Registered(
        version=version,
        run_id=found["run_id"],
        tags=_by_key(found),
        params={each["key"]: each["value"] for each in run.get("params", ())},
        metrics={each["key"]: float(each["value"]) for each in run.get("metrics", ())},
    )


async def _get(http: httpx.AsyncClient, path: str, **query: str) -> Any:
    try:
        answer = await http.get(f"/api/2.0/mlflow/{path}", params=query)
        answer.raise_for_status()
        return answer.json()
    except (httpx.HTTPError, ValueError) as error:
        raise RegistryError(f"MLflow at {http.base_url} does not tell: {error}") from error


def _by_key(found: Mapping[str, Any]) -> dict[str, str]:
    return {each["key"]: each["value"] for each in found.get("tags", ())}
