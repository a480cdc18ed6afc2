"""What do features cost online: a million keys brought in, and looked up again?

CPU seconds of the writing process (Redis works beside it) and its peak memory, each in a process of its own. The peers
are Feast's own SQLite and Redis stores under ``FeatureStore.materialize`` and ``get_online_features``, over the same
Parquet file and the same offline store. They take a tenth of the keys, since they need minutes and gigabytes for all.
Lookups: a service of three views with ten features each, by key, one entity and a hundred.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl

from include.settings import get_settings
from tests.redis_server import INSTALLED, MISSING, redis_server

LIBRARIES = ("feast", "redis", "polars", "msgspec")
KEYS, PEER_KEYS = 1_000_000, 100_000
VIEWS = ("first", "second", "third")
TURNS = 5
READS = {1: 400, 100: 40}

USE_CASE = """\
name: shops
title: Shops
description: For the benchmark.
owners: [benchmark]
task: regression
entity: {view: first, key: [shop]}
label: {name: sales, delay: 1d}
gate:
  limits: {mae: {max: 1}}
  champion: {metric: mae}
monitoring: {quality: {metric: mae, tolerance: 0.1}}
"""
DEFINITIONS = """\
import os
from datetime import timedelta
from feast import Entity, FeatureService, FeatureView, Field, FileSource, ValueType
from feast.types import Float64, Int64, String
from include.settings import get_settings

TEXT = {"description": "For the benchmark.", "owner": "benchmark", "tags": {"use": "benchmark"}}
shop = Entity(name="shop", join_keys=["shop"], value_type=ValueType.STRING, **TEXT)
types = [Int64, String, *[Float64] * 8]


def view(name):
    schema = [
        Field(name=f"{name}_{number}", dtype=each, description="A feature.", tags={"use": "benchmark"})
        for number, each in enumerate(types)
    ]
    source = FileSource(
        name=f"shops_{name}",
        path=str(get_settings().offline_store / "shops" / name),
        timestamp_field="event_timestamp",
        created_timestamp_column="created_timestamp",
    )
    return FeatureView(name=name, entities=[shop], ttl=timedelta(days=2), schema=schema, source=source, **TEXT)


views = [view(name) for name in os.environ["SHOPS_VIEWS"].split()]
globals().update({each.name: each for each in views})
service = FeatureService(name="shops", features=views, **TEXT)
"""


def prepare(home: Path, views: tuple[str, ...], keys: int) -> None:
    """The use case with one computed partition, the day that ended last."""
    folder = home / "use_cases" / "shops"
    folder.mkdir(parents=True)
    (folder / "use_case.yaml").write_text(USE_CASE)
    (folder / "feature_definitions.py").write_text(DEFINITIONS)
    (folder / "features.py").write_text("")
    midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    for view in views:
        number = pl.int_range(keys, dtype=pl.Int64)
        at = pl.lit(midnight).dt.cast_time_unit("us")
        values = [(number * factor % 99_991 / 7).alias(f"{view}_{factor}") for factor in range(2, 10)]
        shop, text = pl.format("shop-{}", number).alias("shop"), pl.format("kind {}", number % 50).alias(f"{view}_1")
        frame = pl.select(shop, (number % 1000).alias(f"{view}_0"), text, *values)
        file = home / "features" / "offline" / "shops" / view / f"{midnight.date() - timedelta(days=1)}.parquet"
        file.parent.mkdir(parents=True)
        frame.with_columns(event_timestamp=at, created_timestamp=at).write_parquet(file)


def stock_store(online: dict[str, Any]) -> Any:
    """The same definitions in a feature store whose online store is Feast's own."""
    from feast import FeatureStore, RepoConfig

    from include.contract.loading import load_use_case
    from include.features.store import definitions

    home = get_settings().home
    config = RepoConfig(
        project="stock",
        provider="local",
        registry=str(home / "stock.db"),
        offline_store={"type": "include.features.offline.store.PolarsOfflineStore"},
        online_store=online,
        materialization={"pull_latest_features": True, "online_write_batch_size": 5000},
        entity_key_serialization_version=3,
    )
    store = FeatureStore(config=config)
    store.apply(definitions(load_use_case("shops")))
    return store


def stock_config() -> dict[str, Any]:
    url = get_settings().redis
    if url:
        return {"type": "redis", "connection_string": url.removeprefix("redis://").replace("/0", ",db=0")}
    return {"type": "sqlite", "path": str(get_settings().home / "stock_online.db")}


def write_ours() -> Callable[[], object]:
    from include.contract.loading import load_use_case
    from include.features import store
    from include.features.compute import computed
    from include.features.materialize import materialize

    store.apply()
    use_case = load_use_case("shops")
    return lambda: materialize(use_case, computed(use_case, VIEWS[0]))


def write_stock() -> Callable[[], object]:
    store = stock_store(stock_config())
    now = datetime.now(UTC)
    return lambda: store.materialize(now - timedelta(days=2), now)


def lookups() -> dict[str, Callable[[int], object]]:
    """Reads of a number of entities: ours and Feast's, each of what it has written."""
    from include.contract.loading import load_use_case
    from include.serving.online_features import OnlineFeatures

    write_ours()()
    write_stock()()
    ours, stock = OnlineFeatures(load_use_case("shops").config), stock_store(stock_config())
    service = stock.get_feature_service("shops")

    def entities(count: int) -> list[dict[str, Any]]:
        return [{"shop": f"shop-{number}"} for number in range(0, count * 97, 97)]

    def of_feast(count: int) -> dict[str, list[Any]]:
        return dict(stock.get_online_features(service, entities(count)).to_dict())

    expected = of_feast(100)
    rows = ours.rows(entities(100))
    if {name: [row.values[name] for row in rows] for name in ours.features} != {n: expected[n] for n in ours.features}:
        raise AssertionError("the two stores do not answer alike")
    return {"ours": lambda count: ours.rows(entities(count)), "feast": of_feast}


def measure_reads() -> dict[str, float]:
    """CPU milliseconds of a lookup, best of turns taken in alternation."""
    readers = lookups()
    best: dict[str, float] = {}
    for _ in range(TURNS):
        for count, repeats in READS.items():
            for name, read in readers.items():
                start = time.process_time()
                for _ in range(repeats):
                    read(count)
                spent = (time.process_time() - start) / repeats * 1000
                key = f"{name} {count}"
                best[key] = min(best.get(key, spent), spent)
    return best


def child(task: str) -> None:
    """One measurement, in a process of its own; prints it as JSON."""
    if task == "read":
        print(json.dumps(measure_reads()))
        return
    work = {"ours": write_ours, "feast": write_stock}[task]()
    before, start = time.process_time(), time.perf_counter()
    work()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(json.dumps({"cpu": time.process_time() - before, "wall": time.perf_counter() - start, "gib": peak}))


def run_child(task: str, views: tuple[str, ...], keys: int, redis_url: str) -> dict[str, float]:
    print(f"  {task}, {keys:,} keys, {'Redis' if redis_url else 'SQLite'}", file=sys.stderr, flush=True)
    with tempfile.TemporaryDirectory() as folder:
        prepare(Path(folder), views, keys)
        if redis_url:
            import redis

            redis.Redis.from_url(redis_url).flushall()
        env = {
            **os.environ,
            "EVERGREEN_HOME": folder,
            "EVERGREEN_USE_CASE_PATHS": str(Path(folder) / "use_cases"),
            "EVERGREEN_REDIS": redis_url,
            "SHOPS_VIEWS": " ".join(views),
        }
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.online_store", task], env=env, check=True, capture_output=True, text=True
        )
        answer: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
        return answer


def entries_of(store: str, redis_url: str) -> list[dict[str, Any]]:
    one = VIEWS[:1]
    full = run_child("ours", one, KEYS, redis_url)
    ours, feast = run_child("ours", one, PEER_KEYS, redis_url), run_child("feast", one, PEER_KEYS, redis_url)
    reads = run_child("read", VIEWS, 20_000, redis_url)
    ratio = feast["cpu"] / ours["cpu"]
    entries: list[dict[str, Any]] = [
        {
            "name": f"{store}: bring {PEER_KEYS:,} keys online, 10 features",
            "ours": round(ours["cpu"], 2), "peer": round(feast["cpu"], 2), "ratio": round(ratio, 1), "unit": "CPU s",
            "goal": 5, "met": ratio >= 5, "note": "peer: feast materialize into its own store",
        },
        {
            "name": f"{store}: bring {KEYS:,} keys online, peak memory",
            "ours": round(full["gib"], 2), "limit": 4, "unit": "GiB", "met": full["gib"] <= 4,
            "note": f"{full['cpu']:.1f} CPU s, {full['wall']:.1f} s; the peer held {feast['gib']:.2f} GiB for a tenth",
        },
    ]  # fmt: skip
    for count in READS:
        ours_ms, feast_ms = reads[f"ours {count}"], reads[f"feast {count}"]
        entries.append(
            {
                "name": f"{store}: look up {count} entities, 30 features of 3 views",
                "ours": round(ours_ms, 3),
                "peer": round(feast_ms, 3),
                "ratio": round(feast_ms / ours_ms, 1),
                "unit": "CPU ms",
                "goal": 5,
                "met": feast_ms / ours_ms >= 5,
                "note": "peer: get_online_features(...).to_dict()",
            }
        )
    return entries


def run() -> list[dict[str, Any]]:
    entries = entries_of("SQLite", "")
    if not INSTALLED:
        print(f"  without Redis: {MISSING}", file=sys.stderr)
        return entries
    with tempfile.TemporaryDirectory() as folder, redis_server(Path(folder)) as url:
        return entries + entries_of("Redis", url)


if __name__ == "__main__":
    child(sys.argv[1])
