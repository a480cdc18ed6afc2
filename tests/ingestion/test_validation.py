from __future__ import annotations

from typing import Any

import great_expectations.expectations as gxe
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from include.ingestion.validation import REASON, RefusedBatchError, validate

ROW = {"severity": "row"}
ORDERS = pl.DataFrame({"id": [1, 2, 3, 4], "price": [5.0, 900.0, None, 7.0], "shop": ["a", "b", "a", "z"]})


def between(**options: Any) -> gxe.ExpectColumnValuesToBeBetween:
    return gxe.ExpectColumnValuesToBeBetween(column="price", min_value=0, max_value=100, **options)


def check(*suite: Any, table: pl.DataFrame = ORDERS) -> Any:
    return validate("2013-01-01", {"orders": table}, {"orders": list(suite)})


def test_a_row_that_fails_is_quarantined_with_the_reason() -> None:
    found = check(between(meta=ROW))
    assert found.success
    assert found.accepted["orders"]["id"].to_list() == [1, 3, 4]
    refused = found.quarantined["orders"]
    assert refused["id"].to_list() == [2]
    assert refused[REASON].to_list() == ["expect_column_values_to_be_between(price)"]


def test_a_row_that_fails_twice_is_quarantined_once_with_both_reasons() -> None:
    shops = gxe.ExpectColumnValuesToBeInSet(column="shop", value_set=["a"], meta=ROW)
    found = check(between(meta=ROW), shops)
    assert found.quarantined["orders"]["id"].to_list() == [2, 4]
    assert found.quarantined["orders"][REASON][0].count(";") == 1


def test_a_batch_check_refuses_the_whole_partition() -> None:
    found = check(gxe.ExpectTableRowCountToBeBetween(min_value=10))
    assert not found.success
    assert "expect_table_row_count_to_be_between: 4" in str(RefusedBatchError(found))


def test_without_a_severity_a_failure_refuses_the_batch() -> None:
    assert not check(between()).success


def test_a_warning_is_recorded_and_changes_nothing() -> None:
    found = check(between(meta={"severity": "warn"}))
    assert found.success
    assert found.accepted["orders"].height == 4
    assert [check.name for check in found.warnings] == ["expect_column_values_to_be_between(price)"]


@pytest.mark.parametrize("severity", ["row", "warn", "batch"])
def test_a_check_that_cannot_be_computed_refuses_the_batch(severity: str) -> None:
    found = check(gxe.ExpectColumnValuesToBeBetween(column="weight", min_value=0, meta={"severity": severity}))
    assert not found.success
    assert "weight" in str(found.failures[0].error)


def test_an_aggregate_cannot_have_the_severity_row() -> None:
    found = check(gxe.ExpectTableRowCountToBeBetween(min_value=10, meta=ROW))
    assert "row by row" in str(found.failures[0].error)


def test_an_unknown_severity_is_refused() -> None:
    with pytest.raises(ValueError, match="expected one of batch, row, warn"):
        check(between(meta={"severity": "fatal"}))


@pytest.mark.parametrize("suites", [{}, {"orders": [], "returns": []}])
def test_no_table_may_go_unchecked(suites: dict[str, list[Any]]) -> None:
    with pytest.raises(ValueError, match="the source delivers the tables"):
        validate("2013-01-01", {"orders": ORDERS}, suites)


def test_an_empty_table_is_a_fact() -> None:
    found = check(between(meta=ROW), table=ORDERS.clear())
    assert found.success
    assert found.accepted["orders"].height == 0


def test_equal_data_gives_equal_records() -> None:
    assert check(between(meta=ROW)).record() == check(between(meta=ROW)).record()


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.one_of(st.none(), st.floats(-200, 200)), max_size=30))
def test_every_landed_row_is_accepted_or_quarantined(prices: list[float | None]) -> None:
    table = pl.DataFrame({"id": range(len(prices)), "price": prices}, schema={"id": pl.Int64, "price": pl.Float64})
    found = check(between(meta=ROW), table=table)
    ids = found.accepted["orders"]["id"].to_list() + found.quarantined["orders"]["id"].to_list()
    assert sorted(ids) == list(range(len(prices)))
    assert found.record()["counts"]["orders"]["landed"] == len(prices)
    assert all(price is None or 0 <= price <= 100 for price in found.accepted["orders"]["price"])
