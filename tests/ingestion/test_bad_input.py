"""Every kind of bad delivery: what a user is told, and that nothing wrong is published."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from include import alerts
from include.contract.loading import Folder
from include.files import read_json
from include.ingestion import ingest, quarantine, replay, versions
from include.ingestion.batch import RECORD
from include.ingestion.quarantine import REASON, VALUE
from include.ingestion.validation import RefusedBatchError
from include.settings import get_settings
from tests.ingestion import shop as shops

PAST, DAY, NEXT = shops.KEYS[2:7], shops.KEYS[7], shops.KEYS[8]
FOURTH = pl.col("id") == f"{DAY}/3"


@pytest.fixture
def open_shop(shop: Folder) -> Folder:
    """As many days are published as show what is usual."""
    for key in PAST:
        shops.deliver(key)
    shops.bring_in(shop, *PAST)
    return shop


def said(error: BaseException) -> str:
    return " ".join([str(error), *getattr(error, "__notes__", ())])


def refused(shop: Folder, *expected: str) -> None:
    """The batch is refused for these reasons and for no others, kept, and watched over by an alert."""
    before = versions.head()
    with pytest.raises(RefusedBatchError) as caught:
        shops.bring_in(shop, DAY)
    assert f"partition {DAY} is refused: orders: " in str(caught.value)
    assert "mend the source or the suite, then run shop.replay for it" in str(caught.value)
    (alert,) = alerts.open_alerts("shop")
    assert (alert.kind, alert.key) == ("refused batch", DAY)
    kept = get_settings().refused / "shop" / DAY
    failures = read_json(kept / RECORD)["failures"]
    assert alert.message == "; ".join(failures)
    assert len(failures) == len(expected)
    for failure, part in zip(failures, expected, strict=True):
        assert part in failure and failure in str(caught.value)
    assert_frame_equal(pl.read_parquet(kept / "orders.parquet"), pl.read_parquet(shops.source(DAY)))
    assert versions.head() == before


def put_aside(key: str = DAY) -> pl.DataFrame:
    return pl.read_parquet(versions.files("shop", versions.head(), [key])[key][f"{quarantine.FOLDER}/orders.parquet"])


def assert_nothing_quarantined(key: str = DAY) -> None:
    assert list(versions.files("shop", versions.head(), [key])[key]) == [
        "orders.parquet",
        "profile.json",
        "validation.json",
    ]


@pytest.mark.parametrize("size", [0, 3, 1000])
def test_a_truncated_parquet_file_is_named(open_shop: Folder, size: int) -> None:
    before = versions.head()
    path = shops.deliver(DAY)
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(pl.exceptions.ComputeError, match="parquet") as caught:
        shops.bring_in(open_shop, DAY)
    assert versions.head() == before
    assert DAY in said(caught.value) and "orders" in said(caught.value)


@pytest.mark.parametrize(
    "content",
    [b"", "id,at,price,amount,shop\n1,2013-01-08T01:00:00Z,1,1,Süd\n".encode("latin-1")],
    ids=["empty", "latin-1"],
)
def test_an_unreadable_csv_file_is_named(open_shop: Folder, content: bytes) -> None:
    before = versions.head()
    shops.source(DAY, "csv").write_bytes(content)
    with pytest.raises(pl.exceptions.PolarsError, match=r"empty CSV|invalid utf-8 sequence") as caught:
        shops.bring_in(open_shop, DAY)
    assert versions.head() == before
    assert DAY in said(caught.value) and "orders" in said(caught.value)


def test_a_csv_file_of_utf_8_is_taken(open_shop: Folder) -> None:
    frame = shops.orders(DAY).with_columns(shop=pl.lit("Süd"))
    frame.with_columns(pl.col("at").dt.strftime("%Y-%m-%dT%H:%M:%S%z")).write_csv(shops.source(DAY, "csv"))
    shops.bring_in(open_shop, DAY)
    assert_frame_equal(shops.published(DAY), frame)


def test_an_empty_day_is_published_as_a_fact(open_shop: Folder) -> None:
    shops.deliver(DAY, shops.orders(DAY, rows=0))
    done = shops.bring_in(open_shop, DAY)
    assert (done.landed, done.accepted, done.quarantined, done.changed) == (0, 0, 0, (DAY,))
    assert_frame_equal(shops.published(DAY), shops.orders(DAY, rows=0))
    assert shops.record(DAY)["warnings"] == ["orders: expect_table_row_count_to_be_between: 0"]
    shops.deliver(NEXT)
    shops.bring_in(open_shop, NEXT)
    assert shops.record(NEXT)["warnings"] == []


def test_an_empty_first_day_is_published_as_a_fact(shop: Folder) -> None:
    shops.deliver(DAY, shops.orders(DAY, rows=0))
    assert shops.bring_in(shop, DAY).changed == (DAY,)
    shops.deliver(NEXT)
    shops.bring_in(shop, NEXT)
    assert shops.record(NEXT)["warnings"] == []


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


GIANT = """
import sys
import pyarrow as pa
from pyarrow import parquet
table = pa.table({"id": pa.array(["x" * 2**30], pa.large_string())})
parquet.write_table(table, sys.argv[1], write_statistics=False, use_dictionary=False, compression="zstd")
"""
LANDING = """
import resource
from include.contract.loading import load_use_case
from include.ingestion import landing
shop = load_use_case("shop")
try:
    landing.land(shop, [shop.config.calendar.partition("2013-01-08")])
except ValueError as error:
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20)
    print(error)
"""


def python(program: str, *arguments: str) -> str:
    command = [sys.executable, "-c", program, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True, cwd=Path.cwd()).stdout


@pytest.mark.faults
def test_one_value_of_a_gigabyte_is_refused_by_name(open_shop: Folder) -> None:
    python(GIANT, str(shops.source(DAY)))
    peak, message = python(LANDING).splitlines()
    assert message.endswith(
        "source.py: 2013-01-08: orders: a value of 'id' has 1,073,741,824 bytes; "
        "ingestion.largest_value in use_case.yaml allows 1,000,000"
    )
    assert float(peak) < 4  # gigabytes
    assert list((get_settings().work / "landed" / "shop").glob(f"*{DAY}*")) == []


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
