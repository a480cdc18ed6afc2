"""How good a model is for each group of rows: by the values of a column."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from include.contract.metrics import METRICS
from include.contract.use_case import Task
from include.features.compute import LABEL
from include.gate.slices import MOST_SLICES, by_value
from include.records import Record
from include.training.evaluate import CONFIDENCE, PREDICTION, Evaluation, measure
from include.training.training_set import BLOCK

SMALLEST_SLICE = 50
SLICE_RESAMPLES = 400  # there are many slices, and nothing is decided by one


@dataclass(frozen=True)
class Slice(Record):
    """The rows that have one value in a column; the value is None where it is missing."""

    value: str | None
    evaluation: Evaluation


@dataclass(frozen=True)
class Sliced(Record):
    """The slices of one column, the largest first, and what was too small (or too many) to be measured."""

    column: str
    slices: tuple[Slice, ...]
    other_values: int
    other_rows: int

    def worst(self, metric: str) -> Slice | None:
        """The slice with the greatest loss; None where there are not two to choose from."""
        found = [each for each in self.slices if metric in each.evaluation.metrics]
        return (
            max(found, key=lambda each: METRICS[metric].loss(each.evaluation.values[metric]), default=None)
            if len(found) > 1
            else None
        )


def by_slice(
    task: Task,
    rows: pl.DataFrame,
    slices: Sequence[str],
    *,
    confidence: float = CONFIDENCE,
    resamples: int = SLICE_RESAMPLES,
    seed: int = 0,
) -> tuple[Sliced, ...]:
    """Measure each value of each slice column that has at least ``SMALLEST_SLICE`` rows, at most ``MOST_SLICES``.

    ``rows`` has the slice columns, the label, the prediction and the block.
    """
    found = []
    for column in slices:
        large = [(value, rows[at]) for value, at in by_value(rows[column], SMALLEST_SLICE, MOST_SLICES)]
        measured = [
            Slice(
                None if value is None else str(value),
                measure(
                    task,
                    part[LABEL],
                    part[PREDICTION],
                    part[BLOCK],
                    confidence=confidence,
                    resamples=resamples,
                    seed=seed,
                ),
            )
            for value, part in large
        ]
        other = rows.height - sum(part.height for _, part in large)
        found.append(Sliced(column, tuple(measured), rows[column].n_unique() - len(large), other))
    return tuple(found)
