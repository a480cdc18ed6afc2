"""Tries a version in a serving process of its own, loaded from the registry alone, before it meets a user."""

from __future__ import annotations

import logging
import math
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from socket import socket
from typing import Any

import httpx

from include.contract.loading import Folder
from include.promotion.judgement import test_rows
from include.promotion.replica import served_version
from include.registry import models
from include.settings import REPOSITORY, get_settings
from include.training.evaluate import PREDICTION

log = logging.getLogger(__name__)

GOLDEN_ROWS = 20
START_TIMEOUT = 90.0
TOLERANCE = 1e-9


class SmokeTestError(Exception):
    """A version that does not answer in staging as it did at training; the message says where."""


def smoke_test(use_case: Folder, version: int) -> None:
    """Serve the version under the alias ``staging`` and ask it the golden rows of its own test stretch."""
    name = use_case.config.name
    candidate = models.get(name, version)
    models.set_alias(name, models.STAGING, version)
    golden = test_rows(candidate).head(GOLDEN_ROWS)
    rows = [{key: _json_value(row[key]) for key in candidate.features} for row in golden.iter_rows(named=True)]
    with _server(name) as address, httpx.Client(base_url=address, timeout=30, trust_env=False) as client:
        _wait_for(address, name, version)
        answer = client.post(f"/v1/{name}/predict", json={"rows": rows})
        if answer.status_code != 200:
            raise SmokeTestError(
                f"{name} version {version} answers {answer.status_code} to its own rows: {answer.text}"
            )
        _compare([each["prediction"] for each in answer.json()["predictions"]], golden[PREDICTION].to_list())
        wrong = client.post(f"/v1/{name}/predict", json={"rows": [{}]})
        if wrong.status_code != 422:
            raise SmokeTestError(f"{name} version {version} answers {wrong.status_code} to a row without features")
    log.info("version %d answered %d golden rows in staging as at training", version, golden.height)


def _compare(answered: list[float], expected: list[float]) -> None:
    for number, (got, wanted) in enumerate(zip(answered, expected, strict=True)):
        if not math.isclose(got, wanted, rel_tol=TOLERANCE, abs_tol=TOLERANCE):
            raise SmokeTestError(f"golden row {number}: {got!r} in staging, {wanted!r} at training")


def _json_value(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


@contextmanager
def _server(use_case: str) -> Iterator[str]:
    settings = get_settings()
    port = _free_port()
    log_file = settings.logs / f"staging-{use_case}.log"
    log_file.parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "include.serving", "--host", settings.host, "--port", str(port)]
    command += ["--alias", models.STAGING, "--use-case", use_case]
    with log_file.open("wb") as output:
        process = subprocess.Popen(command, cwd=REPOSITORY, stdout=output, stderr=subprocess.STDOUT)
        try:
            yield f"http://{settings.host}:{port}"
        finally:
            process.terminate()
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait_for(address: str, use_case: str, version: int) -> None:
    deadline = time.monotonic() + START_TIMEOUT
    while (seen := served_version(address, use_case))[0] != version:
        if time.monotonic() > deadline:
            raise SmokeTestError(f"staging does not serve version {version} after {START_TIMEOUT:.0f} s: {seen[1]}")
        time.sleep(0.2)


def _free_port() -> int:
    with socket() as probe:
        probe.bind((get_settings().host, 0))
        return int(probe.getsockname()[1])
