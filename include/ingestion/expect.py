"""Expectations whose bounds come from the partition itself and from its past, for use in ``expectations.py``.

Each is an ordinary Great Expectation. While the past is too short to tell what is usual, its bounds are open.
"""

from __future__ import annotations

from datetime import timedelta
from math import ceil, floor
from statistics import mean, median, stdev
from typing import Any

from include.contract.authoring import Batch
from include.ingestion.quarantine import ROW

WARN = {"severity": "warn"}
ENOUGH = 3  # partitions of the same weekday; of any day for other cadences
ENOUGH_FOR_A_SPREAD = 7


def usual_row_count(batch: Batch, table: str, *, tolerance: float = 0.5, meta: dict[str, str] = WARN) -> Any:
    """As many rows as on the same weekday in the past: their median, give or take the share ``tolerance``."""
    import great_expectations.expectations as gxe

    weekday = batch.partition.start.weekday()
    rows = [profile.rows for partition, profile in batch.past(table) if partition.start.weekday() == weekday]
    if len(rows) < ENOUGH:
        return gxe.ExpectTableRowCountToBeBetween(min_value=0, meta=meta)
    usual = median(rows)
    low, high = floor(usual * (1 - tolerance)), ceil(usual * (1 + tolerance))
    return gxe.ExpectTableRowCountToBeBetween(min_value=low, max_value=high, meta=meta)


def usual_mean(batch: Batch, table: str, column: str, *, deviations: float = 6, meta: dict[str, str] = WARN) -> Any:
    """A mean within so many standard deviations of the means of the past partitions."""
    import great_expectations.expectations as gxe

    profiles = [profile.columns.get(column) for _, profile in batch.past(table)]
    means = [profile.mean for profile in profiles if profile is not None and profile.mean is not None]
    if len(means) < ENOUGH_FOR_A_SPREAD or stdev(means) == 0:
        return gxe.ExpectColumnToExist(column=column, meta=meta)
    centre, spread = mean(means), deviations * stdev(means)
    return gxe.ExpectColumnMeanToBeBetween(
        column=column, min_value=centre - spread, max_value=centre + spread, meta=meta
    )


def fresh(batch: Batch, column: str, *, within: timedelta, meta: dict[str, str] = WARN) -> Any:
    """The newest instant of a column lies in the last stretch before the partition's end, and not after it."""
    import great_expectations.expectations as gxe

    end = batch.partition.cutoff
    return gxe.ExpectColumnMaxToBeBetween(column=column, min_value=end - within, max_value=end, meta=meta)


def known_in(
    batch: Batch, column: str, table: str, other: str, *, partitions: int = 1, meta: dict[str, str] = WARN
) -> Any:
    """Every value of a column occurs in the column ``other`` of another table, in these last partitions of it.

    Passes while the past is shorter than that.
    """
    import great_expectations.expectations as gxe

    past = batch.past(table)
    if len(past) < partitions - 1:
        return gxe.ExpectColumnToExist(column=column, meta=meta)
    since = past[1 - partitions][0].key if partitions > 1 else ""
    earlier = f'SELECT "{other}" FROM "{table}_past" WHERE partition >= \'{since}\' UNION ALL ' if since else ""  # noqa: S608
    return gxe.UnexpectedRowsExpectation(
        description=f"{column} occurs in {table}.{other}",
        unexpected_rows_query=(
            f'SELECT {ROW}, "{column}" FROM {{batch}} WHERE "{column}" IS NOT NULL '  # noqa: S608
            f'AND "{column}" NOT IN ({earlier}SELECT "{other}" FROM "{table}" WHERE "{other}" IS NOT NULL)'
        ),
        meta=meta,
    )
