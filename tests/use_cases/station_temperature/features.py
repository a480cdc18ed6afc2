"""The last observation, the recent past of its station, and the temperature a day later."""

import polars as pl

from include.contract.authoring import Window

DAY = pl.duration(hours=24)


def views(window: Window) -> dict[str, pl.DataFrame]:
    weather = window.table("weather")
    month = pl.col("observed_at").dt.month()
    observation = weather.select(
        "station",
        pl.col("observed_at").alias("event_timestamp"),
        "temp",
        "dewp",
        "pressure",
        pl.col("observed_at").dt.hour().cast(pl.Int64).alias("hour"),
        pl.when(month.is_in([12, 1, 2])).then(pl.lit("winter")).otherwise(pl.lit("other")).alias("season"),
    )
    history = window.table("weather", partitions=2).group_by("station", maintain_order=True)
    return {"observation": observation, "station_history": history.agg(pl.col("temp").mean().alias("temp_mean"))}


def labels(window: Window) -> pl.DataFrame:
    measured = window.table("weather").select("station", "observed_at", pl.col("temp").alias("temperature_next_day"))
    earlier = window.table("weather", partitions=2).select(
        "station", pl.col("observed_at").alias("event_timestamp"), (pl.col("observed_at") + DAY).alias("observed_at")
    )
    return earlier.join(measured, on=["station", "observed_at"]).drop("observed_at")
