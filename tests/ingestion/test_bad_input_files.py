"""Files that cannot be read, hold nothing, or hold too much: what a user is told."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from include.contract.loading import Folder
from include.ingestion import versions
from include.settings import get_settings
from tests.ingestion import shop as shops
from tests.ingestion.bad_input import DAY, NEXT, said


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
