"""Serving processes that a test may kill and start again."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psutil

from include.settings import REPOSITORY
from tests.ports import free_port

PATIENCE = 180.0  # seconds of a start on a busy machine


@dataclass
class Replica:
    """A serving process on a port that stays the same when it is started again."""

    log: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] = field(init=False)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def memory(self) -> float:
        """MiB that are its own."""
        return float(psutil.Process(self.process.pid).memory_full_info().uss / 2**20)

    def start(self) -> None:
        command = [sys.executable, "-m", "include.serving", "--port", str(self.port)]
        environment = {**os.environ, **self.environment}
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(command, cwd=REPOSITORY, env=environment, stdout=output, stderr=output)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def ready(self) -> bool:
        try:
            return httpx.get(f"{self.address}/health/ready", trust_env=False, timeout=30).status_code == 200
        except httpx.TransportError:
            return False

    def wait(self) -> None:
        """Until it is ready."""
        deadline = time.monotonic() + PATIENCE
        while not self.ready():
            assert self.process.poll() is None and time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.1)


@contextmanager
def started(*replicas: Replica) -> Iterator[None]:
    """All of them ready; killed at the end."""
    with ExitStack() as stack:
        for each in replicas:
            each.start()
            stack.callback(each.kill)
        for each in replicas:
            each.wait()
        yield
