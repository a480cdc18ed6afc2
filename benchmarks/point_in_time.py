"""Historical features through Feast: our store against the bare join in its engine, and against Feast's own stores.

Each measurement is a process of its own with one thread; CPU is user and system time around the retrieval,
imports left out. Where stores answer the same request their results are compared by digest.
"""

from __future__ import annotations

import importlib
import json
import math
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

LIBRARIES = ("feast", "polars", "pyarrow")
HERE = Path(__file__).resolve()
VIEWS, FEATURES = 3, 4
KEYS = 10_000  # 100 values of each: a quarter of a year by day
KEYS_OF = (["tail"], ["carrier"], ["tail", "carrier"])  # of each view: a number, a text, both
SPAN_US = 365 * 86_400 * 1_000_000
ROWS = 1_000_000
FEW = 100_000
MANY = 10_000_000
TURNS = 3
CPU_LIMIT, MEMORY_LIMIT, GROWTH_LIMIT, PEER_GOAL = 1.3, 4.0, 2.0, 50.0
GROWTH = (100_000, 316_228, 1_000_000, 3_162_278)
PEERS = ("duckdb", "dask")
PEER = "feast[duckdb]==0.67.0"
PEER_MINUTES = 15
PEER_GIB = 14  # of a peer's address space: unlimited, it may take all memory of the machine


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
    command = [python, str(HERE), what, str(data), str(views), *more]
    environment = {**os.environ, "PYTHONPATH": str(HERE.parents[1])}
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


def generate(data: Path, features: int, entities: int) -> None:
    """Event times over a year, created up to an hour later; no two rows of a key at one time."""
    import numpy as np
    import polars as pl

    data.mkdir(parents=True)
    random = np.random.default_rng(features + entities)
    time_type = pl.Datetime("us", "UTC")
    for view in range(VIEWS):
        event, key = random.permutation(SPAN_US // features * np.arange(features)), random.integers(0, KEYS, features)
        frame = pl.DataFrame({
            "tail": key,
            "carrier": "K" + pl.Series(key).cast(pl.String),
            "event": pl.Series(event).cast(time_type),
            "created": pl.Series(event + random.integers(0, 3_600_000_000, features)).cast(time_type),
            **{name: random.normal(size=features) for name in _features(view)},
        })  # fmt: skip
        frame.write_parquet(data / f"view{view}.parquet")
    key = random.integers(0, KEYS, entities)
    frame = pl.DataFrame({
        "id": np.arange(entities),
        "tail": key,
        "carrier": "K" + pl.Series(key).cast(pl.String),
        "event_timestamp": pl.Series(random.integers(0, SPAN_US, entities)).cast(time_type),
        "label": random.integers(0, 2, entities),
    })  # fmt: skip
    frame.write_parquet(data / "entities.parquet")


def _features(view: int) -> list[str]:
    return [f"v{view}_{i}" for i in range(FEATURES)]


def bare(data: Path, views: int) -> Any:
    """The join that a script would make: of each view the columns it needs, sorted, and join_asof."""
    import polars as pl

    rows = pl.read_parquet(data / "entities.parquet").with_row_index("row").sort("event_timestamp")
    for view in range(views):
        keys = KEYS_OF[view]
        features = pl.read_parquet(data / f"view{view}.parquet", columns=[*keys, "event", *_features(view)])
        rows = rows.join_asof(
            features.sort("event"), left_on="event_timestamp", right_on="event", by=keys, check_sortedness=False
        ).drop("event", strict=False)
    return rows.sort("row").drop("row").to_arrow()


def store(folder: str, data: Path, kind: str, views: int) -> Any:
    """A Feast feature store over the generated files."""
    from datetime import timedelta

    from feast import Entity, FeatureStore, FeatureView, Field, FileSource, RepoConfig, ValueType
    from feast.types import Float64, Int64, String

    config = RepoConfig(
        project="benchmark", provider="local", registry=f"{folder}/registry.db", online_store=None,
        offline_store={"type": kind}, entity_key_serialization_version=3, repo_path=Path(folder),
    )  # fmt: skip
    tail = Entity(name="tail", join_keys=["tail"], value_type=ValueType.INT64)
    carrier = Entity(name="carrier", join_keys=["carrier"], value_type=ValueType.STRING)
    types = {"tail": Int64, "carrier": String}
    made = FeatureStore(config=config)
    made.apply([tail, carrier])
    for view in range(views):
        keys = [Field(name=key, dtype=types[key]) for key in KEYS_OF[view]]
        source = FileSource(name=f"source{view}", path=str(data / f"view{view}.parquet"), timestamp_field="event")
        made.apply(
            FeatureView(
                name=f"view{view}", entities=[entity for entity in (tail, carrier) if entity.name in KEYS_OF[view]],
                ttl=timedelta(0), schema=keys + [Field(name=name, dtype=Float64) for name in _features(view)],
                source=source,
            )
        )  # fmt: skip
    return made


def retrieve(what: str, data: Path, views: int) -> dict[str, Any]:
    """CPU seconds, peak GiB of the process and digest of one retrieval."""
    import pandas as pd
    from feast.infra.offline_stores.file_source import SavedDatasetFileStorage

    ours = "include.features.offline.store.PolarsOfflineStore"
    if what in PEERS:
        resource.setrlimit(resource.RLIMIT_AS, (PEER_GIB * 1024**3, PEER_GIB * 1024**3))
    entities: Any = str(data / "entities.parquet")
    refs = [f"view{view}:{name}" for view in range(views) for name in _features(view)]
    with tempfile.TemporaryDirectory() as folder:
        made = store(folder, data, what if what in PEERS else ours, views)
        if what not in ("path", "persist"):
            entities = pd.read_parquet(entities)
        started = time.process_time()
        job = made.get_historical_features(entities, refs)
        if what == "persist":
            job.persist(SavedDatasetFileStorage(path=f"{folder}/saved"))
        table = None if what == "persist" else job.to_arrow()
        return _measured(started, table, views)


def _measured(started: float, table: Any, views: int) -> dict[str, Any]:
    cpu = time.process_time() - started
    measured: dict[str, Any] = {"cpu": cpu, "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2}
    if table is not None:
        measured |= {"rows": table.num_rows, "size": table.nbytes / 1024**3}
        if table.num_rows <= ROWS:
            measured["digest"] = _digest(table, views)
    return measured


def _digest(table: Any, views: int) -> str:
    import hashlib

    digest = hashlib.sha256()
    ordered = table.sort_by("id")
    for name in ["id", "label", *(name for view in range(views) for name in _features(view))]:
        digest.update(ordered[name].to_numpy().tobytes())
    return digest.hexdigest()


def main() -> None:
    what, data, views, *more = sys.argv[1:]
    measured: dict[str, Any] = {}
    if what == "generate":
        generate(Path(data), *map(int, more))
    elif what == "bare":
        importlib.import_module("polars")
        started = time.process_time()
        measured = _measured(started, bare(Path(data), int(views)), int(views))
    else:
        measured = retrieve(what, Path(data), int(views))
    sys.stdout.write("\n" + json.dumps(measured) + "\n")


if __name__ == "__main__":
    main()
