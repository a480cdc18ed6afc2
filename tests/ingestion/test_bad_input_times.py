"""Times in another zone, in none, and beside the partition; days on which the clocks change."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from include.contract.loading import Folder
from include.ingestion.quarantine import REASON, VALUE
from tests.ingestion import shop as shops
from tests.ingestion.bad_input import DAY, FOURTH, put_aside, refused


def test_an_instant_of_new_york_is_the_same_instant_in_utc(open_shop: Folder) -> None:
    shops.deliver(DAY)
    revision = shops.bring_in(open_shop, DAY).revision
    shops.deliver(DAY, shops.orders(DAY).with_columns(pl.col("at").dt.convert_time_zone("America/New_York")))
    assert shops.bring_in(open_shop, DAY).revision == revision


WALL = pl.col("at").dt.convert_time_zone("America/New_York").dt.replace_time_zone(None)


def test_times_without_a_zone_are_named_where_they_had_one(open_shop: Folder) -> None:
    noon = pl.col("at").dt.hour().is_between(11, 13)
    shops.deliver(DAY, shops.orders(DAY).filter(noon).with_columns(WALL))
    refused(open_shop, "retyped column: at: the type is Datetime(time_unit='us', time_zone=None), before Datetime(")


def test_times_without_a_zone_are_taken_as_utc_on_the_first_day(shop: Folder) -> None:
    shops.deliver(DAY, shops.orders(DAY).with_columns(WALL))
    refused(shop, "expect_column_values_to_be_between(at): 13 rows fail where at most 10 may go to quarantine")


def local_day(key: str, hours: int) -> pl.DataFrame:
    """An order every half hour of a day in New York, in local time, as the shops write it."""
    frame = shops.orders(key, rows=2 * hours, timezone="America/New_York").with_columns(shop=pl.lit("north"))
    return frame.with_columns(pl.col("at").dt.convert_time_zone("America/New_York"))


@pytest.mark.parametrize(("key", "hours"), [("2013-11-03", 25), ("2013-03-10", 23), ("2013-11-04", 24)])
def test_each_hour_of_a_day_on_which_clocks_change_is_taken_once(new_york_shop: Folder, key: str, hours: int) -> None:
    frame = local_day(key, hours)
    shops.deliver(key, frame)
    done = shops.bring_in(new_york_shop, key)
    assert (done.landed, done.quarantined) == (2 * hours, 0)
    assert_frame_equal(shops.published(key), frame.with_columns(pl.col("at").dt.convert_time_zone("UTC")))
    assert shops.published(key)["at"].n_unique() == 2 * hours
    ones = frame.filter(pl.col("at").dt.hour() == 1).height
    assert ones == (4 if hours == 25 else 2)


@pytest.mark.parametrize(("key", "hours"), [("2013-11-03", 25), ("2013-03-10", 23)])
def test_the_hours_beside_a_day_on_which_clocks_change_are_not_its_own(
    new_york_shop: Folder, key: str, hours: int
) -> None:
    frame = local_day(key, hours)
    beside = [frame["at"][0] - timedelta(microseconds=1), frame["at"][-1] + timedelta(minutes=30)]
    strays = frame.head(2).with_columns(
        id=pl.Series(["before", "after"]), at=pl.Series(beside, dtype=pl.Datetime("us", "America/New_York"))
    )
    shops.deliver(key, pl.concat([frame, strays]))
    shops.bring_in(new_york_shop, key)
    assert put_aside(key)["id"].to_list() == ["before", "after"]


def test_times_in_the_future_of_the_partition_are_quarantined(open_shop: Folder) -> None:
    later = pl.col("at") + pl.duration(days=1)
    shops.deliver(DAY, shops.orders(DAY).with_columns(at=pl.when(FOURTH).then(later).otherwise("at")))
    done = shops.bring_in(open_shop, DAY)
    assert (done.landed, done.accepted, done.quarantined) == (60, 59, 1)
    assert put_aside()["id"].to_list() == [f"{DAY}/3"]
    assert put_aside()[REASON].to_list() == ["expect_column_values_to_be_between(at)"]
    assert put_aside()[VALUE][0].startswith("2013-01-09")
    assert f"{DAY}/3" not in shops.published(DAY)["id"]


def test_the_first_instant_after_the_partition_is_not_its_own(open_shop: Folder) -> None:
    ends = [datetime(2013, 1, 9, tzinfo=UTC) - timedelta(microseconds=1), datetime(2013, 1, 9, tzinfo=UTC)]
    last = shops.orders(DAY).tail(2).with_columns(at=pl.Series(ends, dtype=pl.Datetime("us", "UTC")))
    shops.deliver(DAY, pl.concat([shops.orders(DAY).head(58), last]))
    shops.bring_in(open_shop, DAY)
    assert put_aside()["id"].to_list() == [f"{DAY}/59"]
