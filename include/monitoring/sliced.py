"""The judged metric for each group of rows, now and at the gate."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from include.contract.metrics import METRICS
from include.contract.use_case import Task
from include.records import Record
from include.training.slices import by_slice


@dataclass(frozen=True)
class SliceQuality(Record):
    """The rows that have one value (None: missing) in a column."""

    column: str
    value: str | None
    rows: int
    now: float | None
    interval: tuple[float, float] | None  # one-sided bounds by days
    gate: float | None  # on the test stretch; None where the group was too small there

    @property
    def name(self) -> str:
        return f"{self.column} {'missing' if self.value is None else self.value}"

    @property
    def increase(self) -> float | None:
        """Of the metric since the gate."""
        return None if self.now is None or self.gate is None else self.now - self.gate


def compare(  # noqa: PLR0917 - the data first, then how to look at it
    task: Task,
    metric: str,
    now: pl.DataFrame,
    gate: pl.DataFrame,
    columns: Sequence[str],
    confidence: float,
    seed: int,
) -> tuple[SliceQuality, ...]:
    """Measure the groups of both frames, each with label, prediction and block; those that lost most come first.

    Columns that one of the frames lacks are left out, and so are groups of fewer than 50 rows.
    """
    kept = [name for name in columns if name in now.columns and name in gate.columns]
    before = {
        (each.column, group.value): group.evaluation.values.get(metric)
        for each in by_slice(task, gate, kept, confidence=confidence, seed=seed)
        for group in each.slices
    }
    found = []
    for each in by_slice(task, now, kept, confidence=confidence, seed=seed):
        for group in each.slices:
            measured = group.evaluation.metrics.get(metric)
            found.append(
                SliceQuality(
                    each.column,
                    group.value,
                    group.evaluation.rows,
                    measured.value if measured else None,
                    measured.interval if measured else None,
                    before.get((each.column, group.value)),
                )
            )
    turn = METRICS[metric].loss(1.0)
    return tuple(sorted(found, key=lambda group: math.inf if group.increase is None else -turn * group.increase))
