"""What the predictions are worth, in the unit in which the use case says what each outcome gains or costs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from include.contract.monitoring import ValueConfig
from include.contract.use_case import Task
from include.features.compute import LABEL
from include.records import Record
from include.resampling import Sample, Vector, bounds, draw, weighted_mean
from include.training.evaluate import PREDICTION
from include.training.training_set import BLOCK

RESAMPLES = 1000


@dataclass(frozen=True)
class Worth(Record):
    """The value of some labelled rows: as decided, if nothing were done, and as the baseline decides."""

    rows: int
    value: float
    nothing: float | None  # every answer no; a regression has no such answer
    baseline: float
    gain_interval: tuple[float, float] | None = None  # of value - baseline, one-sided bounds by days

    @property
    def gain(self) -> float:
        return self.value - self.baseline


@dataclass(frozen=True)
class Value(Record):
    """The worth of a window and of each of its days."""

    unit: str
    window: Worth
    days: dict[str, Worth]


def measure(  # noqa: PLR0917 - the data first, then how to look at it
    task: Task,
    labelled: pl.DataFrame,
    baseline: float,
    threshold: float | None,
    config: ValueConfig,
    confidence: float,
    seed: int,
) -> Value:
    """Value labelled rows with prediction, label and block. ``baseline`` predicts the same for every row.

    ``threshold``: the probability from which on the answer is yes (None: a regression). ``ValueError`` where a value is
    not finite.
    """
    sample = Sample.of(labelled[LABEL], labelled[PREDICTION], labelled[BLOCK])
    answers = {"ours": sample.predictions, "baseline": np.full(len(sample.labels), baseline)}
    if threshold is not None:
        answers["nothing"] = np.full(len(sample.labels), -np.inf)
    worth = {who: _values(task, sample.labels, given, threshold, config) for who, given in answers.items()}
    sums = {who: sample.sums(values) for who, values in worth.items()}
    days = {
        str(day): _worth({who: float(each[code]) for who, each in sums.items()}, int(sample.counts[code]))
        for code, day in enumerate(labelled[BLOCK].unique().sort())
    }
    whole = _worth({who: float(values.sum()) for who, values in worth.items()}, len(sample.labels))
    if sample.blocks > 1:
        means = (sums["ours"] - sums["baseline"]) / sample.counts
        drawn = weighted_mean(means, sample.counts)(draw(sample.blocks, RESAMPLES, seed)) * len(sample.labels)
        whole = replace(whole, gain_interval=bounds(drawn, confidence, sample.blocks))
    return Value(config.unit, whole, days)


def _worth(totals: Mapping[str, float], rows: int) -> Worth:
    return Worth(rows, totals["ours"], totals.get("nothing"), totals["baseline"])


def _values(task: Task, labels: Vector, predictions: Vector, threshold: float | None, config: ValueConfig) -> Vector:
    """The value of each row (rows,)."""
    if task == "regression":
        return -config.absolute_error * np.abs(labels - predictions)
    if threshold is None:
        raise ValueError("the value of a classification needs the threshold from which on the answer is yes")
    yes, true = predictions >= threshold, labels == 1
    worth = np.where(
        yes,
        np.where(true, config.true_positive, config.false_positive),
        np.where(true, config.false_negative, config.true_negative),
    )
    return np.asarray(worth, dtype=np.float64)
