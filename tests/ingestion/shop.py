"""A small use case: the orders of a day, delivered as one file."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import UTC
from pathlib import Path
from typing import Any

import polars as pl

from include.contract.loading import Folder
from include.contract.partitions import Calendar, Partition
from include.files import read_json
from include.ingestion import ingest, landing, versions
from include.ingestion.batch import RECORD
from include.settings import get_settings

CONFIG = """\
name: shop
title: Price of an order
description: Daily orders.
owners: [tests]
task: regression
cadence: daily
timezone: {timezone}
history: 3
entity: {{view: orders, key: [id]}}
label: {{name: price, delay: 1d}}
gate:
  limits: {{rmse: {{max: 100.0}}}}
  champion: {{metric: mae}}
monitoring:
  quality: {{metric: mae, tolerance: 1.0}}
"""
SOURCE = '''\
"""The file of a day."""

import polars as pl

from include.contract.authoring import NotThereYet
from include.settings import get_settings


def read(partition):
    folder = get_settings().home / "source"
    parquet, csv = folder / f"{partition.key}.parquet", folder / f"{partition.key}.csv"
    if parquet.exists():
        return {"orders": pl.scan_parquet(parquet)}
    if csv.exists():
        return {"orders": pl.scan_csv(csv).with_columns(pl.col("at").str.to_datetime(time_zone="UTC"))}
    raise NotThereYet(f"{partition.key} is not in {folder}")
'''
EXPECTATIONS = '''\
"""What must hold of the orders."""

import great_expectations.expectations as gxe

BATCH, ROW, WARN = ({"severity": severity} for severity in ("batch", "row", "warn"))


def suites(batch):
    start, end = batch.partition.start, batch.partition.cutoff
    return {
        "orders": [
            gxe.ExpectColumnValuesToBeUnique(column="id", meta=BATCH),
            gxe.ExpectCompoundColumnsToBeUnique(column_list=["shop", "at"], meta=BATCH),
            gxe.ExpectTableRowCountToBeBetween(max_value=1_000_000, meta=BATCH),
            gxe.ExpectColumnValuesToNotBeNull(column="id", meta=ROW),
            gxe.ExpectColumnValuesToBeBetween(column="price", min_value=0, max_value=10_000, meta=ROW),
            gxe.ExpectColumnValuesToBeBetween(column="at", min_value=start, max_value=end, strict_max=True, meta=ROW),
            gxe.ExpectTableRowCountToBeBetween(min_value=10, meta=WARN),
        ]
    }
'''
KEYS = [f"2013-01-{day:02}" for day in range(1, 29)]


def write(folder: Path, timezone: str = "UTC") -> None:
    """The use case in a folder of use cases."""
    place = folder / "shop"
    place.mkdir(parents=True, exist_ok=True)
    files = {"use_case.yaml": CONFIG.format(timezone=timezone), "source.py": SOURCE, "expectations.py": EXPECTATIONS}
    for name, text in files.items():
        (place / name).write_text(text, encoding="utf-8")


def with_settings(use_case: Folder, **settings: Any) -> Folder:
    """The use case with other settings of its ingestion."""
    ingestion = use_case.config.ingestion.model_copy(update=settings)
    return Folder(use_case.path, use_case.config.model_copy(update={"ingestion": ingestion}))


def orders(key: str, rows: int = 60, timezone: str = "UTC") -> pl.DataFrame:
    """Ordinary orders of a day, the same at each call."""
    day, draw = Calendar("daily", timezone).partition(key), random.Random(key)
    start = day.start.astimezone(UTC)
    step = (day.cutoff - start) / max(rows, 1)
    return pl.DataFrame(
        {
            "id": [f"{key}/{row}" for row in range(rows)],
            "at": [start + row * step for row in range(rows)],
            "price": [round(draw.lognormvariate(3, 0.6), 2) for _ in range(rows)],
            "amount": [draw.randint(1, 9) for _ in range(rows)],
            "shop": [draw.choice(["north", "south"]) for _ in range(rows)],
        },
        schema={"id": pl.String, "at": pl.Datetime("us", "UTC"), "price": pl.Float64}
        | {"amount": pl.Int64, "shop": pl.String},
    )


def source(key: str, kind: str = "parquet") -> Path:
    folder = get_settings().home / "source"
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{key}.{kind}"


def deliver(key: str, frame: pl.DataFrame | None = None) -> Path:
    """Put a day's orders, ordinary ones if none are given, where the source finds them."""
    path = source(key)
    (orders(key) if frame is None else frame).write_parquet(path)
    return path


def days(use_case: Folder, keys: Sequence[str]) -> list[Partition]:
    return [use_case.config.calendar.partition(key) for key in keys]


def examine(use_case: Folder, *keys: str, accept_changes: bool = False) -> dict[str, int]:
    """Land and check: the number of refused rows by reason."""
    landing.land(use_case, days(use_case, keys))
    return ingest.check(use_case, days(use_case, keys), accept_changes=accept_changes)


def bring_in(use_case: Folder, *keys: str, accept_changes: bool = False) -> ingest.Ingested:
    examine(use_case, *keys, accept_changes=accept_changes)
    return ingest.publish(use_case, days(use_case, keys), origin="test")


def published(key: str) -> pl.DataFrame:
    return pl.read_parquet(versions.files("shop", versions.head(), [key])[key]["orders.parquet"])


def record(key: str) -> dict[str, Any]:
    content: dict[str, Any] = read_json(versions.files("shop", versions.head(), [key])[key][RECORD])
    return content
