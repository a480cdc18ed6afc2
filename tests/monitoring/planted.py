"""A classifier that is calibrated by construction, watched by the day: rows as the monitor reads them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl

from include.contract.use_case import UseCase
from include.features.compute import INSTANT
from include.monitoring.drift import DriftReport, compare
from include.monitoring.findings import Findings, Seen, find
from include.monitoring.numbers import SCHEMA
from include.monitoring.reference import ReferenceProfile

START = datetime(2013, 3, 1, tzinfo=UTC)
FEATURES = ("x", "hour", "carrier")


def config(**monitoring: Any) -> UseCase:
    task = monitoring.pop("task", "classification")
    metric = "log_loss" if task == "classification" else "mae"
    quality = {"metric": metric, "tolerance": 0.05, "minimum_rows": 100}
    return UseCase.model_validate(
        {
            "name": "watched",
            "title": "Watched",
            "description": "",
            "owners": ["tests"],
            "task": task,
            "entity": {"view": "v", "key": ["id"]},
            "label": {"name": "y", "delay": "1d"},
            "slices": ["carrier"],
            "gate": {"limits": {metric: {"max": 9}}, "champion": {"metric": metric}},
            "monitoring": {"quality": quality, **monitoring},
            "serving": {"threshold": 0.5} if task == "classification" else {},
        }
    )


def rows(days: int, *, first: int = 0, size: int = 300, seed: int = 0, regression: bool = False) -> pl.DataFrame:
    """Rows by day; the probability is that of the label."""
    generator = np.random.default_rng([seed, first + 100])
    count = days * size
    x = generator.normal(size=count)
    probability = 1 / (1 + np.exp(-(x - 1)))
    labels = x + generator.normal(size=count) if regression else generator.random(count) < probability
    stamps = [START + timedelta(days=first + row // size, hours=12) for row in range(count)]
    return pl.DataFrame(
        {
            "id": np.arange(count) + first * size,
            "event_timestamp": pl.Series(stamps, dtype=INSTANT),
            "x": x,
            "hour": generator.integers(0, 24, count).astype(float),
            "carrier": generator.choice(["AA", "UA", "B6"], count),
            "prediction": x if regression else probability,
            "label": np.asarray(labels, dtype=np.float64),
            "block": [f"{stamp:%Y-%m-%d}" for stamp in stamps],
        }
    )


GATE = rows(14, first=-14, seed=1)


def look(
    current: pl.DataFrame,
    use_case: UseCase | None = None,
    *,
    gate: pl.DataFrame = GATE,
    earlier: pl.DataFrame | None = None,
    days: int = 8,
) -> tuple[Findings, DriftReport | None]:
    """What is found in rows from ``START`` on, of which the last of the ``days`` awaits its labels."""
    use_case = use_case or config()
    profile = ReferenceProfile.of(gate.select(*FEATURES, "prediction"), prediction="prediction")
    drifted = compare(profile, current, use_case.monitoring.drift) if current.height else None
    seen = Seen(
        version=1,
        rows=current,
        window=START + timedelta(days=1),
        settled=START + timedelta(days=days - 1),
        gate=gate,
        earlier=pl.DataFrame(schema=SCHEMA) if earlier is None else earlier,
    )
    return find(use_case, seen, profile, drifted), drifted
