"""Does a serving process keep its memory while it is asked, and while what it serves is replaced?

One process with the flights' model. It is asked for rows over connections that stay open; meanwhile the champion
changes between two versions of the model, each of which is loaded, verified and compiled anew. The memory is the
process's own (USS), at the end against that after a warm-up.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

from benchmarks.servers import Ours
from benchmarks.serving import prepared, running
from include.registry import models
from include.settings import get_settings

LIBRARIES = ("uvicorn", "uvloop", "httptools", "msgspec", "scikit-learn", "numba")
NAME = "flight_delay"
REQUESTS, RELOADS, WARM_UP = 100_000, 50, 5
CONNECTIONS = 8
GROWTH = 32.0  # MiB
PATIENCE = 120.0  # seconds of a reload


def request(path: str, body: dict[str, Any]) -> bytes:
    """The bytes of a POST over a connection that stays open."""
    content = json.dumps(body).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: "
    return f"{head}{len(content)}\r\n\r\n".encode() + content


def send(port: int, asked: bytes, count: int) -> None:
    """Ask so many times, over several connections at once; ``RuntimeError`` at the first answer that is not 200."""

    async def ask(times: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for _ in range(times):
            writer.write(asked)
            head = await reader.readuntil(b"\r\n\r\n")
            if not head.startswith(b"HTTP/1.1 200"):
                raise RuntimeError(head.decode())
            length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length"))
            await reader.readexactly(int(length.partition(b":")[2]))
        writer.close()

    async def all_of_them() -> None:
        await asyncio.gather(*(ask(count // CONNECTIONS) for _ in range(CONNECTIONS)))

    asyncio.run(all_of_them())


def replace(address: str, name: str, version: int, meanwhile: Callable[[], None]) -> None:
    """Make the version the champion, and wait until it is what is served."""
    models.set_alias(name, models.CHAMPION, version)
    meanwhile()
    deadline = time.monotonic() + PATIENCE
    while httpx.get(f"{address}/v1/{name}", trust_env=False, timeout=30).json()["model"]["version"] != version:
        if time.monotonic() > deadline:
            raise RuntimeError(f"{name}: version {version} is not served after {PATIENCE:g} s")
        time.sleep(0.05)


def measure(port: int, asked: bytes, versions: tuple[int, int], memory: Callable[[], float]) -> tuple[float, float]:
    """MiB after the warm-up and at the end."""
    before = 0.0
    for number in range(WARM_UP + RELOADS):
        if number == WARM_UP:
            before = memory()
        replace(f"http://127.0.0.1:{port}", NAME, versions[number % 2], lambda: send(port, asked, REQUESTS // RELOADS))
        print(f"reload {number + 1}: {memory():.1f} MiB", file=sys.stderr, flush=True)
    return before, memory()


def run() -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        os.environ |= {"EVERGREEN_HOME": str(home), "MLFLOW_TRACKING_URI": f"sqlite:///{folder}/mlflow.db"}
        row = prepared()["row"][0]
        first = models.by_alias(NAME, models.CHAMPION)
        if first is None:
            raise RuntimeError(f"{NAME} has no champion")
        second = models.register(first.run_id, NAME, "model", {"data_revision": first.data_revision})
        get_settings.cache_clear()
        with running(Ours(), Path(folder) / "log") as server:
            asked = request(Ours.path, row)
            before, after = measure(server.port, asked, (second.version, first.version), server.memory)
    growth = after - before
    return [
        {
            "name": f"memory after {REQUESTS:,} requests and {RELOADS} reloads, less that before",
            "ours": round(growth, 1), "limit": GROWTH, "ratio": round(growth / GROWTH, 2), "unit": "MiB",
            "goal": f"at most {GROWTH:g}", "met": growth <= GROWTH,
            "note": f"{before:.0f} MiB after {WARM_UP} reloads, {after:.0f} MiB at the end",
        }
    ]  # fmt: skip
