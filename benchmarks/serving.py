"""What does an online prediction cost the serving process, and how long does it take?

Real processes with one worker and one numeric thread each. A process of its own asks them over 16 connections that
stay open, in rounds taken in alternation; the CPU time is the serving process's own, by request. What our requests cost
is held against an empty answer of the same HTTP server to the same request, and against the tutorials' way. Ours
authenticates each request and keeps each prediction in the log.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import cycle
from pathlib import Path
from typing import IO, Any, cast

import httpx
import psutil

from benchmarks.servers import Empty, Ours, Server, Tutorial
from include.serving.access.tokens import Tokens
from include.settings import REPOSITORY, get_settings

LIBRARIES = ("uvicorn", "uvloop", "httptools", "msgspec", "fastapi", "scikit-learn", "numba")
CONNECTIONS = 16
ROUNDS = 5
SPENT = 1.0  # seconds of a round, about
RATE, LASTING = 20, 15.0  # requests a second of the fixed load, and its seconds
ROW_GOAL, KEY_GOAL = 2.5, 4.0
START_TIMEOUT = 300.0  # seconds, on a busy machine


@dataclass(frozen=True)
class Running:
    """A server that answers, and how long it took to start."""

    server: Server
    process: psutil.Process
    port: int
    started: float
    token: str = ""  # that each request has

    def cpu(self) -> float:
        """CPU seconds of the process and of those it has started."""
        spent = [each.cpu_times() for each in (self.process, *self.process.children(recursive=True))]
        return float(sum(each.user + each.system for each in spent))

    def memory(self) -> float:
        """MiB that are its own."""
        return float(self.process.memory_full_info().uss / 2**20)


@dataclass(frozen=True)
class Question:
    """Bodies that a server is asked in turn."""

    name: str
    to: Running
    bodies: Sequence[bytes]

    def load(self) -> dict[str, Any]:
        """What ``load`` is told, without how long and how fast."""
        to, bodies = self.to, [each.decode() for each in self.bodies]
        return {"port": to.port, "path": to.server.path, "token": to.token, "bodies": bodies}


@contextmanager
def running(server: Server, log: Path) -> Iterator[Running]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    begun = time.perf_counter()
    with log.open("wb") as output:
        child = subprocess.Popen(
            server.command(port), env={**os.environ, **server.environment}, stdout=output, stderr=subprocess.STDOUT
        )
    try:
        while not answers(f"http://127.0.0.1:{port}{server.ready}"):
            if child.poll() is not None or time.perf_counter() - begun > START_TIMEOUT:
                raise RuntimeError(f"{server.name} does not start: {log.read_text(errors='replace')[-2000:]}")
            time.sleep(0.05)
        yield Running(server, psutil.Process(child.pid), port, time.perf_counter() - begun)
    finally:
        child.terminate()
        child.wait()


def answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=5, trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


async def ask(  # noqa: PLR0917 - one connection of a load
    port: int, requests: Iterator[bytes], until: float, due: float, pause: float, taken: list[float]
) -> None:
    """Ask over one connection until a moment; with a pause, at fixed times from ``due`` on, however long it takes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    while (now := time.perf_counter()) < until:
        if pause:
            await asyncio.sleep(max(0.0, due - now))
        start = due if pause else now
        writer.write(next(requests))
        head = await reader.readuntil(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(head.decode() + (await reader.read(1000)).decode())
        length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length"))
        await reader.readexactly(int(length.partition(b":")[2]))
        taken.append(time.perf_counter() - start)
        due += pause
    writer.close()


async def load(  # noqa: PLR0917 - as ``Question.load`` says them
    port: int, path: str, token: str, bodies: Sequence[str], seconds: float, rate: float
) -> list[float]:
    bearer = f"Authorization: Bearer {token}\r\n" if token else ""
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n{bearer}Content-Length: "
    requests = cycle([f"{head}{len(body)}\r\n\r\n{body}".encode() for body in bodies])
    taken: list[float] = []
    start, pause = time.perf_counter(), CONNECTIONS / rate if rate else 0.0
    dues = (start + pause * number / CONNECTIONS for number in range(CONNECTIONS))
    await asyncio.gather(*(ask(port, requests, start + seconds, due, pause, taken) for due in dues))
    return taken


def asked(question: Question, seconds: float, rate: float = 0.0) -> tuple[float, list[float]]:
    """CPU milliseconds of the server by request, and the seconds that each took."""
    command = [sys.executable, "-m", "benchmarks.serving"]
    given = json.dumps({**question.load(), "seconds": seconds, "rate": rate})
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as loader:
        stdin, stdout = cast(IO[str], loader.stdin), cast(IO[str], loader.stdout)
        stdin.write(f"{given}\n")
        stdin.flush()
        if not stdout.readline():
            raise RuntimeError(f"{question.name}: the process that asks does not start")
        before = question.to.cpu()
        stdin.write("go\n")
        stdin.flush()
        said = stdout.readline()
        spent = question.to.cpu() - before
    if not said:
        raise RuntimeError(f"{question.name}: the process that asks has failed")
    taken: list[float] = json.loads(said)
    return spent / len(taken) * 1000, taken


def prepared() -> dict[str, Any]:
    """Fill the home, in a process of its own; a SQLite store of MLflow keeps artifacts where that works."""
    command, env = [sys.executable, "-m", "benchmarks.served_flights"], {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    folder = get_settings().home
    folder.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=folder, env=env)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def measure(questions: Sequence[Question]) -> dict[str, float]:
    """Median CPU milliseconds of a request, of rounds in alternation."""
    spent: dict[str, list[float]] = {question.name: [] for question in questions}
    for number in range(ROUNDS + 1):
        for question in questions:
            cost, _ = asked(question, SPENT)
            if number:  # the first round warms up
                spent[question.name].append(cost)
        print({name: round(costs[-1], 4) for name, costs in spent.items() if costs}, file=sys.stderr, flush=True)
    return {name: statistics.median(costs) for name, costs in spent.items()}


def against(name: str, ours: float, base: float, goal: float | None, note: str) -> dict[str, Any]:
    ratio = ours / base
    return {
        "name": name, "ours": round(ours, 3), "peer": round(base, 3), "ratio": round(ratio, 2), "unit": "CPU ms",
        "goal": goal and f"at most {goal:g}", "met": goal and ratio <= goal, "note": note,
    }  # fmt: skip


def faster(name: str, ours: float, peer: float, note: str) -> dict[str, Any]:
    return {
        "name": name, "ours": round(ours, 3), "peer": round(peer, 3), "ratio": round(peer / ours, 1), "unit": "CPU ms",
        "goal": None, "met": None, "note": note,
    }  # fmt: skip


def kept(name: str, ours: float, peer: float, unit: str) -> dict[str, Any]:
    note = "peer: the tutorials' way"
    return {
        "name": name, "ours": round(ours, 2), "peer": round(peer, 2), "ratio": round(peer / ours, 2), "unit": unit,
        "goal": None, "met": None, "note": note,
    }  # fmt: skip


def compare(ours: Running, empty: Running, tutorial: Running, asks: dict[str, Any]) -> list[dict[str, Any]]:
    keys, new = ([json.dumps(each).encode() for each in asks[name]] for name in ("entity", "new"))

    def by_rows(to: Running, bodies: list[dict[str, Any]]) -> list[bytes]:
        return [to.server.body(each["rows"]) for each in bodies]

    one = Question("ours, a row", ours, by_rows(ours, asks["row"]))
    peer = Question("tutorial, a row", tutorial, by_rows(tutorial, asks["row"]))
    spent = measure([
        Question("empty", empty, by_rows(empty, asks["row"])), one, Question("ours, a key", ours, keys), peer,
        Question("ours, a new key", ours, new),
        Question("ours, 100 rows", ours, by_rows(ours, asks["rows"])),
        Question("tutorial, 100 rows", tutorial, by_rows(tutorial, asks["rows"])),
    ])  # fmt: skip
    features = len(asks["row"][0]["rows"][0])
    nothing, way = "peer: an empty answer of the same HTTP server", "peer: FastAPI, pydantic, a DataFrame, the pipeline"
    entries = [
        against(f"predict a row of {features} features", spent["ours, a row"], spent["empty"], ROW_GOAL, nothing),
        against("predict by an entity's key", spent["ours, a key"], spent["empty"], KEY_GOAL, nothing),
        against("predict by a key that is not remembered", spent["ours, a new key"], spent["empty"], None, nothing),
        faster("predict a row", spent["ours, a row"], spent["tutorial, a row"], way),
        faster("predict 100 rows", spent["ours, 100 rows"], spent["tutorial, 100 rows"], way),
    ]
    late = {each.name: sorted(asked(each, LASTING, RATE)[1]) for each in (one, peer)}
    for share in (50, 99):
        ours_ms, peer_ms = (taken[int(len(taken) * share / 100)] * 1000 for taken in late.values())
        entries.append(kept(f"{RATE} requests a second of a row, p{share}", ours_ms, peer_ms, "ms"))
    entries.append(kept("memory of the process", ours.memory(), tutorial.memory(), "MiB"))
    entries.append(kept("start until it is ready", ours.started, tutorial.started, "s"))
    return entries


def run() -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        home = Path(folder) / "home"
        os.environ |= {"EVERGREEN_HOME": str(home), "MLFLOW_TRACKING_URI": f"sqlite:///{folder}/mlflow.db"}
        asks = prepared()
        token = Tokens(get_settings().tokens).issue("benchmark", ["predict"], datetime.now(UTC))
        os.environ["EVERGREEN_AUTHENTICATION"] = "true"
        with running(Ours(), Path(folder) / "first"):
            pass  # the machine code of the kernels is made once and kept
        ours, empty, tutorial = (
            replace(stack.enter_context(running(each, Path(folder) / each.name)), token=token)
            for each in (Ours(), Empty(), Tutorial())
        )
        return compare(ours, empty, tutorial, asks)


if __name__ == "__main__":
    asking = json.loads(sys.stdin.readline())
    print("ready", flush=True)
    sys.stdin.readline()
    print(json.dumps(asyncio.run(load(**asking))), flush=True)
