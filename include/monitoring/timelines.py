"""The past in points, for the plots: by partition that was watched, and by day of events."""

from __future__ import annotations

import polars as pl

from include.monitoring.charts import HistoryPoint
from include.monitoring.numbers import newest_by_day


def windows(timeline: pl.DataFrame, metric: str) -> tuple[HistoryPoint, ...]:
    """One point a partition that was watched."""
    own = timeline.filter((pl.col("scope") == "window") & (pl.col("of") == ""))
    return _points(own, "partition", metric)


def days(timeline: pl.DataFrame, metric: str) -> tuple[HistoryPoint, ...]:
    """One point a day of events, of the newest version that predicted it, as it was measured last."""
    own = newest_by_day(timeline, "day")
    return _points(own.filter(pl.col("model_version") == pl.col("model_version").max().over("day")), "day", metric)


def _points(rows: pl.DataFrame, key: str, metric: str) -> tuple[HistoryPoint, ...]:
    points: list[HistoryPoint] = []
    for (name,), part in rows.partition_by(key, as_dict=True, maintain_order=True).items():
        known = {each["metric"]: each for each in part.iter_rows(named=True)}
        value = {label: each["value"] for label, each in known.items()}
        judged = known.get(metric)
        champion = str(part["model_version"][0])
        points.append(
            HistoryPoint(
                partition=str(name),
                value=value.get(metric),
                interval=(judged["low"], judged["high"]) if judged and judged["low"] is not None else None,
                promised=value.get("promised"),
                champion=champion,
                promoted=not points or points[-1].champion != champion,
                predictions=int(value["predictions"]),
                labelled=int(value["labelled"]),
                baseline=value.get("baseline"),
                estimated=value.get("estimated"),
            )
        )
    return tuple(points)
