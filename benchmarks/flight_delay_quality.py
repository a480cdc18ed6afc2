"""How well the flights' model predicts on later time: from the raw days to the metrics, through the use case's code.

Labels count as known when their flights had landed, features as known at the midnight before a flight's day.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

import polars as pl

from benchmarks import flights
from benchmarks.flights import Flights
from include.contract.metrics import METRICS


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


def score(year: Flights, rows: pl.DataFrame, split: Split) -> dict[str, float]:
    train, test = year.divide(rows, split.tested_from, split.tested_until)
    columns = year.columns(rows)
    model = year.estimator().fit(train.select(columns).to_pandas(), train[year.label].to_numpy())
    predicted = model.predict_proba(test.select(columns).to_pandas())[:, 1]
    return {name: METRICS[name](test[year.label].cast(pl.Float64).to_numpy(), predicted) for name in split.goals}


def run() -> list[dict[str, Any]]:
    year = flights.read()
    rows = flights.known(year)
    entries = []
    for split in SPLITS:
        for metric, ours in score(year, rows, split).items():
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
