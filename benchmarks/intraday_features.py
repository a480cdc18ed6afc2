"""How much better the flights are predicted two hours before their departure, with what is known during the day.

Both services are asked of the real offline store as of each flight's moment: ``flight_delay`` at the midnight before,
``flight_delay_2h`` two hours before the scheduled departure. The estimator and its parameters are the same.
"""

from __future__ import annotations

import os
import tempfile
from datetime import timedelta
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before scikit-learn is imported

import polars as pl

from benchmarks.flight_delay_quality import FIRST, SPLITS, accept, score
from benchmarks.in_memory import History, compute, read_all
from include.contract.loading import Folder, load_use_case
from include.contract.metrics import METRICS
from include.settings import get_settings

LAST = "2013-03-27"  # all flights of the test weeks have landed
SPLIT = SPLITS[0]
AHEAD = timedelta(hours=2)
LEAST = 0.74
MOMENTS = {"flight_delay": "midnight", "flight_delay_2h": "two hours before"}


def run() -> list[dict[str, Any]]:
    use_case = load_use_case("flight_delay")
    calendar = use_case.config.calendar
    with tempfile.TemporaryDirectory() as home:
        os.environ["EVERGREEN_HOME"] = home
        get_settings.cache_clear()
        partitions = calendar.span(calendar.partition(FIRST), calendar.partition(LAST))
        windows = read_all(use_case.source, partitions, accept)
        history = compute(use_case.features, windows)
        write(use_case, history)
        departures = pl.concat([window.table("schedule") for window in windows])
        scores = {service: score(use_case, asked(use_case, service, history, departures), SPLIT) for service in MOMENTS}
    return [entry(metric, scores) for metric in SPLIT.goals]


def write(use_case: Folder, history: History) -> None:
    """Puts the views into the offline store, known at the time that they are of."""
    from include.features import store
    from include.features.compute import view_file

    for name, rows in history.views.items():
        file = view_file(use_case.config.name, name, LAST)
        file.parent.mkdir(parents=True, exist_ok=True)
        rows.with_columns(created_timestamp="event_timestamp").write_parquet(file)
    store.ensure_applied(use_case)


def asked(use_case: Folder, service: str, history: History, departures: pl.DataFrame) -> pl.DataFrame:
    """Every labelled flight with a service's features at its moment; ``event_timestamp`` is the midnight before."""
    from include.features.store import feature_names, historical, open_store

    holders = use_case.config.join_keys
    keys = history.views[use_case.config.entity.view].select(
        *(pl.col(column).alias(key) for key, column in holders.items())
    )
    flights = history.labels.join(keys, on="flight_id", how="inner", maintain_order="left").join(
        departures.select("flight_id", "scheduled_departure"), on="flight_id", how="left", maintain_order="left"
    )
    # The plan of a flight that leaves in the first two hours is known at midnight, and not before.
    ahead = pl.max_horizontal("event_timestamp", pl.col("scheduled_departure") - AHEAD)
    moment = pl.col("event_timestamp") if service == use_case.config.name else ahead
    entities = flights.select(*holders, event_timestamp=moment)
    store = open_store()
    joined = pl.from_pandas(historical(store, service, entities.to_pandas()))
    names = feature_names(store.get_feature_service(service))
    own = flights.select("event_timestamp", "known", use_case.config.label.name)
    return pl.concat([own, joined.select(names)], how="horizontal")


def entry(metric: str, scores: dict[str, dict[str, float]]) -> dict[str, Any]:
    """The metric with the intraday features against that of midnight."""
    midnight, ours = (scores[service][metric] for service in MOMENTS)
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
