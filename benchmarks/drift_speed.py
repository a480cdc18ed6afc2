"""What does a comparison of 1,000,000 rows x 30 and of 10,000,000 x 10 cost, both samples together?

The limit is the CPU of reading both samples from Parquet, a column at a time, and sorting them. Ours reads the stored
profile of the reference and the current sample only; the profile is made once, when the model is trained. Each
measurement is a process of its own with one thread, imports left out. Evidently's default report on the smaller pair,
in an environment of its own.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from benchmarks.drift_samples import evidently, frame
from benchmarks.peers.environments import NotInstalledError, install
from include.settings import Settings

LIBRARIES = ("numpy", "polars", "scipy")
SIZES = ((1_000_000, 30), (10_000_000, 10))  # rows of both samples, columns
GROUP = 65_536  # rows of a row group
MEMORY = 0.25  # of Evidently's
BOUND = 600  # MiB, for the larger pair


def run() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for rows, columns in SIZES:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            files = [folder / "reference.parquet", folder / "current.parquet"]
            _apart("generate", folder, str(rows // 2), str(columns))
            _apart("profile", folder)
            sort, ours = _apart("sort", folder), _apart("compare", folder)
            found += entries(f"{rows:,} x {columns}", ours, sort, _evidently(files) if columns == 30 else None)
    return found


def entries(
    what: str, ours: dict[str, float], sort: dict[str, float], peer: dict[str, float] | None
) -> list[dict[str, Any]]:
    ratio = ours["cpu"] / sort["cpu"]
    rows = [
        {
            "name": f"drift: {what}, both samples, with the stored profile", "ours": ours["cpu"], "limit": sort["cpu"],
            "ratio": ratio, "goal": 1.0, "met": ratio <= 1, "unit": "CPU s",
            "note": "limit: reading and sorting both samples",
        },
    ]  # fmt: skip
    if peer is None:
        limit: dict[str, Any] = {"limit": BOUND, "goal": f"at most {BOUND}", "met": ours["peak"] <= BOUND}
        return [*rows, {"name": f"drift: {what}, peak memory", "ours": ours["peak"], **limit, "unit": "MiB"}]
    shares = {key: ours[key] / peer[key] for key in ("cpu", "peak")}
    return [
        *rows,
        {
            "name": f"drift: {what}, peer: Evidently's defaults", "ours": ours["cpu"], "peer": peer["cpu"],
            "ratio": shares["cpu"], "goal": "", "met": None, "unit": "CPU s",
        },
        {
            "name": f"drift: {what}, peak memory, peer: Evidently's defaults", "ours": ours["peak"],
            "peer": peer["peak"], "ratio": shares["peak"], "goal": MEMORY, "met": shares["peak"] <= MEMORY,
            "unit": "MiB",
        },
    ]  # fmt: skip


def _evidently(files: list[Path]) -> dict[str, float] | None:
    try:
        environment = install("evidently", Settings().home.resolve())
    except NotInstalledError as error:
        print(f"  without {error}", file=sys.stderr, flush=True)
        return None
    (found,) = evidently(environment, files)
    return found


def _apart(what: str, folder: Path, *arguments: str) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.drift_speed", what, str(folder), *arguments]
    answer = subprocess.run(command, cwd=Path(__file__).parents[1], capture_output=True, text=True, check=False)
    if answer.returncode:
        raise RuntimeError(f"{what} failed:\n{answer.stderr}")
    found: dict[str, float] = json.loads(answer.stdout.splitlines()[-1])
    return found


def generate(folder: Path, rows: int, columns: int) -> None:
    for number, name in enumerate(("reference", "current")):
        drawn = frame(np.random.default_rng(number), rows, columns=columns)
        drawn.with_columns(pl.selectors.enum().cast(pl.String)).write_parquet(
            folder / f"{name}.parquet", row_group_size=GROUP
        )


def sort(folder: Path) -> None:
    for name in ("reference", "current"):
        plan = pl.scan_parquet(folder / f"{name}.parquet")
        for column in plan.collect_schema().names():
            values = plan.select(column).collect().to_series()
            if values.dtype.is_numeric():
                np.sort(values.to_numpy())
            else:
                values.sort()


def profile(folder: Path) -> None:
    from include.files import write_json
    from include.monitoring.reference import ReferenceProfile

    found = ReferenceProfile.of(pl.scan_parquet(folder / "reference.parquet"))
    write_json(folder / "reference.json", found.to_dict())


def compare(folder: Path) -> None:
    from include.contract.monitoring import DriftConfig
    from include.files import read_json
    from include.monitoring import drift
    from include.monitoring.reference import ReferenceProfile

    known = ReferenceProfile.from_dict(read_json(folder / "reference.json"))
    found = drift.compare(known, pl.scan_parquet(folder / "current.parquet"), DriftConfig())
    if found.drifted:
        raise AssertionError(f"a false alarm: {found.drifted}")


def main() -> None:
    what, folder, *numbers = sys.argv[1], Path(sys.argv[2]), *map(int, sys.argv[3:])
    if what == "compare":
        import scipy.stats  # noqa: F401 - imports are left out

        import include.monitoring.drift  # noqa: F401
    started = time.process_time()
    globals()[what](folder, *numbers)
    cpu, used = time.process_time() - started, resource.getrusage(resource.RUSAGE_SELF)
    sys.stdout.write(json.dumps({"cpu": cpu, "peak": used.ru_maxrss / 1024}) + "\n")


if __name__ == "__main__":
    main()
