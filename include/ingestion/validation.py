"""Checks a partition's raw tables with Great Expectations and parts accepted rows from refused ones.

The severity of an expectation (``meta={"severity": ...}``) says what its failure means: ``batch`` refuses the whole
partition, ``row`` sends the rows to quarantine, ``warn`` is recorded. A check that could not be computed has failed,
and refuses the partition.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import polars as pl

Severity = Literal["batch", "row", "warn"]
SEVERITIES = ("batch", "row", "warn")

REASON = "quarantine_reason"


@dataclass(frozen=True)
class CheckResult:
    """What one expectation found on one table."""

    table: str
    expectation: str
    column: str | None
    severity: Severity
    success: bool
    unexpected: int
    observed: str | None
    error: str | None = None

    @property
    def name(self) -> str:
        return f"{self.expectation}({self.column})" if self.column else self.expectation


@dataclass(frozen=True)
class Validation:
    """The outcome for one partition. ``landed[t] == accepted[t].height + quarantined[t].height`` for every table."""

    partition: str
    checks: tuple[CheckResult, ...]
    accepted: Mapping[str, pl.DataFrame] = field(repr=False)
    quarantined: Mapping[str, pl.DataFrame] = field(repr=False)

    @property
    def failures(self) -> tuple[CheckResult, ...]:
        """What refuses the partition: failed batch checks and checks that could not be computed."""
        return tuple(check for check in self.checks if check.error or (check.severity == "batch" and not check.success))

    @property
    def success(self) -> bool:
        return not self.failures

    @property
    def warnings(self) -> tuple[CheckResult, ...]:
        return tuple(check for check in self.checks if check.severity == "warn" and not check.success)

    def record(self) -> dict[str, Any]:
        """The small record that is kept with the data. It holds nothing that differs between two equal runs."""
        counts = {
            table: {
                "landed": frame.height + self.quarantined[table].height,
                "accepted": frame.height,
                "quarantined": self.quarantined[table].height,
            }
            for table, frame in self.accepted.items()
        }
        return {
            "partition": self.partition,
            "success": self.success,
            "counts": counts,
            "checks": [asdict(check) for check in self.checks],
        }


class RefusedBatchError(Exception):
    """A partition that failed a batch check; the message names the checks."""

    def __init__(self, validation: Validation) -> None:
        reasons = "; ".join(
            f"{check.table}: {check.name}: {check.error or check.observed or f'{check.unexpected} unexpected values'}"
            for check in validation.failures
        )
        super().__init__(f"partition {validation.partition} is refused: {reasons}")
        self.validation = validation


def validate(partition: str, tables: Mapping[str, pl.DataFrame], suites: Mapping[str, Sequence[Any]]) -> Validation:
    """Run each table's suite. Tables and suites must name the same tables: neither may be left unchecked."""
    if set(tables) != set(suites):
        raise ValueError(
            f"the source delivers the tables {sorted(tables)}, expectations.py has suites for {sorted(suites)}"
        )
    checks: list[CheckResult] = []
    accepted: dict[str, pl.DataFrame] = {}
    quarantined: dict[str, pl.DataFrame] = {}
    for name, frame in tables.items():
        results, reasons = _check(name, frame, suites[name])
        checks += results
        flagged = frame.with_columns(pl.Series(REASON, reasons, dtype=pl.String))
        quarantined[name] = flagged.filter(pl.col(REASON).is_not_null())
        accepted[name] = flagged.filter(pl.col(REASON).is_null()).drop(REASON)
        if accepted[name].height + quarantined[name].height != frame.height:
            raise AssertionError(f"{name}: rows were lost between landing and quarantine")
    return Validation(partition, tuple(checks), accepted, quarantined)


def _check(table: str, frame: pl.DataFrame, suite: Sequence[Any]) -> tuple[list[CheckResult], list[str | None]]:
    """The results of a table's suite, and for each row why it is refused (None where it is not)."""
    reasons: list[str | None] = [None] * frame.height
    if not suite:
        return [], reasons
    results = []
    for outcome in _run_suite(table, frame, suite):
        check = _interpret(table, outcome)
        results.append(check)
        if check.severity == "row" and not check.success and not check.error:
            for index in outcome.result.get("unexpected_index_list") or ():
                previous = reasons[index]
                reasons[index] = check.name if previous is None else f"{previous}; {check.name}"
    return results, reasons


def _run_suite(table: str, frame: pl.DataFrame, suite: Sequence[Any]) -> Sequence[Any]:
    os.environ.setdefault("GX_ANALYTICS_ENABLED", "False")
    import great_expectations as gx
    from great_expectations.data_context.types.base import ProgressBarsConfig

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    asset = context.data_sources.add_pandas("landed").add_dataframe_asset(table)
    batch = asset.add_batch_definition_whole_dataframe("partition").get_batch({"dataframe": frame.to_pandas()})
    named = gx.ExpectationSuite(name=table, expectations=list(suite))
    outcome: Sequence[Any] = batch.validate(named, result_format={"result_format": "COMPLETE"}).results
    return outcome


def _interpret(table: str, outcome: Any) -> CheckResult:
    config = outcome.expectation_config
    severity = (config.meta or {}).get("severity", "batch")
    if severity not in SEVERITIES:
        raise ValueError(
            f"{table}: {config.type}: meta.severity is {severity!r}; expected one of {', '.join(SEVERITIES)}"
        )
    column = config.kwargs.get("column") or "+".join(config.kwargs.get("column_list", ())) or None
    unexpected = int(outcome.result.get("unexpected_count") or 0)
    error = _error(outcome)
    if error is None and severity == "row" and not outcome.success and "unexpected_index_list" not in outcome.result:
        error = "severity row needs an expectation that is decided row by row"
    observed = outcome.result.get("observed_value")
    return CheckResult(
        table=table,
        expectation=config.type,
        column=column,
        severity=severity,
        success=bool(outcome.success) and error is None,
        unexpected=unexpected,
        observed=None if observed is None else str(observed),
        error=error,
    )


def _error(outcome: Any) -> str | None:
    """The message of an exception inside the engine: Great Expectations reports it as a mere failure."""
    info = outcome.exception_info or {}
    entries = [info] if "raised_exception" in info else list(info.values())
    messages = [str(entry.get("exception_message")) for entry in entries if entry.get("raised_exception")]
    return messages[0] if messages else None
