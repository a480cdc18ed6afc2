"""How good a fitted model is: metrics by split and by slice, beside what knows nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import polars as pl

from include.contract.metrics import evaluate
from include.contract.use_case import Task
from include.features.compute import LABEL

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

PREDICTION = "prediction"
SMALLEST_SLICE = 50


def constant(labels: NDArray[np.float64], rows: int) -> NDArray[np.float64]:
    """The prediction of the baseline that knows only the mean (the rate) of the training labels."""
    import numpy as np

    return np.full(rows, labels.mean())


def by_slice(task: Task, rows: pl.DataFrame, slices: Sequence[str]) -> pl.DataFrame:
    """Metrics by value of each slice column, for values with at least ``SMALLEST_SLICE`` rows.

    ``rows`` has the slice columns, the label and the prediction. One row a slice: column, value, rows, metrics.
    """
    found = []
    for column in slices:
        for (value,), part in sorted(rows.group_by(column), key=lambda group: str(group[0])):
            if part.height >= SMALLEST_SLICE:
                metrics = evaluate(task, part[LABEL].to_numpy(), part[PREDICTION].to_numpy())
                found.append({"slice": column, "value": str(value), "rows": part.height, **metrics})
    return pl.DataFrame(found, infer_schema_length=None)
