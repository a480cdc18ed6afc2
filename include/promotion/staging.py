"""Tries a version in a serving process of its own before it meets a user.

The process has an empty home and a bare environment: what it serves came from the registry, and what it answers goes
into no log that anyone reads.
"""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from socket import socket
from typing import Any

import httpx
import numpy as np
import polars as pl

from include.contract.loading import Folder
from include.deployment.replica import served
from include.gate import cost
from include.gate.cost import Cost
from include.gate.staging import Trial
from include.promotion.rows import json_rows, test_rows
from include.registry import cache, models
from include.registry.models import ModelVersion
from include.serving.schemas import ROW_LIMIT
from include.settings import REPOSITORY, get_settings
from include.training.evaluate import PREDICTION

log = logging.getLogger(__name__)

GOLDEN_ROWS = 100
SINGLE_REQUESTS = 100
BATCH_REQUESTS = 10
START_TIMEOUT = 300.0  # seconds; a busy machine takes minutes to compile what a small one has never run
SETTLE_TIMEOUT = 15.0  # seconds from its first answer
# What a process needs to run at all, and where the registry is and how to log in to it.
INHERITED = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "NO_PROXY", "no_proxy", "OMP_NUM_THREADS")
INHERITED_PREFIXES = ("EVERGREEN_", "MLFLOW_", "AWS_")


class StagingError(Exception):
    """The staging process did not do what it should; the message says what."""


@dataclass(frozen=True)
class _Staged:
    """A staging process that answers with the version."""

    process: subprocess.Popen[bytes]
    client: httpx.Client
    use_case: str

    def ask(self, rows: Sequence[Mapping[str, Any]]) -> list[float]:
        answer = self.client.post(f"/v1/{self.use_case}/predict", json={"rows": rows})
        if answer.status_code != httpx.codes.OK:
            raise StagingError(f"answers {answer.status_code} to its own rows: {answer.text[:500]}")
        return [float(each["prediction"]) for each in answer.json()["predictions"]]


def stage(use_case: Folder, version: int) -> Trial:
    """Serve the version under the alias ``staging``, ask it rows of its own test stretch, and measure what that costs.

    What the version does wrong is in the trial's ``problems``; an unreachable registry is raised, and a process that
    does not start.
    """
    name = use_case.config.name
    candidate = models.get(name, version)
    models.set_alias(name, models.STAGING, version)
    rows = test_rows(candidate)
    golden = rows.head(GOLDEN_ROWS)
    difference: float | None = None
    measured: Cost | None = None
    problems: list[str] = []
    try:
        with _serving(name, version) as staged:
            answered = np.array(staged.ask(json_rows(golden, candidate.features)))
            difference = float(np.max(np.abs(answered - golden[PREDICTION].to_numpy()), initial=0.0))
            problems += _refuses_nonsense(staged)
            measured = _cost(staged, candidate, rows)
    except (StagingError, httpx.HTTPError) as error:
        problems.append(f"{name} version {version} in staging: {error}")
    trial = Trial(golden.height, difference, tuple(problems), measured)
    log.info("staging of %s version %d: %s", name, version, "; ".join(problems) or f"{golden.height} golden rows")
    return trial


def _refuses_nonsense(staged: _Staged) -> list[str]:
    """A row without features must be refused with a problem document, not answered and not crashed on."""
    wrong = staged.client.post(f"/v1/{staged.use_case}/predict", json={"rows": [{}]})
    if wrong.status_code == httpx.codes.UNPROCESSABLE_ENTITY:
        return []
    return [f"answers {wrong.status_code} to a row without features, expected 422"]


def _cost(staged: _Staged, candidate: ModelVersion, rows: pl.DataFrame) -> Cost:
    import psutil

    single = json_rows(rows.head(SINGLE_REQUESTS), candidate.features)
    batch = json_rows(rows.head(ROW_LIMIT), candidate.features)
    return cost.measure(
        _timed(staged, [[row] for row in single]),
        _timed(staged, [batch] * BATCH_REQUESTS),
        batch_rows=len(batch),
        memory=psutil.Process(staged.process.pid).memory_info().rss / 2**20,
        file=cache.size(candidate) / 2**20,
    )


def _timed(staged: _Staged, requests: Sequence[Sequence[Mapping[str, Any]]]) -> list[float]:
    """Milliseconds from a request to its whole answer, by request; the first warms up and is not counted."""
    staged.ask(requests[0])
    taken = []
    for rows in requests:
        started = time.perf_counter()
        staged.ask(rows)
        taken.append((time.perf_counter() - started) * 1000)
    return taken


@contextmanager
def _serving(use_case: str, version: int) -> Iterator[_Staged]:
    settings = get_settings()
    settings.work.mkdir(parents=True, exist_ok=True)
    settings.logs.mkdir(parents=True, exist_ok=True)
    port = _free_port()
    log_file = settings.logs / f"staging-{use_case}.log"
    command = [sys.executable, "-m", "include.serving", "--host", settings.host, "--port", str(port)]
    command += ["--alias", models.STAGING, "--use-case", use_case, "--until-input-ends"]
    address = f"http://{settings.host}:{port}"
    with tempfile.TemporaryDirectory(prefix="staging-", dir=settings.work) as home, log_file.open("wb") as output:
        env = _bare_environment(Path(home))
        # Its input ends with this process, also when that is killed: no staging process is left behind.
        process = subprocess.Popen(
            command, cwd=REPOSITORY, env=env, stdin=subprocess.PIPE, stdout=output, stderr=subprocess.STDOUT
        )
        try:
            _wait_for(process, address, use_case, version, log_file)
            with httpx.Client(base_url=address, timeout=60, trust_env=False) as client:
                yield _Staged(process, client, use_case)
        finally:
            _end(process)


def _bare_environment(home: Path) -> dict[str, str]:
    kept = {
        name: value for name, value in os.environ.items() if name in INHERITED or name.startswith(INHERITED_PREFIXES)
    }
    use_cases = os.pathsep.join(str(folder.absolute()) for folder in get_settings().use_case_folders)
    return kept | {
        "EVERGREEN_HOME": str(home),
        "EVERGREEN_FEATURES": str(home / "features"),  # read by feature_store.yaml
        "NUMBA_CACHE_DIR": str(get_settings().home / "cache" / "numba"),  # compiled code, of no version
        "EVERGREEN_USE_CASE_PATHS": use_cases,
        "EVERGREEN_AUTHENTICATION": "false",  # it listens to this process alone, and its home knows no client
        "MLFLOW_TRACKING_URI": models.tracking_uri(),
    }


def _wait_for(process: subprocess.Popen[bytes], address: str, use_case: str, version: int, log_file: Path) -> None:
    deadline, heard = time.monotonic() + START_TIMEOUT, False
    while (seen := served(address, use_case)).version != version:
        if process.poll() is not None:
            end = log_file.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-1:]
            raise StagingError(f"the process ended with status {process.returncode}: {' '.join(end)}")
        if seen.heard and not heard:
            deadline, heard = time.monotonic() + SETTLE_TIMEOUT, True
        if time.monotonic() > deadline:
            # A process that says nothing has not started: that is no word against the version, and is tried again.
            raise (
                StagingError(f"does not serve the version: {seen.said}")
                if heard
                else TimeoutError(
                    f"the staging process of {use_case} has not started after {START_TIMEOUT:.0f} s: {seen.said}"
                )
            )
        time.sleep(0.2)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(timeout=10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _free_port() -> int:
    with socket() as probe:
        probe.bind((get_settings().host, 0))
        return int(probe.getsockname()[1])
