"""The weather and the price of the day; what was sold is known the day after."""

import polars as pl

from include.contract.authoring import Window

STAMPED = pl.col("closed_at").alias("event_timestamp")


def views(window: Window) -> dict[str, pl.DataFrame]:
    return {"kiosk_day": window.table("kiosks").select("kiosk", STAMPED, "temperature", "price")}


def labels(window: Window) -> pl.DataFrame:
    return window.table("kiosks", partitions=2).select("kiosk", STAMPED, "sold")
