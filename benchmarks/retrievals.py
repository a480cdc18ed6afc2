"""One retrieval of historical features in a process of its own, and the data that it reads.

``python benchmarks/retrievals.py WHAT DATA VIEWS`` prints its CPU seconds, the peak of its memory in GiB and the digest
of its answer as JSON. The environment of a peer runs it, too, and has nothing of this project: what is imported at the
top is of the standard library.
"""

from __future__ import annotations

import importlib
import json
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

VIEWS, FEATURES = 3, 4
KEYS = 10_000  # 100 values of each: a quarter of a year by day
KEYS_OF = (["tail"], ["carrier"], ["tail", "carrier"])  # of each view: a number, a text, both
SPAN_US = 365 * 86_400 * 1_000_000
ROWS = 1_000_000  # of a larger answer no digest is made
PEERS = ("duckdb", "dask")
PEER_GIB = 14  # of a peer's address space: unlimited, it may take all memory of the machine


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
