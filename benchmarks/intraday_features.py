"""How much better the flights are predicted two hours before their departure, with what is known during the day.

Both services are asked of the real offline store as of each flight's moment: ``flight_delay`` at the midnight before,
``flight_delay_2h`` two hours before the scheduled departure. The estimator and its parameters are the same.
"""

from __future__ import annotations

import os
import tempfile
from typing import Any

import polars as pl

from benchmarks import flights
from benchmarks.flight_delay_quality import SPLITS, score
from benchmarks.flights import DURING, MIDNIGHT, Flights
from include.contract.metrics import METRICS
from include.settings import get_settings

LAST = "2013-03-27"  # all flights of the test weeks have landed
SPLIT = SPLITS[0]
LEAST = 0.74


def run() -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as home:
        os.environ["EVERGREEN_HOME"] = home
        get_settings.cache_clear()
        year = flights.read(LAST)
        write(year)
        scores = {service: score(year, asked(year, service), SPLIT) for service in (MIDNIGHT, DURING)}
    return [entry(metric, scores) for metric in SPLIT.goals]


def write(year: Flights) -> None:
    """Puts the views into the offline store, known at the time that they are of."""
    from include.features import store
    from include.features.compute import view_file

    for name, rows in year.history.views.items():
        file = view_file(year.use_case.config.name, name, LAST)
        file.parent.mkdir(parents=True, exist_ok=True)
        rows.with_columns(created_timestamp="event_timestamp").write_parquet(file)
    store.ensure_applied(year.use_case)


def asked(year: Flights, service: str) -> pl.DataFrame:
    """Every labelled flight with a service's features at its moment, from the store."""
    from include.features.store import feature_names, historical, open_store

    config = year.use_case.config
    keys = year.history.views[config.entity.view].select(
        *(pl.col(column).alias(key) for key, column in config.join_keys.items())
    )
    rows = flights.moments(year, service).join(keys, on="flight_id", how="inner", maintain_order="left")
    store = open_store()
    entities = rows.select(*config.join_keys, "event_timestamp")
    joined = pl.from_pandas(historical(store, service, entities.to_pandas()))
    names = feature_names(store.get_feature_service(service))
    return pl.concat([rows.select("event_timestamp", "known", year.label), joined.select(names)], how="horizontal")


def entry(metric: str, scores: dict[str, dict[str, float]]) -> dict[str, Any]:
    """The metric with the intraday features against that of midnight."""
    midnight, ours = (scores[service][metric] for service in (MIDNIGHT, DURING))
    higher = METRICS[metric].higher_is_better
    better = ours > midnight if higher else ours < midnight
    limit = LEAST if metric == "roc_auc" else None
    return {
        "name": f"{metric} two hours before departure, {SPLIT.name}",
        "ours": ours,
        "peer": midnight,
        "limit": limit,
        "ratio": ours / midnight,
        "goal": "better than at midnight" + (f", at least {limit}" if limit else ""),
        "met": better and (limit is None or ours >= limit),
        "unit": "AUC" if metric == "roc_auc" else "nats a flight",
        "note": "peer: the same estimator at the midnight before",
    }


if __name__ == "__main__":
    from benchmarks.__main__ import table

    print(table(run()))
