"""Runs the benchmarks: ``python -m benchmarks [NAME]``.

A benchmark is a module of this folder with ``run()``: a list of entries with ``name``, ``ours``, ``peer`` and/or
``limit``, ``ratio``, ``goal``, ``met``, ``unit`` and perhaps ``note``. Each runs in a process of its own, one numeric
thread wide, and is measured against its peer in the same run. ``results.json`` keeps what was last measured.
"""

from __future__ import annotations

import argparse
import ast
import importlib
import importlib.metadata
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil

FOLDER = Path(__file__).resolve().parent
RESULTS = FOLDER / "results.json"
ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "POLARS_MAX_THREADS", "NUMBA_NUM_THREADS"), "1"
)
COLUMNS = {"name": "benchmark", "ours": "ours", "peer": "peer", "limit": "limit", "ratio": "ratio", "unit": "unit"}


def discover() -> list[str]:
    """The modules of this folder that define ``run``, found without importing them."""
    return sorted(
        file.stem
        for file in FOLDER.glob("*.py")
        if any(
            isinstance(node, ast.FunctionDef) and node.name == "run" and not node.args.args
            for node in ast.parse(file.read_text(encoding="utf-8")).body
        )
    )


def measure(name: str, target: Path) -> None:
    """Runs one benchmark in this process and leaves its entries and the versions of what it used."""
    module = importlib.import_module(f"benchmarks.{name}")
    entries = module.run()
    target.write_text(json.dumps({"entries": entries, "versions": versions(module)}), encoding="utf-8")


def versions(module: Any) -> dict[str, str]:
    """Versions of the libraries that this process imported and this project asks for, and of the module's peers."""
    asked = set(getattr(module, "LIBRARIES", ()))
    for file in FOLDER.parent.glob("requirements*.in"):
        asked |= {re.split(r"[=<>\[ ;]", line)[0] for line in file.read_text(encoding="utf-8").splitlines()}
    imported = {name.partition(".")[0] for name in sys.modules}
    provided = importlib.metadata.packages_distributions()
    used = {distribution for name in imported for distribution in provided.get(name, ())}
    named = {*used & asked, *getattr(module, "LIBRARIES", ())}
    return {name: importlib.metadata.version(name) for name in sorted(named)}


def machine() -> dict[str, Any]:
    """What the numbers were measured on."""
    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        models = re.findall(r"^model name\s*:\s*(.+)$", info.read_text(encoding="utf-8"), re.MULTILINE)
        cpu = models[0] if models else cpu
    memory = round(psutil.virtual_memory().total / 1024**3)
    return {"cpu": cpu, "cores": os.cpu_count(), "memory_gib": memory, "python": platform.python_version()}


def run_apart(name: str) -> tuple[dict[str, Any] | None, float]:
    """The benchmark's result from a process of its own (nothing when it failed), and how long it took."""
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "result.json"
        command = [sys.executable, "-m", "benchmarks", name, "--to", str(target)]
        done = subprocess.run(command, cwd=FOLDER.parent, env={**os.environ, **ONE_THREAD}, check=False)
        result = json.loads(target.read_text(encoding="utf-8")) if done.returncode == 0 else None
    return result, time.monotonic() - started


def text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    return str(value)


def table(entries: list[dict[str, Any]]) -> str:
    rows = [[*COLUMNS.values(), "goal", "met"]]
    for entry in entries:
        met = {True: "yes", False: "NO"}.get(entry["met"], "")
        rows.append([*(text(entry.get(key)) for key in COLUMNS), text(entry.get("goal")), met])
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    numbers = range(1, 5)
    lines = [
        "  ".join(
            cell.rjust(width) if column in numbers else cell.ljust(width) for column, (cell, width) in cells
        ).rstrip()
        for cells in (list(enumerate(zip(row, widths, strict=True))) for row in rows)
    ]
    notes = [f"  {entry['name']}: {entry['note']}" for entry in entries if entry.get("note")]
    return "\n".join([lines[0], "-" * len(lines[0]), *lines[1:], *notes])


def save(name: str, result: dict[str, Any]) -> None:
    """Puts the newest result of one benchmark beside those of the others."""
    known = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
    known[name] = {**result, "machine": machine()}
    draft = RESULTS.with_suffix(".tmp")
    draft.write_text(json.dumps(dict(sorted(known.items())), indent=2) + "\n", encoding="utf-8")
    draft.replace(RESULTS)


def run_all(names: list[str]) -> int:
    """Runs, prints and keeps; the exit status tells whether every goal was met."""
    missed: list[str] = []
    for name in names:
        print(f"bench: {name}", flush=True)
        result, seconds = run_apart(name)
        if result is None:
            missed.append(f"{name} did not finish")
            continue
        save(name, result)
        missed += [entry["name"] for entry in result["entries"] if entry["met"] is False]
        print(f"{table(result['entries'])}\n({seconds:.0f} s)\n", flush=True)
    for problem in missed:
        print(f"bench: not met: {problem}", file=sys.stderr)
    return 1 if missed else 0


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measures the system against its peers.")
    parser.add_argument("name", nargs="?", help="only this one")
    parser.add_argument("--to", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    known = discover()
    if options.name and options.name not in known:
        parser.error(f"{options.name} is no benchmark; there are {', '.join(known)}")
    if options.to:
        measure(options.name, options.to)
        return 0
    return run_all([options.name] if options.name else known)


if __name__ == "__main__":
    raise SystemExit(main())
