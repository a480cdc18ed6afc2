"""Every kind of bad rows and columns: what a user is told, and that nothing wrong is published."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from include import alerts
from include.contract.loading import Folder
from include.ingestion import ingest, replay, versions
from include.ingestion.quarantine import REASON
from include.ingestion.validation import RefusedBatchError
from include.settings import get_settings
from tests.ingestion import shop as shops
from tests.ingestion.bad_input import DAY, FOURTH, NEXT, assert_nothing_quarantined, put_aside, refused


def test_duplicate_keys_refuse_the_batch(open_shop: Folder) -> None:
    frame = shops.orders(DAY)
    shops.deliver(DAY, pl.concat([frame, frame.head(1).with_columns(shop=pl.lit("elsewhere"))]))
    refused(open_shop, f"expect_column_values_to_be_unique(id): 2 unexpected values (e.g. {DAY}/0)")


def test_repeated_rows_refuse_the_batch(open_shop: Folder) -> None:
    frame = shops.orders(DAY)
    shops.deliver(DAY, pl.concat([frame, frame.head(1)]))
    refused(open_shop, "expect_column_values_to_be_unique(id): 2", "expect_compound_columns_to_be_unique(shop+at): 2")


def test_rows_without_a_key_are_quarantined(open_shop: Folder) -> None:
    frame = shops.orders(DAY).with_columns(id=pl.when(pl.int_range(pl.len()) > 57).then(None).otherwise("id"))
    shops.deliver(DAY, frame)
    done = shops.bring_in(open_shop, DAY)
    assert (done.landed, done.accepted, done.quarantined) == (60, 58, 2)
    assert_frame_equal(shops.published(DAY), frame.head(58))
    assert put_aside()["landed_row"].to_list() == [58, 59]
    assert put_aside()[REASON].to_list() == ["expect_column_values_to_not_be_null(id)"] * 2


def test_a_key_that_is_nan_is_a_missing_key(shop: Folder) -> None:
    number = pl.int_range(pl.len()).cast(pl.Float64)
    frame = shops.orders(DAY).with_columns(id=pl.when(number >= 58).then(float("nan")).otherwise(number))
    shops.deliver(DAY, frame)
    assert shops.bring_in(shop, DAY).quarantined == 2
    assert put_aside()["id"].to_list() == [None, None]
    assert shops.published(DAY)["id"].to_list() == [float(number) for number in range(58)]


def test_prices_ten_times_the_usual_refuse_the_batch(open_shop: Folder) -> None:
    shops.deliver(DAY, shops.orders(DAY).with_columns(pl.col("price") * 10))
    refused(open_shop, "unit change: price: values are 10 times the usual (median ")


def test_a_new_unit_that_is_accepted_is_usual_from_then_on(open_shop: Folder) -> None:
    for key in (DAY, NEXT):
        shops.deliver(key, shops.orders(key).with_columns(pl.col("price") * 10))
    refused(open_shop, "unit change: price")
    shops.bring_in(open_shop, DAY, accept_changes=True)
    assert shops.record(DAY)["changes"][0]["kind"] == "unit change"
    assert alerts.open_alerts("shop") == []
    assert not (get_settings().refused / "shop" / DAY).exists()
    shops.bring_in(open_shop, NEXT)
    assert (shops.record(NEXT)["changes"], shops.record(NEXT)["warnings"]) == ([], [])


CHANGED: dict[str, Any] = {
    "renamed column: pieces: was called amount before": lambda frame: frame.rename({"amount": "pieces"}),
    "gone column: amount: the column (Int64) is missing": lambda frame: frame.drop("amount"),
    "retyped column: amount: the type is String, before Int64": lambda frame: frame.cast({"amount": pl.String}),
}


@pytest.mark.parametrize("change", CHANGED)
def test_a_changed_column_refuses_the_batch_until_it_is_accepted(open_shop: Folder, change: str) -> None:
    for key in (DAY, NEXT):
        shops.deliver(key, CHANGED[change](shops.orders(key)))
    refused(open_shop, change)
    shops.bring_in(open_shop, DAY, accept_changes=True)
    assert_frame_equal(shops.published(DAY), CHANGED[change](shops.orders(DAY)))
    assert change in shops.record(DAY)["warnings"][0]
    assert alerts.open_alerts("shop") == []
    shops.bring_in(open_shop, NEXT)
    assert shops.record(NEXT)["changes"] == []


def test_a_column_that_the_suite_names_cannot_be_accepted_away(open_shop: Folder) -> None:
    shops.deliver(DAY, shops.orders(DAY).drop("price"))
    refused(open_shop, 'between(price): Error: The column "price" in BatchData does not exist', "gone column: price")
    before = versions.head()
    with pytest.raises(RefusedBatchError, match="price") as caught:
        shops.bring_in(open_shop, DAY, accept_changes=True)
    assert "accept the change" not in str(caught.value)
    assert versions.head() == before


def test_a_new_column_is_recorded_and_published(open_shop: Folder) -> None:
    frame = shops.orders(DAY).with_columns(note=pl.lit("x"))
    shops.deliver(DAY, frame)
    shops.bring_in(open_shop, DAY)
    assert_frame_equal(shops.published(DAY), frame)
    assert shops.record(DAY)["warnings"] == ["orders: new column: note: a column (String) that was not there before"]


def test_a_new_category_is_recorded_and_published(open_shop: Folder) -> None:
    frame = shops.orders(DAY).with_columns(shop=pl.when(FOURTH).then(pl.lit("west")).otherwise("shop"))
    shops.deliver(DAY, frame)
    shops.bring_in(open_shop, DAY)
    assert_frame_equal(shops.published(DAY), frame)
    (warning,) = shops.record(DAY)["warnings"]
    assert warning == "orders: new category: shop: none of the last 5 partitions has 'west' (1 row)"


def test_a_column_of_the_same_name_in_capitals_hides_no_bad_rows(shop: Folder) -> None:
    bad = pl.when(FOURTH).then(-1.0).otherwise("price")
    frame = shops.orders(DAY).select(pl.col("price").alias("PRICE"), pl.exclude("price"), price=bad)
    shops.deliver(DAY, frame)
    with pytest.raises(ValueError, match=r"PRICE.*price"):
        shops.bring_in(shop, DAY)
    assert versions.keys("shop", versions.head()) == []


def test_too_many_bad_rows_refuse_the_batch_until_the_source_is_mended(open_shop: Folder) -> None:
    worse = pl.when(pl.int_range(pl.len()) < 11).then(-1.0).otherwise("price")
    shops.deliver(DAY, shops.orders(DAY).with_columns(price=worse))
    few = "between(price): 11 rows fail where at most 10 may go to quarantine (ingestion.quarantine_limit)"
    refused(open_shop, few)
    days = shops.days(open_shop, [DAY])
    assert replay.choose(open_shop, None, None, "(price)") == days

    replay.bring_back(open_shop, days, from_source=False)
    with pytest.raises(RefusedBatchError, match="11 rows fail"):
        ingest.check(open_shop, days)
    assert len(alerts.open_alerts("shop")) == 1

    shops.deliver(DAY)
    replay.bring_back(open_shop, days, from_source=True)
    ingest.check(open_shop, days)
    assert (get_settings().refused / "shop" / DAY).is_dir()
    assert ingest.publish(open_shop, days, origin="replay").accepted == 60
    assert alerts.open_alerts("shop") == []
    assert not (get_settings().refused / "shop" / DAY).exists()
    assert_frame_equal(shops.published(DAY), shops.orders(DAY))


def test_as_many_bad_rows_as_are_allowed_are_quarantined(open_shop: Folder) -> None:
    bad = pl.when(pl.int_range(pl.len()) < 10).then(-1.0).otherwise("price")
    shops.deliver(DAY, shops.orders(DAY).with_columns(price=bad))
    shops.bring_in(open_shop, DAY)
    assert put_aside().height == 10
    reason = "orders: expect_column_values_to_be_between(price)"
    assert ingest.quarantined(open_shop, [DAY], versions.head()) == {reason: 10}


def test_quarantined_rows_come_back_when_the_suite_was_wrong(
    open_shop: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    dear = shops.orders(DAY).with_columns(price=pl.when(FOURTH).then(20_000.0).otherwise("price"))
    shops.deliver(DAY, dear)
    shops.bring_in(open_shop, DAY)
    assert put_aside().height == 1
    shops.source(DAY).unlink()
    days, suites = shops.days(open_shop, [DAY]), open_shop.expectations.suites

    def mended(batch: Any) -> dict[str, list[Any]]:
        return {"orders": [each for each in suites(batch)["orders"] if getattr(each, "column", "") != "price"]}

    monkeypatch.setattr(open_shop.expectations, "suites", mended)
    replay.bring_back(open_shop, days, from_source=False)
    ingest.check(open_shop, days)
    ingest.publish(open_shop, days, origin="replay")
    assert_nothing_quarantined()
    assert_frame_equal(shops.published(DAY), dear)


def test_a_refused_day_refuses_the_whole_run(open_shop: Folder) -> None:
    before = versions.head()
    shops.deliver(NEXT)
    frame = shops.orders(DAY)
    shops.deliver(DAY, pl.concat([frame, frame]))
    with pytest.raises(RefusedBatchError, match=DAY):
        shops.bring_in(open_shop, DAY, NEXT)
    with pytest.raises(FileNotFoundError, match=f"{DAY}: not staged; the task `check` comes first"):
        ingest.publish(open_shop, shops.days(open_shop, [DAY, NEXT]), origin="test")
    assert versions.head() == before
    assert [alert.key for alert in alerts.open_alerts("shop")] == [DAY]


def test_what_was_staged_before_a_refusal_is_not_published(open_shop: Folder) -> None:
    shops.deliver(DAY)
    shops.examine(open_shop, DAY)
    before = versions.head()
    shops.deliver(DAY, pl.concat([shops.orders(DAY)] * 2))
    with pytest.raises(RefusedBatchError):
        shops.examine(open_shop, DAY)
    with pytest.raises(FileNotFoundError, match="not staged"):
        ingest.publish(open_shop, shops.days(open_shop, [DAY]), origin="test")
    assert versions.head() == before
