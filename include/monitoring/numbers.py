"""What the monitor measured as rows: one Parquet file a partition, and a run of MLflow with the same numbers.

A file is written whole in place of an earlier one, so that watching a partition twice leaves each number once. It is
also the monitor's memory: timelines and the test for a changed concept go through the files of the past, of which the
newest value of a day counts, since labels come late and are corrected.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal

import polars as pl

from include.files import replacing
from include.monitoring.concept import DayLoss
from include.registry.client import client, registry
from include.settings import get_settings

LATEST = 400  # partitions of the past that are read
SCHEMA: Final = {
    "partition": pl.String,  # under which it was measured
    "model_version": pl.Int64,
    "scope": pl.String,  # window, day, slice, column, loss
    "of": pl.String,  # the slice; the column; for a loss: all rows, or the slice
    "day": pl.String,  # of a day or a loss, else empty
    "metric": pl.String,
    "value": pl.Float64,
    "low": pl.Float64,
    "high": pl.Float64,
    "rows": pl.Int64,
}
PARTITION_TAG = "evergreen.monitored"

Scope = Literal["window", "day", "slice", "column", "loss"]
Row = dict[str, Any]


def row(
    scope: Scope,
    metric: str,
    value: float | None,
    rows: int,
    *,
    of: str = "",
    day: str = "",
    interval: tuple[float, float] | None = None,
) -> Row:
    """One number."""
    low, high = interval or (None, None)
    return {
        "scope": scope, "of": of, "day": day, "metric": metric, "value": value, "low": low, "high": high, "rows": rows,
    }  # fmt: skip


def file(use_case: str, partition: str) -> Path:
    return get_settings().monitoring / use_case / "numbers" / f"{partition}.parquet"


def write(use_case: str, partition: str, model_version: int, rows: Sequence[Row]) -> pl.DataFrame:
    """Write the numbers of a partition, in place of those that are there, and give them back as they are read."""
    named = [{"partition": partition, "model_version": model_version, **each} for each in rows]
    frame = pl.DataFrame(named, schema=SCHEMA, orient="row")
    with replacing(file(use_case, partition)) as temporary:
        frame.write_parquet(temporary)
    return frame


def read(use_case: str, before: str | None = None, latest: int = LATEST) -> pl.DataFrame:
    """The numbers of the latest partitions, the oldest first; ``before``: of those earlier than this one only."""
    paths = sorted(file(use_case, "any").parent.glob("[!.]*.parquet"))
    chosen = [path for path in paths if before is None or path.stem < before][-latest:]
    return pl.concat([pl.read_parquet(path) for path in chosen]) if chosen else pl.DataFrame(schema=SCHEMA)


def newest_by_day(numbers: pl.DataFrame, scope: Scope) -> pl.DataFrame:
    """Of each number of a day what was measured last, in the order of the days."""
    own = numbers.filter(pl.col("scope") == scope)
    return own.unique(["of", "day", "metric", "model_version"], keep="last", maintain_order=True).sort(
        "day", maintain_order=True
    )


def loss_rows(losses: Mapping[str, Sequence[DayLoss]]) -> list[Row]:
    return [
        row("loss", "loss", each.loss, each.rows, of=name, day=each.day)
        for name, days in losses.items()
        for each in days
    ]


def stream(
    earlier: pl.DataFrame, model_version: int, now: Mapping[str, Sequence[DayLoss]]
) -> dict[str, tuple[DayLoss, ...]]:
    """The losses of a version's days by slice: those of earlier files, and ``now`` in place of the same days."""
    found: dict[str, dict[str, DayLoss]] = {}
    own = newest_by_day(earlier, "loss").filter(pl.col("model_version") == model_version)
    for name, day, value, rows in own.select("of", "day", "value", "rows").iter_rows():
        found.setdefault(name, {})[day] = DayLoss(day, value, rows)
    for name, days in now.items():
        found.setdefault(name, {}).update({each.day: each for each in days})
    return {name: tuple(days[day] for day in sorted(days)) for name, days in found.items()}


def log_run(use_case: str, span: str, metrics: Mapping[str, float | None], tags: Mapping[str, str]) -> str:
    """Log to the one run of this span in the experiment ``<use case>.monitoring``; its id.

    The run is found again by a tag. Only what differs is logged, so that watching again leaves one value of each
    metric. Raises ``RegistryUnavailable`` where MLflow cannot be asked.
    """
    from mlflow.entities import Metric, RunTag

    name = f"{use_case}.monitoring"
    known = {_allowed(key): value for key, value in metrics.items() if value is not None and math.isfinite(value)}
    store = client()
    with registry():
        experiment = store.get_experiment_by_name(name)
        number = experiment.experiment_id if experiment else store.create_experiment(name)
        found = store.search_runs([number], f"tags.`{PARTITION_TAG}` = '{span}'", max_results=1)
        run = found[0] if found else store.create_run(number, run_name=span, tags={PARTITION_TAG: span})
        changed = {key: value for key, value in known.items() if run.data.metrics.get(key) != value}
        store.log_batch(
            run.info.run_id,
            metrics=[Metric(key, value, 0, 0) for key, value in changed.items()],
            tags=[RunTag(key, value) for key, value in tags.items()],
        )
        store.set_terminated(run.info.run_id)
    return str(run.info.run_id)


def _allowed(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9_\-. /]", "_", name)[:250]
