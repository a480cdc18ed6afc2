"""The losses of a rollout's predictions whose labels have come, and what they say by day.

Labels come by partition, and late. A day counts once all its labels are due, since those that come early are not like
the others; then it is one observation of ``include.deployment.sequential``. Days of all steps are one sequence, so
that its error probability holds over the whole rollout.

A loss lies in [0, 1]: of a classification the squared error of the probability (Brier score); of a regression the
absolute error as a share of the 99th percentile of the champion's on its test stretch, at most 1.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from include.contract.loading import Folder
from include.deployment.generation import Generation
from include.deployment.sequential import Comparison, compare
from include.features import compute
from include.features.compute import INSTANT, LABEL
from include.features.store import EVENT_TIMESTAMP
from include.records import Record
from include.registry import models
from include.registry.client import registry
from include.registry.runs import TEST_FILE, logged_file

if TYPE_CHECKING:
    from numpy.typing import NDArray

PREDICTION = "prediction"
LOSS, DAY, STEP, ARM = "loss", "day", "step", "challenger"
QUANTILE = 0.99


@dataclass(frozen=True)
class Quality(Record):
    """Mean losses of both versions over the rows that count, and the differences by day as a sequential test.

    A shadow's rows count where both have predicted them. ``champion`` and ``challenger`` are None before the first day.
    """

    champion: float | None
    challenger: float | None
    champion_rows: int
    challenger_rows: int
    comparison: Comparison


def realized(use_case: Folder, steps: Sequence[Generation], lines: Iterable[Mapping[str, Any]]) -> Quality:
    """The quality in a rollout's steps so far, from the lines of the prediction log during them.

    Rows that name no entity have no label.
    """
    config = use_case.config
    labelled = _labelled(use_case, _rows(use_case, steps, lines))
    if labelled.height:
        loss = squared if config.task == "classification" else Share(_scale(config.name, steps[0].champion))
        values = loss(labelled[LABEL].to_numpy(), labelled[PREDICTION].to_numpy())
        labelled = labelled.with_columns(pl.Series(LOSS, values, dtype=pl.Float64))
    else:
        labelled = labelled.with_columns(pl.lit(None, dtype=pl.Float64).alias(LOSS))
    rollout = config.promotion
    days = differences(labelled)
    theirs, ours = (labelled.filter(pl.col(ARM) == arm)[LOSS] for arm in (False, True))
    return Quality(
        champion=theirs.mean(),  # type: ignore[arg-type]
        challenger=ours.mean(),  # type: ignore[arg-type]
        champion_rows=len(theirs),
        challenger_rows=len(ours),
        comparison=compare(days, alpha=rollout.alpha, tolerance=rollout.tolerance),
    )


def squared(labels: NDArray[np.float64], predictions: NDArray[np.float64]) -> NDArray[np.float64]:
    """The squared error of each probability."""
    return (labels - predictions) ** 2


@dataclass(frozen=True)
class Share:
    """The absolute error of each row as a share of ``scale``, at most 1."""

    scale: float

    def __call__(self, labels: NDArray[np.float64], predictions: NDArray[np.float64]) -> NDArray[np.float64]:
        errors = np.abs(labels - predictions)
        return np.minimum(errors / self.scale, 1) if self.scale else (errors > 0).astype(np.float64)


def differences(rows: pl.DataFrame) -> list[float]:
    """By day, in order: the challenger's mean loss less the champion's, where both have rows.

    Columns: day, step, challenger (a boolean), loss. Only rows of one step are compared with each other; the steps of a
    day count by ``n m / (n + m)``, as the variance of a difference of means of ``n`` and ``m`` rows.
    """
    means = rows.group_by(DAY, STEP, ARM).agg(pl.col(LOSS).mean(), pl.len().alias("n"))
    ours, theirs = (means.filter(pl.col(ARM) == arm).drop(ARM) for arm in (True, False))
    both = ours.join(theirs, on=[DAY, STEP], suffix="_theirs").with_columns(
        (pl.col(LOSS) - pl.col(f"{LOSS}_theirs")).alias("difference"),
        (pl.col("n") * pl.col("n_theirs") / (pl.col("n") + pl.col("n_theirs"))).alias("weight"),
    )
    weighted = (pl.col("difference") * pl.col("weight")).sum() / pl.col("weight").sum()
    return both.group_by(DAY).agg(weighted).sort(DAY)["difference"].to_list()


def _rows(use_case: Folder, steps: Sequence[Generation], lines: Iterable[Mapping[str, Any]]) -> pl.DataFrame:
    """What both versions predicted for entities; of an event that was asked for again in a step, the last one."""
    keys = use_case.config.entity.key
    found = [
        {
            **{key: line["entity"][key] for key in keys},
            EVENT_TIMESTAMP: datetime.fromisoformat(line["event_timestamp"]),
            PREDICTION: line["prediction"],
            ARM: line["model_version"] == steps[0].challenger,
            "time": datetime.fromisoformat(line["time"]),
        }
        for line in lines
        if line["entity"] and line["event_timestamp"] and line["prediction"] is not None
    ]
    began = pl.Series([datetime.fromisoformat(step.at) for step in steps], dtype=INSTANT)
    schema = {**dict.fromkeys(keys), EVENT_TIMESTAMP: INSTANT, PREDICTION: pl.Float64, ARM: pl.Boolean, "time": INSTANT}
    rows = pl.DataFrame(found, schema=schema, orient="row", infer_schema_length=None).sort("time")
    step = np.searchsorted(began.to_numpy(), rows["time"].to_numpy(), "right") - 1
    rows = rows.with_columns(pl.Series(STEP, step, dtype=pl.Int64))
    event = [*keys, EVENT_TIMESTAMP, STEP]
    rows = rows.unique([*event, ARM], keep="last", maintain_order=True)
    shadows = [number for number, each in enumerate(steps) if each.mode == "shadow"]
    return rows.filter(~pl.col(STEP).is_in(shadows) | (pl.col(ARM).n_unique().over(event) == 2))


def _labelled(use_case: Folder, rows: pl.DataFrame) -> pl.DataFrame:
    """The rows of days whose labels are all due, as far as their label has come."""
    config, event = use_case.config, [*use_case.config.entity.key, EVENT_TIMESTAMP]
    computed = compute.computed(use_case, config.entity.view)
    known = [each for each in computed if compute.label_file(config.name, each.key).is_file()]
    if not rows.height or not known:
        return rows.head(0).with_columns(pl.lit(None, dtype=pl.Float64).alias(LABEL), pl.lit("").alias(DAY))
    earliest: datetime = rows[EVENT_TIMESTAMP].min()  # type: ignore[assignment]
    keys = [each.key for each in known if each.end >= earliest] or [known[-1].key]
    labels = compute.read_labels(config.name, keys)
    due = (known[-1].end - config.label.delay).astimezone(config.calendar.zone)
    day = pl.col(EVENT_TIMESTAMP).dt.convert_time_zone(config.timezone).dt.strftime("%Y-%m-%d")
    rows = rows.with_columns(pl.col(name).cast(labels.schema[name]) for name in event)
    return rows.join(labels, on=event).with_columns(day.alias(DAY)).filter(pl.col(DAY) < f"{due:%Y-%m-%d}")


def _scale(name: str, champion: int | None) -> float:
    if champion is None:
        raise ValueError(f"{name}: a rollout without a champion")
    with registry():
        tested = pl.read_parquet(logged_file(models.get(name, champion), TEST_FILE))
    return float(np.quantile(np.abs(tested[LABEL].to_numpy() - tested[PREDICTION].to_numpy()), QUANTILE))
