"""Historical features through Feast: our store against the bare join in its engine, and against Feast's own stores.

Each measurement is a process of its own with one thread; CPU is user and system time around the retrieval,
imports left out. Where stores answer the same request their results are compared by digest.
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks import retrievals
from benchmarks.retrievals import KEYS, PEER_GIB, ROWS, VIEWS

LIBRARIES = ("feast", "polars", "pyarrow")
RETRIEVALS = Path(retrievals.__file__).resolve()
FEW = 100_000
MANY = 10_000_000
TURNS = 3
CPU_LIMIT, MEMORY_LIMIT, GROWTH_LIMIT, PEER_GOAL = 1.3, 4.0, 2.0, 50.0
GROWTH = (100_000, 316_228, 1_000_000, 3_162_278)
PEER = "feast[duckdb]==0.67.0"
PEER_MINUTES = 15


def run() -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as folder:
        ours, entries = _speed(folder)
        entries += _duckdb_store(folder, ours)
        entries += _default_store(folder)
        entries += _growth(folder)
        entries += _memory(folder)
    return entries


def _speed(folder: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    data = _data(folder, ROWS, ROWS)
    best: dict[str, dict[str, Any]] = {}
    for turn in range(TURNS):
        for what in ("bare", "path", "pandas"):
            _say(f"{what}, turn {turn + 1}")
            measured = _apart(what, data, VIEWS)
            best[what] = min(best.get(what, measured), measured, key=lambda each: each["cpu"])
    if len({each["digest"] for each in best.values()}) != 1:
        raise AssertionError(f"the answers differ: {best}")
    bare = best["bare"]["cpu"]
    forms = {"path": "a Parquet path", "pandas": "a pandas frame"}
    return best["path"], [
        {
            "name": f"point in time: {ROWS:,} entity rows as {form} to {VIEWS} views of {ROWS:,}",
            "ours": best[what]["cpu"], "peer": bare, "limit": None, "ratio": best[what]["cpu"] / bare,
            "goal": CPU_LIMIT, "met": best[what]["cpu"] <= CPU_LIMIT * bare, "unit": "CPU s",
            "note": f"peer: a bare polars script of join_asof; the same answers; peak {best[what]['peak']:.2f} GiB "
            f"against {best['bare']['peak']:.2f}, imports included",
        }
        for what, form in forms.items()
    ]  # fmt: skip


def _duckdb_store(folder: str, ours: dict[str, Any]) -> list[dict[str, Any]]:
    name = f"point in time: against Feast's DuckDB store, {ROWS:,} entity rows to {VIEWS} views"
    entry = {"name": name, "ours": ours["cpu"], "peer": None, "limit": None, "unit": "CPU s", "goal": 1 / PEER_GOAL}
    try:
        python = _peer_python()
        _say("Feast's DuckDB store, which takes minutes")
        peer = _apart("duckdb", _data(folder, ROWS, ROWS), VIEWS, python)
    except (OSError, subprocess.SubprocessError, RuntimeError) as error:
        return [
            {
                **entry,
                "ratio": None,
                "met": None,
                "note": f"not compared within {PEER_GIB} GiB: {str(error).splitlines()[-1]}",
            }
        ]
    ratio, same = ours["cpu"] / peer["cpu"], "the same answers" if ours["digest"] == peer["digest"] else "OTHER ANSWERS"
    note = f"{1 / ratio:.0f} times less; {same}; its peak {peer['peak']:.1f} GiB; once, not in turns; "
    note += f"its cost grows with the rows of a key, here {ROWS // KEYS}"
    return [{**entry, "peer": peer["cpu"], "ratio": ratio, "met": ratio <= 1 / PEER_GOAL, "note": note}]


def _default_store(folder: str) -> list[dict[str, Any]]:
    name = f"point in time: against Feast's default store, {FEW:,} entity rows to 1 view of {ROWS:,}"
    entry = {"name": name, "limit": None, "goal": 1.0, "unit": "CPU s"}
    _say("Feast's default store")
    ours = _apart("path", _data(folder, ROWS, FEW), 1)
    try:
        peer = _apart("dask", _data(folder, ROWS, FEW), 1)
    except (subprocess.SubprocessError, RuntimeError) as error:
        why = f"not compared within {PEER_GIB} GiB: {str(error).splitlines()[-1]}"
        return [{**entry, "ours": ours["cpu"], "peer": None, "ratio": None, "met": None, "note": why}]
    ratio = ours["cpu"] / peer["cpu"]
    note = (
        f"{1 / ratio:.0f} times less; it keeps {peer['rows']:,} of {ours['rows']:,} rows; peak {peer['peak']:.1f} GiB"
    )
    return [{**entry, "ours": ours["cpu"], "peer": peer["cpu"], "ratio": ratio, "met": ratio <= 1.0, "note": note}]


def _growth(folder: str) -> list[dict[str, Any]]:
    curve: dict[int, float] = {}
    for _turn in range(TURNS):
        for rows in GROWTH:
            _say(f"growth, {rows:,} rows")
            curve[rows] = min(curve.get(rows, math.inf), _apart("path", _data(folder, rows, rows), 1)["cpu"])
    unit = {rows: cpu / (rows * math.log2(rows)) for rows, cpu in curve.items()}
    spread = max(unit.values()) / min(unit.values())
    points = ", ".join(f"{rows:,}: {cpu:.2f} s" for rows, cpu in curve.items())
    return [
        {
            "name": f"point in time: growth of CPU / (n log n) from {GROWTH[0]:,} to {GROWTH[-1]:,} rows on each side",
            "ours": spread, "peer": None, "limit": GROWTH_LIMIT, "ratio": spread / GROWTH_LIMIT,
            "goal": 1.0, "met": spread <= GROWTH_LIMIT, "unit": "largest/smallest", "note": points,
        }
    ]  # fmt: skip


def _memory(folder: str) -> list[dict[str, Any]]:
    entries = []
    for features in (ROWS, MANY):
        data = _data(folder, features, MANY)
        for what in ("path", "persist"):
            _say(f"memory, {what}, {MANY:,} entity rows to views of {features:,}")
            peak = _apart(what, data, VIEWS)
            to = "to_arrow" if what == "path" else "persist"
            entries.append(
                {
                    "name": f"point in time: peak memory of {to}, {MANY:,} rows to {VIEWS} views of {features:,}",
                    "ours": peak["peak"], "peer": None, "limit": MEMORY_LIMIT, "ratio": peak["peak"] / MEMORY_LIMIT,
                    "goal": 1.0, "met": peak["peak"] < MEMORY_LIMIT, "unit": "GiB",
                    "note": f"the whole process; {peak['cpu']:.1f} CPU s"
                    + (f"; the result alone is {peak['size']:.2f} GiB" if "size" in peak else ""),
                }
            )  # fmt: skip
    return entries


def _say(what: str) -> None:
    print(f"  {what}", flush=True)


def _data(folder: str, features: int, entities: int) -> Path:
    """The folder of one data set, made when it is first asked for."""
    target = Path(folder) / f"{features}-{entities}"
    if not target.exists():
        _apart("generate", target, VIEWS, sys.executable, str(features), str(entities))
    return target


def _apart(what: str, data: Path, views: int, python: str = sys.executable, *more: str) -> dict[str, Any]:
    command = [python, str(RETRIEVALS), what, str(data), str(views), *more]
    environment = {**os.environ, "PYTHONPATH": str(RETRIEVALS.parents[1])}
    limit = PEER_MINUTES * 60
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=limit, check=False)
    if done.returncode:
        raise RuntimeError(f"{what} failed:\n{done.stderr.strip() or f'exit {done.returncode}'}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    if found:
        _say(f"{what}: {found['cpu']:.2f} CPU s, {found['peak']:.2f} GiB")
    return found


def _peer_python() -> str:
    """An environment with Feast's DuckDB store, which needs ibis, kept from one run to the next."""
    folder = Path.home() / ".cache" / "evergreen" / "feast-duckdb-0.67.0"
    python = folder / "bin" / "python"
    ready = folder / "ready"
    if not ready.exists():
        _say(f"installing {PEER}")
        uv = str(Path(sys.executable).with_name("uv"))
        for command in (
            ["venv", "--clear", "--python", sys.executable, str(folder)],
            ["pip", "install", "--python", str(python), PEER],
        ):
            subprocess.run([uv, *command], capture_output=True, text=True, check=True)
        ready.touch()
    return str(python)
