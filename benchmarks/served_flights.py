"""A home with a model of the flights in production and their features online, as a server finds it.

``python -m benchmarks.served_flights`` fills the home that the settings name, and prints requests to it as JSON.
"""

from __future__ import annotations

import json
from datetime import UTC, timedelta
from typing import Any

import polars as pl

from benchmarks import flights
from include.contract.partitions import Partition
from include.features import store
from include.features.compute import view_file
from include.features.materialize import materialize
from include.registry import models
from include.registry.model_input import features_of, to_model_input
from include.registry.runs import TEST_FILE
from include.serving.remembered import MOST
from include.settings import get_settings

LAST = "2013-02-28"
LEARNED, TESTED, ASKED = 40_000, 2_000, 100
ONLINE_DAYS = 3


def train(year: flights.Flights, rows: pl.DataFrame) -> pl.DataFrame:
    """Fit the use case's model and put it in production. The rows it was tested on."""
    import mlflow

    config = year.use_case.config
    tested = rows.tail(TESTED)
    table = rows.head(LEARNED).select(year.columns(rows)).to_pandas()
    features = features_of(table)
    model = year.estimator().fit(to_model_input(table, features), rows.head(LEARNED)[year.label].to_numpy())
    mlflow.set_tracking_uri(models.tracking_uri())
    mlflow.set_experiment(config.name)
    with mlflow.start_run() as run:
        folder = get_settings().work / TEST_FILE
        folder.parent.mkdir(parents=True, exist_ok=True)
        tested.write_parquet(folder)
        mlflow.log_artifact(str(folder), artifact_path=TEST_FILE.partition("/")[0])
    threshold = config.serving.threshold
    models.log_model(model, table, run_id=run.info.run_id, task=config.task, features=features, threshold=threshold)
    version = models.register(run.info.run_id, config.name, "model", {"data_revision": "benchmark"})
    models.set_alias(config.name, models.CHAMPION, version.version)
    return tested


def bring_online(year: flights.Flights, partitions: list[Partition]) -> None:
    """Write the last days' rows of every view to the offline store, and from there to the online store."""
    store.ensure_applied(year.use_case)
    for name, rows in year.history.views.items():
        for partition in partitions:
            at = pl.col("event_timestamp")
            within = rows.filter((at > partition.start.astimezone(UTC)) & (at <= partition.cutoff))
            file = view_file(year.use_case.config.name, name, partition.key)
            file.parent.mkdir(parents=True, exist_ok=True)
            within.with_columns(created_timestamp=at).write_parquet(file)
    materialize(year.use_case, partitions)


def requests(year: flights.Flights, tested: pl.DataFrame, last: Partition) -> dict[str, Any]:
    """Bodies of requests by what they ask for; ``new``: in turn for more entities than a server remembers."""
    rows = tested.select(year.columns(tested)).head(ASKED).to_dicts()
    plan, at = year.history.views[year.use_case.config.entity.view], pl.col("event_timestamp")
    online = plan.filter((at > last.cutoff - timedelta(days=ONLINE_DAYS)) & (at <= last.cutoff))
    all_keys = online.sort(at, descending=True).select(year.use_case.config.entity.key)
    if all_keys.height <= MOST:
        raise RuntimeError(f"{all_keys.height} entities are online, and a server remembers {MOST}")
    as_of = last.cutoff.isoformat()
    asked = [{"entities": [key], "as_of": as_of} for key in all_keys.to_dicts()]
    return {
        "row": [{"rows": [row]} for row in rows],
        "rows": [{"rows": rows}],
        "entity": asked[:ASKED],
        "new": asked,
    }


def main() -> None:
    year = flights.read(LAST)
    calendar = year.use_case.config.calendar
    partitions = calendar.span(calendar.partition(flights.FIRST), calendar.partition(LAST))[-ONLINE_DAYS:]
    rows = flights.known(year).sort("event_timestamp")
    tested = train(year, rows)
    bring_online(year, partitions)
    print(json.dumps(requests(year, tested, partitions[-1])))


if __name__ == "__main__":
    main()
