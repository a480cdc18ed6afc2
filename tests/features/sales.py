"""A use case of sales whose features look across several keys: per shop, per customer, and over all rows."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl

from include.contract.engine import EngineConfig
from include.contract.loading import Folder, load_use_case
from include.ingestion import versions
from include.settings import get_settings

CONFIG = """\
name: sales
title: Amount of a sale
description: Daily sales.
owners: [tests]
task: regression
cadence: daily
history: 3
entity: {view: sale, key: [sale_id], join_keys: {customer: buyer, region: place}}
label: {name: amount, delay: 1d}
gate:
  limits: {rmse: {max: 100.0}}
  champion: {metric: mae}
monitoring:
  quality: {metric: mae, tolerance: 1.0}
"""
FEATURES = '''\
"""Sales of a day, and of the last three."""

import polars as pl


def views(window):
    sales, shops = window.table("sales"), window.table("shops")
    recent = window.table("sales", partitions=3)
    sale = sales.join(shops, on="shop", how="left", maintain_order="left").with_columns(
        shop_sales=pl.len().over("shop").cast(pl.Int64),
        customer_sales=pl.len().over("customer").cast(pl.Int64),
        since_last=pl.col("at").diff().over("customer").dt.total_minutes(),
    )
    history = recent.group_by("customer", maintain_order=True).agg(
        customer_mean=pl.col("amount").mean(),
        customer_last=pl.col("amount").sort_by("at", maintain_order=True).last(),
    )
    region = recent.join(shops, on="shop").group_by("region").agg(region_total=pl.col("amount").sum())
    columns = ["sale_id", "amount", "shop_sales", "customer_sales", "since_last"]
    return {
        "sale": sale.select(*columns, buyer="customer", place="region"),
        "customer_history": history,
        "region_total": region,
    }


def labels(window):
    return window.table("sales").select("sale_id", "amount", event_timestamp=pl.col("at"))
'''
DEFINITIONS = '''\
"""What the feature store knows of the sales."""

from datetime import timedelta

from feast import Entity, FeatureService, FeatureView, Field, FileSource, ValueType
from feast.types import Float64, Int64, String

from include.settings import get_settings

ABOUT = {"description": "For tests.", "tags": {"kind": "test"}, "owner": "tests"}


def key(name):
    return Entity(name=name, join_keys=[name], value_type=ValueType.STRING, **ABOUT)


def view(name, entity, **fields):
    source = FileSource(
        name=f"sales_{name}", path=str(get_settings().offline_store / "sales" / name),
        timestamp_field="event_timestamp", created_timestamp_column="created_timestamp",
    )
    schema = [
        Field(name=each, dtype=kind, description="For tests.", tags={"kind": "test"}) for each, kind in fields.items()
    ]
    return FeatureView(name=name, entities=[entity], ttl=timedelta(days=9), schema=schema, source=source, **ABOUT)


sale_id, customer, region = key("sale_id"), key("customer"), key("region")
sale = view(
    "sale", sale_id, amount=Float64, shop_sales=Int64, customer_sales=Int64, since_last=Int64, buyer=String,
    place=String,
)
customer_history = view("customer_history", customer, customer_mean=Float64, customer_last=Float64)
region_total = view("region_total", region, region_total=Float64)
service = FeatureService(name="sales", features=[sale, customer_history, region_total])
'''
SALES = {
    "sale_id": pl.String, "shop": pl.String, "customer": pl.Int64, "amount": pl.Float64, "at": pl.Datetime("us", "UTC"),
}  # fmt: skip
SPLIT = {
    "sale": ("shop",),
    "sale.customer_sales": ("customer",),
    "sale.since_last": ("customer",),
    "customer_history": ("customer",),
    "region_total": (),
    "labels": ("shop", "customer"),
}
SHOPS = {f"shop {number}": "north" if number % 2 else "south" for number in range(6)}


def write(home: Path) -> Folder:
    """The use case in a folder of the home, which must be the only one that the settings name."""
    place = home / "use cases" / "sales"
    place.mkdir(parents=True, exist_ok=True)
    files = {"use_case.yaml": CONFIG, "features.py": FEATURES, "feature_definitions.py": DEFINITIONS}
    for name, text in files.items():
        (place / name).write_text(text, encoding="utf-8")
    return load_use_case("sales")


def apart(use_case: Folder, **settings: Any) -> Folder:
    """The use case as computed apart; ``settings`` of ``engine``."""
    engine = EngineConfig.model_validate({"features": "spark", "parts": 3, "split": SPLIT, **settings})
    return Folder(use_case.path, use_case.config.model_copy(update={"engine": engine}))


def publish(use_case: Folder, days: Mapping[str, Mapping[str, pl.DataFrame]]) -> str:
    """Publish raw tables by day as they are; the data revision."""
    folders = {}
    for day, tables in days.items():
        folder = get_settings().work / "given" / day
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for name, frame in tables.items():
            frame.write_parquet(folder / f"{name}.parquet")
        folders[day] = folder
    return versions.publish(use_case.config.name, folders, "test")


def shops() -> pl.DataFrame:
    return pl.DataFrame({"shop": list(SHOPS), "region": list(SHOPS.values())})
