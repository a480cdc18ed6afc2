"""Checks a partition's raw tables with Great Expectations and names the rows that are refused.

The severity of an expectation (``meta={"severity": ...}``) says what its failure means: ``batch`` refuses the whole
partition, ``row`` sends the rows to quarantine, ``warn`` is recorded. A check that could not be computed has failed,
and refuses the partition.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from include.ingestion.changes import Change
from include.ingestion.engine import batches
from include.ingestion.quarantine import REASON
from include.ingestion.suite import CheckResult, run

FEW = 10  # rows that may go to quarantine however small the table is


@dataclass(frozen=True)
class Validation:
    """The outcome for one partition.

    ``rejected`` has the refused rows of each table that has any: position in the landed file, reasons, values.
    ``outcomes`` are Great Expectations' own results by table.
    """

    partition: str
    checks: tuple[CheckResult, ...]
    rejected: Mapping[str, pl.DataFrame] = field(repr=False)
    outcomes: Mapping[str, Sequence[Any]] = field(repr=False)
    changes: tuple[Change, ...] = ()
    forbidden: tuple[Change, ...] = ()

    @property
    def failures(self) -> tuple[str, ...]:
        """What refuses the partition: failed batch checks, checks that could not be computed, changes of the source."""
        failed = (check for check in self.checks if check.error or (check.severity == "batch" and not check.success))
        return (
            *(f"{check.table}: {check.name}: {check.finding}" for check in failed),
            *(f"{change.table}: {change.kind}: {change.detail}" for change in self.forbidden),
        )

    @property
    def success(self) -> bool:
        return not self.failures

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is odd and stops nothing."""
        odd = (check for check in self.checks if check.severity == "warn" and not check.success and not check.error)
        harmless = (change for change in self.changes if change not in self.forbidden)
        return (
            *(f"{check.table}: {check.name}: {check.finding}" for check in odd),
            *(f"{change.table}: {change.kind}: {change.detail}" for change in harmless),
        )

    @property
    def reasons(self) -> dict[str, int]:
        """The number of rejected rows by table and reason."""
        found: dict[str, int] = {}
        for table, rows in self.rejected.items():
            for reason, count in rows[REASON].value_counts(sort=True).iter_rows():
                found[f"{table}: {reason}"] = count
        return found


class RefusedBatchError(ValueError):
    """A partition that is refused as a whole; the message names the checks and the ways on."""

    def __init__(self, use_case: str, validation: Validation) -> None:
        way = f"mend the source or the suite, then run {use_case}.replay for it"
        if validation.forbidden:
            way += "; or accept the change there, if it is meant"
        super().__init__(f"partition {validation.partition} is refused: {'; '.join(validation.failures)}. Next: {way}")


def validate(
    partition: str,
    tables: Mapping[str, Path],
    suites: Mapping[str, Sequence[Any]],
    *,
    limit: float,
    past: Callable[[str], Mapping[str, Path]] = lambda _: {},
) -> Validation:
    """Run each table's suite over its Parquet file. Tables and suites must name the same: none may be left unchecked.

    Where more than the share ``limit`` of a table's rows fails a row check, it is the batch that is wrong. ``past``
    gives the files of a table in earlier partitions by key; it is asked for tables whose past an expectation names.
    """
    if set(tables) != set(suites):
        raise ValueError(
            f"the source delivers the tables {sorted(tables)}, expectations.py has suites for {sorted(suites)}"
        )
    checks: list[CheckResult] = []
    rejected: dict[str, pl.DataFrame] = {}
    outcomes: dict[str, Sequence[Any]] = {}
    queries = [getattr(each, "unexpected_rows_query", "") for suite in suites.values() for each in suite]
    named = [name for name in tables if any(f"{name}_past" in query for query in queries)]
    with batches(tables, {name: past(name) for name in named}) as opened:
        for name, batch in opened.items():
            rows = pl.scan_parquet(tables[name]).select(pl.len()).collect().item()
            results, refused, outcomes[name] = run(name, batch, suites[name], most=max(FEW, int(limit * rows)))
            checks += results
            if refused.height:
                rejected[name] = refused
    return Validation(partition, tuple(checks), rejected, outcomes)
