"""What validation costs: a partition of 10,000,000 rows against one DuckDB query, and a whole small daily task.

Each measurement is a process of its own, imports included where it says so, with one thread.
"""

from __future__ import annotations

import importlib
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

LIBRARIES = ("duckdb", "duckdb-engine", "great-expectations", "polars")
ROWS = 10_000_000
FLOATS, INTEGERS, CATEGORIES, TEXTS, INSTANTS = 6, 4, 4, 2, 3
LEVELS = ["AA", "BB", "CC", "DD", "EE"]
DAY = "2013-02-12"
PAST = "2013-01-15/2013-02-11"
CPU_LIMIT, MEMORY_LIMIT = 3.0, 3.0  # times the query; GiB
TURNS = 3  # of the small ones, whose best counts: the machine's speed drifts
DAILY_LIMIT = 1.8  # times importing Great Expectations alone, 4.4 CPU s on a machine at full speed: 8 in all


def run() -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as folder:
        os.environ["EVERGREEN_HOME"] = folder
        file = Path(folder) / "rows.parquet"
        _apart("generate", str(file))
        query, suite = _apart("query", str(file)), _apart("suite", str(file))
        file.unlink()
        _apart("past")
        turns = [(_apart("daily"), _apart("import")) for _ in range(TURNS)]
        daily, imported = (min(measured, key=lambda each: each["total"]) for measured in zip(*turns, strict=True))
    ratio = suite["cpu"] / query["cpu"]
    checks = f"data validation: {suite['checks']} expectations on {ROWS:,} x 20"
    return [
        {
            "name": checks, "ours": suite["cpu"], "peer": query["cpu"], "limit": None,
            "ratio": ratio, "goal": CPU_LIMIT, "met": ratio <= CPU_LIMIT, "unit": "CPU s",
            "note": "peer: the same checks as one DuckDB query; imports left out on both sides",
        },
        {
            "name": f"{checks}, peak memory", "ours": suite["peak"], "peer": query["peak"], "limit": MEMORY_LIMIT,
            "ratio": suite["peak"] / MEMORY_LIMIT, "goal": 1.0, "met": suite["peak"] < MEMORY_LIMIT, "unit": "GiB",
        },
        {
            "name": "data validation: a day of flights, imports included", "ours": daily["total"],
            "peer": imported["total"], "limit": None, "ratio": daily["total"] / imported["total"],
            "goal": DAILY_LIMIT, "met": daily["total"] <= DAILY_LIMIT * imported["total"], "unit": "CPU s",
            "note": f"land, validate, profile, Data Docs; {daily['cpu']:.2f} of it are work, and the scheduler's tasks "
            "inherit the imports; peer: importing Great Expectations, and nothing else",
        },
    ]  # fmt: skip


def _apart(what: str, *arguments: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.data_validation", what, *arguments]
    answer = subprocess.run(command, cwd=Path(__file__).parents[1], capture_output=True, text=True, check=False)
    if answer.returncode:
        raise RuntimeError(f"{what} failed:\n{answer.stderr}")
    found: dict[str, Any] = json.loads(answer.stdout.splitlines()[-1])
    return found


def generate(file: str) -> None:
    import numpy as np
    import polars as pl

    random = np.random.default_rng(1)
    seconds = {f"at{i}": pl.Series(random.integers(0, 86_400, ROWS)) for i in range(INSTANTS)}
    frame = pl.DataFrame({
        "id": np.arange(ROWS),
        **{f"f{i}": random.normal(50, 10, ROWS) for i in range(FLOATS)},
        **{f"n{i}": random.integers(0, 1000, ROWS) for i in range(INTEGERS)},
        **{f"c{i}": np.array(LEVELS)[random.integers(0, len(LEVELS), ROWS)] for i in range(CATEGORIES)},
        **{f"t{i}": pl.Series(random.integers(0, 1_000_000, ROWS)).cast(pl.String).str.zfill(8) for i in range(TEXTS)},
        **{name: (values * 1_000_000).cast(pl.Datetime("us", "UTC")) for name, values in seconds.items()},
    })  # fmt: skip
    frame.write_parquet(file)


def expectations() -> list[Any]:
    import great_expectations.expectations as gxe

    found: list[Any] = [
        gxe.ExpectTableRowCountToBeBetween(min_value=1),
        gxe.ExpectColumnValuesToBeUnique(column="id"),
        gxe.ExpectCompoundColumnsToBeUnique(column_list=["id", "c0"]),
        gxe.ExpectColumnPairValuesAToBeGreaterThanB(column_A="f1", column_B="f2", mostly=0.3),
    ]
    for i in range(FLOATS):
        found.append(gxe.ExpectColumnValuesToBeBetween(column=f"f{i}", min_value=-50, max_value=150))
        found.append(gxe.ExpectColumnMeanToBeBetween(column=f"f{i}", min_value=40, max_value=60))
    for i in range(INTEGERS):
        found.append(gxe.ExpectColumnValuesToBeBetween(column=f"n{i}", min_value=0, max_value=999))
        found.append(gxe.ExpectColumnValuesToNotBeNull(column=f"n{i}"))
    found += [gxe.ExpectColumnValuesToBeInSet(column=f"c{i}", value_set=LEVELS) for i in range(CATEGORIES)]
    for i in range(TEXTS):
        found.append(gxe.ExpectColumnValuesToMatchRegex(column=f"t{i}", regex="^[0-9]{8}$"))
        found.append(gxe.ExpectColumnValueLengthsToEqual(column=f"t{i}", value=8))
    names = [*(f"at{i}" for i in range(INSTANTS)), *(f"f{i}" for i in range(FLOATS))]
    return found + [gxe.ExpectColumnValuesToNotBeNull(column=name) for name in names]


def one_query(file: str) -> str:
    """The same checks as a single statement."""
    levels = ", ".join(f"'{level}'" for level in LEVELS)
    parts = ["count(*)", "count(DISTINCT id)", "count(DISTINCT (id, c0))", "count(*) FILTER (WHERE NOT f1 > f2)"]
    for i in range(FLOATS):
        parts += [f"count(*) FILTER (WHERE NOT f{i} BETWEEN -50 AND 150)", f"avg(f{i})", f"count(f{i})"]
    for i in range(INTEGERS):
        parts += [f"count(*) FILTER (WHERE NOT n{i} BETWEEN 0 AND 999)", f"count(n{i})"]
    parts += [f"count(*) FILTER (WHERE c{i} NOT IN ({levels}))" for i in range(CATEGORIES)]
    for i in range(TEXTS):
        parts += [f"count(*) FILTER (WHERE NOT regexp_matches(t{i}, '^[0-9]{{8}}$'))"]
        parts += [f"count(*) FILTER (WHERE length(t{i}) <> 8)"]
    parts += [f"count(at{i})" for i in range(INSTANTS)]
    return f"SELECT {', '.join(parts)} FROM read_parquet('{file}')"


def query(file: str) -> dict[str, Any]:
    import duckdb

    started = time.process_time()
    connection = duckdb.connect()
    connection.execute("SET threads = 1")
    counts = connection.execute(one_query(file)).fetchone()
    if counts is None or counts[:3] != (ROWS, ROWS, ROWS):
        raise AssertionError(f"the query counts {counts}")
    return {"cpu": time.process_time() - started, "checks": len(counts)}


def suite(file: str) -> dict[str, Any]:
    from include.ingestion.validation import validate

    expected = expectations()
    started = time.process_time()
    found = validate("benchmark", {"rows": Path(file)}, {"rows": expected}, limit=0.1)
    if not found.success or found.warnings:
        raise AssertionError(f"the suite fails: {found.failures}")
    return {"cpu": time.process_time() - started, "checks": len(expected)}


def ingest(key: str, *, publish: bool) -> dict[str, Any]:
    from include.contract.loading import load_use_case
    from include.ingestion import ingest, landing, versions

    versions.initialize()
    use_case = load_use_case("flight_delay")
    partitions = use_case.config.calendar.parse(key)
    started = time.process_time()
    landing.land(use_case, partitions)
    ingest.check(use_case, partitions)
    if publish:
        ingest.publish(use_case, partitions, origin="benchmark")
    return {"cpu": time.process_time() - started}


def main() -> None:
    what, *arguments = sys.argv[1:]
    measured: dict[str, Any] = {}
    if what == "generate":
        generate(*arguments)
    elif what == "query":
        measured = query(*arguments)
    elif what == "import":
        importlib.import_module("great_expectations")
    elif what == "suite":
        measured = suite(*arguments)
    else:
        measured = ingest(PAST, publish=True) if what == "past" else ingest(DAY, publish=False)
    used = resource.getrusage(resource.RUSAGE_SELF)
    peak, total = used.ru_maxrss / 1024**2, used.ru_utime + used.ru_stime
    sys.stdout.write(json.dumps({**measured, "peak": peak, "total": total}) + "\n")


if __name__ == "__main__":
    main()
