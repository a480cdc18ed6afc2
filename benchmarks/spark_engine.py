"""Features of a partition of 10,000,000 rows: embedded, against a Spark cluster of two executors on the same machine.

The point is the memory of the largest process: embedded it grows with the partition, on Spark with a part of it.
On one machine Spark can only be slower: every row is read, parted and written once more. Needs pyspark and Java.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests import spark_cluster

MISSING = spark_cluster.missing()
LIBRARIES = ("polars",) if MISSING else ("polars", "pyspark")
ROWS = int(os.environ.get("ROWS", "10_000_000"))
CUSTOMERS, SHOPS, PARTS = ROWS // 20, 5_000, 32
DAY = "2013-01-01"
VIEWS = ("purchase", "customer_history", "shop_history")
PAUSE = 0.2  # seconds between two looks at the processes
GOAL = 0.5  # of the embedded engine's memory

CONFIG = f"""\
name: purchases
title: Amount of a purchase
description: A large day.
owners: [benchmarks]
task: regression
entity: {{view: purchase, key: [purchase_id], join_keys: {{customer: buyer, shop: place}}}}
label: {{name: amount, delay: 1d}}
gate: {{limits: {{rmse: {{max: 100.0}}}}, champion: {{metric: mae}}}}
monitoring: {{quality: {{metric: mae, tolerance: 1.0}}}}
engine:
  features: ENGINE
  parts: {PARTS}
  split:
    purchase: [customer]
    purchase.shop_rank: [shop]
    customer_history: [customer]
    shop_history: [shop]
    labels: [customer]
"""
FEATURES = """\
import polars as pl


def views(window):
    rows = window.table("purchases")
    histories = {
        f"{key}_history": rows.group_by(key).agg(
            pl.len().cast(pl.Int64).alias(f"{key}_purchases"),
            pl.col("cents").mean().alias(f"{key}_mean"),
            pl.col("cents").sort_by("at").last().alias(f"{key}_last"),
        )
        for key in ("customer", "shop")
    }
    purchase = rows.sort("at", "purchase_id").select(
        "purchase_id",
        "cents",
        since_last=pl.col("at").diff().over("customer").dt.total_minutes(),
        shop_rank=pl.col("cents").rank("min").over("shop").cast(pl.Int64),
        buyer="customer",
        place="shop",
    )
    return {"purchase": purchase, **histories}


def labels(window):
    return window.table("purchases").select("purchase_id", amount="cents", event_timestamp="at")
"""
DEFINITIONS = """\
from datetime import timedelta

from feast import Entity, FeatureService, FeatureView, Field, FileSource, ValueType
from feast.types import Float64, Int64

from include.settings import get_settings

ABOUT = {"description": "For a benchmark.", "tags": {"kind": "benchmark"}}


def view(name, key, **fields):
    source = FileSource(
        name=f"purchases_{name}",
        path=str(get_settings().offline_store / "purchases" / name),
        timestamp_field="event_timestamp",
    )
    schema = [Field(name=each, dtype=kind, **ABOUT) for each, kind in fields.items()]
    return FeatureView(
        name=name, entities=[key], ttl=timedelta(days=2), schema=schema, source=source, owner="benchmarks", **ABOUT
    )


def key(name):
    return Entity(name=name, join_keys=[name], value_type=ValueType.INT64, owner="benchmarks", **ABOUT)


purchase_id, customer, shop = key("purchase_id"), key("customer"), key("shop")
purchase = view(
    "purchase", purchase_id, cents=Int64, since_last=Int64, shop_rank=Int64, buyer=Int64, place=Int64
)
customer_history = view(
    "customer_history", customer, customer_purchases=Int64, customer_mean=Float64, customer_last=Int64
)
shop_history = view("shop_history", shop, shop_purchases=Int64, shop_mean=Float64, shop_last=Int64)
service = FeatureService(name="purchases", features=[purchase, customer_history, shop_history])
"""


def run() -> list[dict[str, Any]]:
    if MISSING:
        print(f"  without Spark: {MISSING}", file=sys.stderr)
        return []
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        os.environ |= {"EVERGREEN_HOME": str(home / "home"), "EVERGREEN_USE_CASE_PATHS": str(home / "use cases")}
        _apart("publish")
        embedded = _measured("embedded")
        with spark_cluster.spark_cluster(home / "cluster", memory="1g") as address:
            os.environ["EVERGREEN_SPARK"] = address
            spark = _measured("spark")
    if embedded["found"] != spark["found"]:
        raise AssertionError(f"the features differ: {embedded['found']} and {spark['found']}")
    what = f"features of {ROWS:,} rows on Spark"
    ratio = spark["python_peak"] / embedded["python_peak"]
    return [
        {
            "name": f"{what}, largest Python process", "ours": spark["python_peak"], "peer": embedded["python_peak"],
            "limit": None, "ratio": ratio, "goal": GOAL, "met": ratio <= GOAL, "unit": "GiB",
            "note": f"peer: embedded; {PARTS} parts; the largest JVM held {spark['java_peak']:.2f}; "
            "the rows of both are the same by digest",
        },
        {
            "name": f"{what}, CPU of all processes", "ours": spark["cpu"], "peer": embedded["cpu"], "limit": None,
            "ratio": spark["cpu"] / embedded["cpu"], "goal": None, "met": None, "unit": "CPU s",
        },
        {
            "name": f"{what}, wall", "ours": spark["wall"], "peer": embedded["wall"], "limit": None,
            "ratio": spark["wall"] / embedded["wall"], "goal": None, "met": None, "unit": "s",
            "note": "two executors on the same machine as the embedded engine",
        },
    ]  # fmt: skip


def _apart(what: str) -> Any:
    command = [sys.executable, "-m", "benchmarks.spark_engine", what]
    answer = subprocess.run(command, cwd=Path(__file__).parents[1], capture_output=True, text=True, check=False)
    if answer.returncode:
        raise RuntimeError(f"{what} failed:\n{answer.stderr[-5000:]}")
    return json.loads(answer.stdout.splitlines()[-1])


def _measured(engine: str) -> dict[str, Any]:
    _write_use_case(engine)
    started = time.monotonic()
    with _watching() as seen:
        rows = _apart("compute")
    wall = time.monotonic() - started
    python = [peak for command, peak, _ in seen.values() if "java" not in command]
    java = [peak for command, peak, _ in seen.values() if "java" in command]
    return {
        "found": (rows, _apart("digest")),
        "wall": wall,
        "cpu": sum(cpu for _, _, cpu in seen.values()),
        "python_peak": max(python),
        "java_peak": max(java, default=0.0),
    }


@contextmanager
def _watching() -> Iterator[dict[int, tuple[str, float, float]]]:
    """Of each process below this one, by id: its name, its peak memory in GiB, and its CPU seconds within the block."""
    seen: dict[int, tuple[str, float, float]] = {}
    before = {pid: spent for pid, _, _, spent in _processes()}
    done = threading.Event()

    def watch() -> None:
        while not done.wait(PAUSE):
            for pid, name, memory, spent in _processes():
                peak = max(memory, seen.get(pid, ("", 0.0, 0.0))[1])
                seen[pid] = name, peak, spent - before.get(pid, 0.0)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield seen
    finally:
        done.set()
        thread.join()


def _processes() -> Iterator[tuple[int, str, float, float]]:
    """Id, name, memory in GiB and CPU seconds of each process below this one."""
    import psutil

    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.Error), process.oneshot():
            times = process.cpu_times()
            yield process.pid, process.name(), process.memory_info().rss / 1024**3, times.user + times.system


def _write_use_case(engine: str) -> None:
    folder = Path(os.environ["EVERGREEN_USE_CASE_PATHS"]) / "purchases"
    folder.mkdir(parents=True, exist_ok=True)
    config = CONFIG.replace("ENGINE", engine)
    for name, text in {
        "use_case.yaml": config, "features.py": FEATURES, "feature_definitions.py": DEFINITIONS,
    }.items():  # fmt: skip
        (folder / name).write_text(text, encoding="utf-8")


def publish() -> None:
    """One day of purchases, published as it is."""
    import numpy as np
    import polars as pl

    from include.ingestion import versions
    from include.settings import get_settings

    random = np.random.default_rng(1)
    start = datetime.fromisoformat(DAY).replace(tzinfo=UTC)
    folder = get_settings().work / "given"
    folder.mkdir(parents=True)
    frame = pl.DataFrame({
        "purchase_id": np.arange(ROWS),
        "customer": random.integers(0, CUSTOMERS, ROWS),
        "shop": random.integers(0, SHOPS, ROWS),
        "cents": random.integers(1, 100_000, ROWS),
        "second": random.integers(0, 86_400, ROWS),
        **{f"n{number}": random.integers(0, 1000, ROWS) for number in range(4)},
    })  # fmt: skip
    at = (pl.lit(start) + pl.duration(seconds=pl.col("second"))).cast(pl.Datetime("us", "UTC"))
    frame.select(pl.exclude("second"), at=at).write_parquet(folder / "purchases.parquet")
    versions.initialize()
    versions.publish("purchases", {DAY: folder}, "benchmark")


def compute() -> dict[str, int]:
    """The number of rows by view."""
    from include.contract.loading import load_use_case
    from include.features import compute
    from include.ingestion import versions

    use_case = load_use_case("purchases")
    done = compute.compute(use_case, use_case.config.calendar.parse(DAY), versions.head())
    return {**done.views, "labels": done.labels}


def digest() -> dict[str, int]:
    """One number for all rows of each view, whatever their order."""
    import polars as pl

    from include.features import compute

    files = {view: compute.view_file("purchases", view, DAY) for view in VIEWS}
    files["labels"] = compute.label_file("purchases", DAY)
    rows = {view: pl.scan_parquet(file).select(pl.struct(pl.all()).hash().sum()) for view, file in files.items()}
    return {view: frame.collect(engine="streaming").item() for view, frame in rows.items()}


if __name__ == "__main__":
    what = sys.argv[1]
    print(json.dumps({"publish": publish, "compute": compute, "digest": digest}[what]()))
