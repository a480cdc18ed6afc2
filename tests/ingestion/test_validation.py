from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import great_expectations.expectations as gxe
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from include.ingestion.quarantine import REASON, ROW, VALUE
from include.ingestion.validation import RefusedBatchError, Validation, validate

QUARANTINE = {"severity": "row"}
ORDERS = pl.DataFrame({"id": [1, 2, 3, 4], "price": [5.0, 900.0, None, 7.0], "shop": ["a", "b", "a", "z"]})
Check = Callable[..., Validation]


def between(**options: Any) -> gxe.ExpectColumnValuesToBeBetween:
    return gxe.ExpectColumnValuesToBeBetween(column="price", min_value=0, max_value=100, **options)


@pytest.fixture
def check(home: Path, tmp_path: Path) -> Check:
    def run(*suite: Any, table: pl.DataFrame = ORDERS, limit: float = 0.1) -> Validation:
        file = tmp_path / "orders.parquet"
        table.write_parquet(file)
        return validate("2013-01-01", {"orders": file}, {"orders": list(suite)}, limit=limit)

    return run


def refused(found: Validation) -> list[int]:
    return found.rejected["orders"][ROW].to_list() if found.rejected else []


def test_a_row_that_fails_is_refused_with_the_reason_and_the_value(check: Check) -> None:
    found = check(between(meta=QUARANTINE))
    assert found.success
    assert found.rejected["orders"].to_dicts() == [
        {ROW: 1, REASON: "expect_column_values_to_be_between(price)", VALUE: "900.0"}
    ]
    assert found.reasons == {"orders: expect_column_values_to_be_between(price)": 1}


def test_a_row_that_fails_twice_is_refused_once_with_both_reasons(check: Check) -> None:
    shops = gxe.ExpectColumnValuesToBeInSet(column="shop", value_set=["a"], meta=QUARANTINE)
    found = check(between(meta=QUARANTINE), shops)
    assert refused(found) == [1, 3]
    assert found.rejected["orders"][VALUE].to_list() == ["900.0; b", "z"]
    assert found.rejected["orders"][REASON][0].count(";") == 1


def test_a_rule_between_tables_can_refuse_rows(home: Path, tmp_path: Path) -> None:
    files = {"orders": tmp_path / "orders.parquet", "shops": tmp_path / "shops.parquet"}
    ORDERS.write_parquet(files["orders"])
    pl.DataFrame({"shop": ["a", "b"]}).write_parquet(files["shops"])
    query = f"SELECT {ROW}, shop FROM {{batch}} WHERE shop NOT IN (SELECT shop FROM shops)"
    rule = gxe.UnexpectedRowsExpectation(unexpected_rows_query=query, meta=QUARANTINE)
    found = validate("2013-01-01", files, {"orders": [rule], "shops": []}, limit=0.1)
    assert found.success
    assert found.rejected["orders"].to_dicts() == [{ROW: 3, REASON: "unexpected_rows_expectation", VALUE: "z"}]


def test_a_rule_may_look_at_the_past_of_a_table(home: Path, tmp_path: Path) -> None:
    now, before = tmp_path / "now.parquet", tmp_path / "before.parquet"
    ORDERS.write_parquet(now)
    pl.DataFrame({"id": [3, 9]}).write_parquet(before)
    query = f"SELECT {ROW}, id FROM {{batch}} WHERE id IN (SELECT id FROM orders_past WHERE partition >= '2012-12-31')"
    rule = gxe.UnexpectedRowsExpectation(unexpected_rows_query=query, meta=QUARANTINE)
    pasts: list[dict[str, Path]] = [{}, {"2012-12-30": before}, {"2012-12-31": before}]
    found = [
        validate("2013-01-01", {"orders": now}, {"orders": [rule]}, limit=0.1, past=lambda _, past=past: past)  # type: ignore[misc]
        for past in pasts
    ]
    assert [refused(each) for each in found] == [[], [], [2]]


@pytest.mark.parametrize(
    ("expectation", "passes"),
    [
        (gxe.ExpectColumnValuesToMatchRegex(column="shop", regex="^[a-z]$"), True),
        (gxe.ExpectColumnValuesToMatchRegex(column="shop", regex="^[a-b]$"), False),
        (gxe.ExpectColumnValuesToBeOfType(column="price", type_="DOUBLE"), True),
        (gxe.ExpectColumnValuesToBeOfType(column="price", type_="VARCHAR"), False),
        (gxe.ExpectTableColumnsToMatchSet(column_set=["id", "price", "shop"], exact_match=True), True),
        (gxe.ExpectTableColumnsToMatchSet(column_set=["id", "price"], exact_match=True), False),
        (gxe.ExpectColumnValuesToBeUnique(column="id"), True),
        (gxe.ExpectColumnValuesToBeUnique(column="shop"), False),
        (gxe.ExpectCompoundColumnsToBeUnique(column_list=["id", "shop"]), True),
        (gxe.ExpectColumnValuesToNotBeNull(column="price"), False),
        (gxe.ExpectColumnValuesToNotBeNull(column="price", mostly=0.7), True),
        (gxe.ExpectColumnMeanToBeBetween(column="price", min_value=300, max_value=308), True),
        (gxe.ExpectColumnMaxToBeBetween(column="price", max_value=800), False),
        (gxe.ExpectColumnDistinctValuesToEqualSet(column="shop", value_set=["a", "b", "z"]), True),
        (gxe.ExpectColumnPairValuesAToBeGreaterThanB(column_A="price", column_B="id"), True),
        (gxe.ExpectColumnValueLengthsToEqual(column="shop", value=1), True),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, bool) else str(value),
)
def test_the_expectations_of_the_library_are_computed(check: Check, expectation: Any, passes: bool) -> None:
    found = check(expectation)
    assert [each.error for each in found.checks] == [None]
    assert found.success is passes


def test_columns_may_have_names_that_sql_reserves(check: Check) -> None:
    table = pl.DataFrame({"at": [1, 2], "order": [1, 900], "a column": [1, 2], 'q"uote': [1, 2]})
    suite = [
        gxe.ExpectColumnMaxToBeBetween(column=name, max_value=1, meta={"severity": "warn"}) for name in table.columns
    ]
    found = check(*suite, table=table)
    assert [each.observed for each in found.checks] == ["2", "900", "2", "2"]


def test_equal_expectations_are_both_computed(check: Check) -> None:
    found = check(between(meta={"severity": "warn"}), between(meta=QUARANTINE), between(meta=QUARANTINE))
    assert [each.unexpected for each in found.checks] == [1, 1, 1]


def test_where_too_many_rows_fail_the_batch_is_refused(check: Check) -> None:
    table = pl.DataFrame({"price": [5.0] * 80 + [900.0] * 20})
    assert check(between(meta=QUARANTINE), table=table, limit=0.2).success
    found = check(between(meta=QUARANTINE), table=table, limit=0.19)
    assert not found.success
    assert "20 rows fail where at most 19 may go to quarantine" in found.failures[0]
    assert not found.rejected


def test_a_failure_shows_values(check: Check) -> None:
    assert check(between()).checks[0].examples == ("900.0",)


def test_a_batch_check_refuses_the_whole_partition(check: Check) -> None:
    found = check(gxe.ExpectTableRowCountToBeBetween(min_value=10))
    assert not found.success
    message = str(RefusedBatchError("shop", found))
    assert "partition 2013-01-01 is refused: orders: expect_table_row_count_to_be_between: 4" in message
    assert "shop.replay" in message


def test_without_a_severity_a_failure_refuses_the_batch(check: Check) -> None:
    assert not check(between()).success


def test_a_warning_is_recorded_and_changes_nothing(check: Check) -> None:
    found = check(between(meta={"severity": "warn"}))
    assert found.success
    assert not found.rejected
    assert found.warnings == ("orders: expect_column_values_to_be_between(price): 1 unexpected values (e.g. 900.0)",)


@pytest.mark.parametrize("severity", ["row", "warn", "batch"])
def test_a_check_that_cannot_be_computed_refuses_the_batch(check: Check, severity: str) -> None:
    found = check(gxe.ExpectColumnValuesToBeBetween(column="weight", min_value=0, meta={"severity": severity}))
    assert not found.success
    assert "weight" in found.failures[0]


def test_an_aggregate_cannot_have_the_severity_row(check: Check) -> None:
    found = check(gxe.ExpectTableRowCountToBeBetween(min_value=10, meta=QUARANTINE))
    assert "row by row" in found.failures[0]


def test_an_unknown_severity_is_refused(check: Check) -> None:
    with pytest.raises(ValueError, match="expected one of batch, row, warn"):
        check(between(meta={"severity": "fatal"}))


@pytest.mark.parametrize("suites", [{}, {"orders": [], "returns": []}])
def test_no_table_may_go_unchecked(tmp_path: Path, suites: dict[str, list[Any]]) -> None:
    with pytest.raises(ValueError, match="the source delivers the tables"):
        validate("2013-01-01", {"orders": tmp_path / "orders.parquet"}, suites, limit=0.1)


def test_an_empty_table_is_a_fact(check: Check) -> None:
    found = check(between(meta=QUARANTINE), gxe.ExpectColumnValuesToBeUnique(column="id"), table=ORDERS.clear())
    assert found.success
    assert not found.rejected


def test_equal_data_gives_equal_results(check: Check) -> None:
    first, second = (check(between(meta=QUARANTINE)) for _ in range(2))
    assert first.checks == second.checks
    assert first.rejected["orders"].equals(second.rejected["orders"])


@settings(
    max_examples=10, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)
@given(st.lists(st.one_of(st.none(), st.floats(-200, 200)), max_size=30))
def test_exactly_the_rows_that_fail_are_refused(check: Check, prices: list[float | None]) -> None:
    table = pl.DataFrame({"price": prices}, schema={"price": pl.Float64})
    found = check(between(meta=QUARANTINE), table=table, limit=1)
    expected = [row for row, price in enumerate(prices) if price is not None and not 0 <= price <= 100]
    assert refused(found) == expected
