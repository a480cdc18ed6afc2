"""How well the flights' model predicts on later time: from the raw days to the metrics, through the use case's code.

Labels count as known when their flights had landed, features as known at the midnight before a flight's day.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import reduce
from typing import Any
from zoneinfo import ZoneInfo

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before scikit-learn is imported

import polars as pl

from benchmarks.in_memory import History, compute, point_in_time, read_all
from include.contract.loading import Folder, load_use_case
from include.contract.metrics import METRICS

FIRST, LAST = "2012-12-31", "2013-12-31"
TTL = timedelta(days=2)  # as in feature_definitions.py
FASTEST_WIND = 200.0  # miles an hour: one observation of the year says 1,048 and is put into quarantine


@dataclass(frozen=True)
class Split:
    """Trained on what had landed by ``tested_from``; tested on flights from that day until ``tested_until``."""

    name: str
    tested_from: date
    tested_until: date  # not included
    goals: dict[str, float]


SPLITS = (
    Split(
        "Jan 1 - Feb 25, the next 4 weeks", date(2013, 2, 26), date(2013, 3, 26), {"roc_auc": 0.69, "log_loss": 0.530}
    ),
    Split("Jan - Sep, Oct - Dec", date(2013, 10, 1), date(2014, 1, 1), {"roc_auc": 0.685, "log_loss": 0.496}),
)


def accept(table: str, rows: pl.DataFrame) -> pl.DataFrame:
    return rows.filter(pl.col("wind_speed") <= FASTEST_WIND) if table == "weather" else rows


def labelled(use_case: Folder, history: History) -> pl.DataFrame:
    """Every labelled flight with the service's features as known at its time."""
    from feast import Entity, FeatureService

    from include.features.store import definitions, feature_names

    defined = definitions(use_case)
    (service,) = [each for each in defined if isinstance(each, FeatureService) and each.name == use_case.config.name]
    join_key = {each.name: each.join_key for each in defined if isinstance(each, Entity)}
    asked = {projection.name for projection in service.feature_view_projections}
    views = {each.name: each for each in defined if each.name in asked}
    holders = use_case.config.join_keys
    own = use_case.config.entity
    rows = point_in_time(history.labels, history.views[own.view], {key: key for key in own.key}, TTL)

    def add(joined: pl.DataFrame, name: str) -> pl.DataFrame:
        keys = {key: holders[key] for key in (join_key[entity] for entity in views[name].entities)}
        return point_in_time(joined, history.views[name], keys, TTL)

    stored = [name for name in history.views if name in asked]
    rows = reduce(add, (name for name in stored if name != own.view), rows)
    for view in (views[name] for name in asked.difference(stored)):
        inputs = [feature.name for each in view.source_feature_view_projections.values() for feature in each.features]
        found = view.transform_dict(rows.select(inputs).to_dict(as_series=False))
        rows = rows.with_columns(**{feature.name: pl.Series(found[feature.name]) for feature in view.features})
    return rows.select("event_timestamp", "known", use_case.config.label.name, *feature_names(service))


def score(use_case: Folder, rows: pl.DataFrame, split: Split) -> dict[str, float]:
    zone = ZoneInfo(use_case.config.timezone)
    start, end = (
        pl.lit(datetime(day.year, day.month, day.day, tzinfo=zone)).dt.convert_time_zone("UTC")
        for day in (split.tested_from, split.tested_until)
    )
    label = use_case.config.label.name
    train = rows.filter(pl.col("known") <= start)
    test = rows.filter(pl.col("event_timestamp").is_between(start, end, closed="left"))
    training = use_case.config.training
    model: Any = use_case.model.build({**training.params, "seed": training.seed})
    columns = [name for name in rows.columns if name not in ("event_timestamp", "known", label)]
    model.fit(train.select(columns).to_pandas(), train[label].to_numpy())
    predicted = model.predict_proba(test.select(columns).to_pandas())[:, 1]
    return {name: METRICS[name](test[label].cast(pl.Float64).to_numpy(), predicted) for name in split.goals}


def run() -> list[dict[str, Any]]:
    use_case = load_use_case("flight_delay")
    calendar = use_case.config.calendar
    partitions = calendar.span(calendar.partition(FIRST), calendar.partition(LAST))
    windows = read_all(use_case.source, partitions, accept)
    rows = labelled(use_case, compute(use_case.features, windows))
    entries = []
    for split in SPLITS:
        for metric, ours in score(use_case, rows, split).items():
            limit, higher = split.goals[metric], METRICS[metric].higher_is_better
            entries.append(
                {
                    "name": f"{metric}, {split.name}",
                    "ours": ours,
                    "limit": limit,
                    "ratio": ours / limit,
                    "goal": f"at {'least' if higher else 'most'} {limit}",
                    "met": ours >= limit if higher else ours <= limit,
                    "unit": "AUC" if metric == "roc_auc" else "nats a flight",
                }
            )
    return entries


if __name__ == "__main__":
    from benchmarks.__main__ import table

    print(table(run()))
