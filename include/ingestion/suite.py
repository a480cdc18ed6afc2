"""Runs the expectations of one table and says what each of them found, and which rows it refuses."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import polars as pl

from include.ingestion.quarantine import REASON, ROW, VALUE
from include.records import Record

Severity = Literal["batch", "row", "warn"]
SEVERITIES = ("batch", "row", "warn")

REJECTED = {ROW: pl.Int64, REASON: pl.String, VALUE: pl.String}
EXAMPLES = 5
LONGEST_EXAMPLE = 100  # characters
NUMBER = "number"  # in an expectation's meta: its place in the suite


@dataclass(frozen=True)
class CheckResult(Record):
    """What one expectation found on one table. ``examples`` are values that it did not expect."""

    table: str
    expectation: str
    column: str | None
    severity: Severity
    success: bool
    unexpected: int
    observed: str | None
    examples: tuple[str, ...] = ()
    error: str | None = None

    @property
    def name(self) -> str:
        return f"{self.expectation}({self.column})" if self.column else self.expectation

    @property
    def finding(self) -> str:
        """Why it failed, in a few words."""
        seen = f" (e.g. {', '.join(self.examples)})" if self.examples else ""
        return self.error or self.observed or f"{self.unexpected} unexpected values{seen}"


def run(table: str, batch: Any, suite: Sequence[Any], most: int) -> tuple[list[CheckResult], pl.DataFrame, list[Any]]:
    """What the suite found, the refused rows, and Great Expectations' own results; ``most``: rows for quarantine.

    The refused rows: their position in the landed file, and all reasons and values for which they are refused.
    """
    outcomes = _run(batch, suite, most)
    results = [_interpret(table, outcome, most) for outcome in outcomes]
    return results, _rejected(zip(results, outcomes, strict=True)), outcomes


def _run(batch: Any, suite: Sequence[Any], most: int) -> list[Any]:
    """The outcomes of a suite, in its order.

    Counting is cheap, since it takes one query for all expectations; the failing values are only asked for where there
    are some, and the positions of all failing rows only where these go to quarantine and are at most ``most``.
    """
    counted = [each for each in suite if _is_row_by_row(each) and each.mostly == 1]
    described = [each for each in suite if each not in counted]
    outcomes = {
        **_validate(batch, counted, "BOOLEAN_ONLY"),
        **_validate(batch, described, "BASIC"),
    }
    failed = [each for each in counted if not outcomes[id(each)].success]
    outcomes |= _validate(batch, failed, "BASIC")
    to_quarantine = [
        each
        for each in suite
        if _severity(each) == "row"
        and not outcomes[id(each)].success
        and (outcomes[id(each)].result.get("unexpected_count") or 0) <= most
    ]
    outcomes |= _validate(batch, to_quarantine, "COMPLETE")
    return [outcomes[id(each)] for each in suite]


def _validate(batch: Any, expectations: Sequence[Any], detail: str) -> dict[int, Any]:
    """The outcomes by the identity of the expectation: Great Expectations returns them in an order of its own."""
    import great_expectations as gx

    if not expectations:
        return {}
    numbered = [each.copy(update={"meta": {**(each.meta or {}), NUMBER: n}}) for n, each in enumerate(expectations)]
    suite = gx.ExpectationSuite(name="suite", expectations=numbered)
    form: dict[str, Any] = {"result_format": detail}
    engine = batch.datasource.get_execution_engine()
    engine.rows_are_named = detail == "COMPLETE"
    if engine.rows_are_named:
        form["unexpected_index_column_names"] = [ROW]
    results = batch.validate(suite, result_format=form).results
    return {id(expectations[result.expectation_config.meta[NUMBER]]): result for result in results}


def _is_row_by_row(expectation: Any) -> bool:
    from great_expectations.expectations import expectation as kinds

    maps = (kinds.ColumnMapExpectation, kinds.ColumnPairMapExpectation, kinds.MulticolumnMapExpectation)
    return isinstance(expectation, maps)


def _severity(expectation: Any) -> Severity:
    severity: Severity = (expectation.meta or {}).get("severity", "batch")
    if severity not in SEVERITIES:
        raise ValueError(
            f"expectations.py: {type(expectation).__name__}: meta.severity is {severity!r}; "
            f"expected one of {', '.join(SEVERITIES)}"
        )
    return severity


def _interpret(table: str, outcome: Any, most: int) -> CheckResult:
    config, result = outcome.expectation_config, outcome.result
    severity: Severity = (config.meta or {}).get("severity", "batch")
    observed = result.get("observed_value")
    if config.type == "unexpected_rows_expectation":
        unexpected, observed = int(observed or 0), None
    else:
        unexpected = int(result.get("unexpected_count") or 0)
    error = _error(outcome)
    if error is None and severity == "row" and not outcome.success and _positions(outcome) is None:
        error = (
            f"{unexpected} rows fail where at most {most} may go to quarantine (ingestion.quarantine_limit)"
            if unexpected > most
            else "severity row needs an expectation that is decided row by row"
        )
    examples = dict.fromkeys(str(each)[:LONGEST_EXAMPLE] for each in result.get("partial_unexpected_list") or ())
    return CheckResult(
        table=table,
        expectation=config.type,
        column=_column(config.kwargs),
        severity=severity,
        success=bool(outcome.success) and error is None,
        unexpected=unexpected,
        observed=None if observed is None else str(observed),
        examples=tuple(examples)[:EXAMPLES],
        error=error,
    )


def _column(arguments: Mapping[str, Any]) -> str | None:
    pair = [arguments[key] for key in ("column_A", "column_B") if key in arguments]
    return arguments.get("column") or "+".join(arguments.get("column_list") or pair) or None


def _positions(outcome: Any) -> list[tuple[int, str]] | None:
    """The failing rows' positions and values; None where the expectation does not tell them all."""
    found = outcome.result.get("unexpected_index_list")
    if found is None:
        rows = outcome.result.get("details", {}).get("unexpected_rows")
        if rows is None or len(rows) != outcome.result.get("observed_value") or not all(ROW in row for row in rows):
            return None
        found = rows
    return [(row[ROW], ", ".join(str(value) for name, value in row.items() if name != ROW)) for row in found]


def _rejected(checked: Iterable[tuple[CheckResult, Any]]) -> pl.DataFrame:
    """Each refused row once, in order, with all reasons and the values that gave them."""
    found = [
        (position, check.name, value[:LONGEST_EXAMPLE])
        for check, outcome in checked
        if check.severity == "row" and not check.success and not check.error
        for position, value in _positions(outcome) or ()
    ]
    rows = pl.DataFrame(found, schema=REJECTED, orient="row")
    return rows.group_by(ROW, maintain_order=True).agg(pl.col(REASON, VALUE).str.join("; ")).sort(ROW)


def _error(outcome: Any) -> str | None:
    """The message of an exception inside the engine: Great Expectations reports it as a mere failure."""
    info = outcome.exception_info or {}
    entries = [info] if "raised_exception" in info else list(info.values())
    messages = [str(entry.get("exception_message")) for entry in entries if entry.get("raised_exception")]
    return messages[0] if messages else None
