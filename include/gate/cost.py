"""What does an answer cost: time, memory and disk of a real serving process?"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from include.contract.gate import CostConfig
from include.gate.check import Check, at_most, number
from include.records import Record


@dataclass(frozen=True)
class Cost(Record):
    """Milliseconds by request, and MiB."""

    single_p50: float  # of requests with one row
    single_p99: float
    batch_rows: int
    batch_p50: float  # of requests with ``batch_rows`` rows
    batch_p99: float
    memory: float  # that the process holds
    file: float  # of the model's files
    requests: int  # that were timed, of both kinds


def measure(single: ArrayLike, batch: ArrayLike, *, batch_rows: int, memory: float, file: float) -> Cost:
    """From the milliseconds of each request with one row and of each with ``batch_rows`` rows, two vectors (requests,).

    Percentiles are interpolated linearly. ``ValueError`` where a vector is empty or has a value that is no duration.
    """
    ones, batches = _durations("one row", single), _durations(f"{batch_rows} rows", batch)
    single_p50, single_p99 = np.percentile(ones, [50, 99])
    batch_p50, batch_p99 = np.percentile(batches, [50, 99])
    return Cost(
        single_p50=float(single_p50),
        single_p99=float(single_p99),
        batch_rows=batch_rows,
        batch_p50=float(batch_p50),
        batch_p99=float(batch_p99),
        memory=memory,
        file=file,
        requests=len(ones) + len(batches),
    )


def check(cost: Cost | None, config: CostConfig) -> Iterator[Check]:
    """Each of the limits; what is negative, or was timed on no request or no row, has not been measured."""
    rows = f" of {cost.batch_rows} rows (median {number(cost.batch_p50)} ms)" if cost else ""
    timed = cost is not None and cost.requests > 0 and cost.batch_rows > 0 and _measured(cost.batch_p50)
    for name, limit, what, unit in (
        ("single p50", config.single_p50, "the median of the time for one row", "ms"),
        ("single p99", config.single_p99, "the 99th percentile of the time for one row", "ms"),
        ("batch p99", config.batch_p99, f"the 99th percentile of the time for a batch{rows}", "ms"),
        ("memory", config.memory, "the memory of the serving process", "MiB"),
        ("file", config.file, "the size of the model's files", "MiB"),
    ):
        value = getattr(cost, name.replace(" ", "_"), None)
        yield at_most(name, value if timed and _measured(value) else None, limit, what, unit=unit)


def _measured(value: float | None) -> bool:
    return value is not None and math.isfinite(value) and value >= 0


def _durations(what: str, values: ArrayLike) -> NDArray[np.float64]:
    durations = np.asarray(values, dtype=np.float64)
    if durations.ndim != 1 or not len(durations):
        raise ValueError(f"no request with {what} was timed")
    if bad := int(np.count_nonzero(~(np.isfinite(durations) & (durations >= 0)))):
        raise ValueError(f"{bad} of {len(durations)} requests with {what} have no duration")
    return durations
