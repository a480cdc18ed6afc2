from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from include import alerts
from include.contract.authoring import NotThereYet
from include.contract.loading import Folder
from include.ingestion import ingest, landing
from include.settings import get_settings
from tests.ingestion import shop as shops

DAY = "2013-01-08"
Says = Callable[[Any], None]


@pytest.fixture
def says(shop: Folder, monkeypatch: pytest.MonkeyPatch) -> Says:
    """Lets the source say something else; an exception is raised."""

    def read(answer: Any) -> Any:
        if isinstance(answer, Exception):
            raise answer
        return answer

    def say(answer: Any) -> None:
        monkeypatch.setattr(shop.source, "read", lambda partition: read(answer))

    return say


def landed(shop: Folder, key: str = DAY) -> dict[str, pl.DataFrame]:
    partitions = shops.days(shop, [key])
    landing.land(shop, partitions)
    return {name: pl.read_parquet(path) for name, path in landing.tables(landing.folder(shop, partitions[0])).items()}


def digests(shop: Folder) -> dict[str, str]:
    (day,) = shops.days(shop, [DAY])
    return {
        name: hashlib.md5(path.read_bytes()).hexdigest()
        for name, path in landing.tables(landing.folder(shop, day)).items()
    }


def leftovers(shop: Folder) -> list[Path]:
    return list(landing.folder(shop, shops.days(shop, [DAY])[0]).parent.glob(".*"))


def test_what_the_source_says_lands_unchanged(shop: Folder, says: Says) -> None:
    tables = {
        "orders": shops.orders(DAY),
        "odd": pl.DataFrame(
            {
                "text": ["", "ü\n,\"'", None],
                "whole": pl.Series([1, None, -(2**62)], dtype=pl.Int64),
                "small": pl.Series([1, None, 255], dtype=pl.UInt8),
                "yes": [True, None, False],
                "day": [datetime(2013, 1, 1, tzinfo=UTC).date(), None, None],
                "wall": pl.Series(["2013-01-01 02:03", None, None]).str.to_datetime("%Y-%m-%d %H:%M"),
                "bytes": [b"\x00", None, b""],
                "infinite": [float("inf"), float("-inf"), None],
                "several": [[1, 2], None, []],
            }
        ),
    }
    says(tables)
    found = landed(shop)
    assert list(found) == ["odd", "orders"]
    for name, frame in tables.items():
        assert_frame_equal(found[name], frame)


@pytest.mark.parametrize("unit", ["ms", "us", "ns"])
def test_instants_become_utc_microseconds(shop: Folder, says: Says, unit: Any) -> None:
    local = pl.Series(["2013-07-01 02:30", None]).str.to_datetime("%Y-%m-%d %H:%M", time_unit=unit)
    says({"orders": pl.DataFrame({"at": local.dt.replace_time_zone("America/New_York")})})
    at = landed(shop)["orders"]["at"]
    assert at.dtype == pl.Datetime("us", "UTC")
    assert at.to_list() == [datetime(2013, 7, 1, 6, 30, tzinfo=UTC), None]


def test_nan_becomes_null(shop: Folder, says: Says) -> None:
    frame = pl.DataFrame({"price": [1.0, float("nan"), None], "small": pl.Series([float("nan")] * 3, dtype=pl.Float32)})
    says({"orders": frame})
    found = landed(shop)["orders"]
    assert found.rows() == [(1.0, None), (None, None), (None, None)]
    assert found.schema == frame.schema


BIG = """
import resource, sys
from pathlib import Path
import polars as pl
from include.contract.loading import load_use_case
from include.ingestion import landing

shop = load_use_case("shop")
part = Path(sys.argv[1])
big = lambda partition: {"orders": pl.scan_parquet([part] * 60)}
small = lambda partition: {"orders": pl.scan_parquet(part)}
for shop.source.read in (small, big):
    landing.land(shop, [shop.config.calendar.partition("2013-01-08")])
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


def test_a_table_larger_than_memory_is_streamed(shop: Folder, tmp_path: Path) -> None:
    numbers = pl.int_range(100_000, eager=True)
    pl.DataFrame(dict.fromkeys("abcdefgh", numbers)).write_parquet(tmp_path / "part.parquet")
    command = [sys.executable, "-c", BIG, str(tmp_path / "part.parquet")]
    printed = subprocess.run(command, check=True, capture_output=True, text=True, cwd=Path.cwd()).stdout
    small, big = map(int, printed.split())
    (day,) = shops.days(shop, [DAY])
    path = landing.tables(landing.folder(shop, day))["orders"]
    assert pl.scan_parquet(path).select(pl.len()).collect().item() == 6_000_000
    in_memory = 6_000_000 * 8 * 8 // 2**20
    assert big - small < in_memory / 2


def test_landing_twice_gives_the_same_bytes(shop: Folder) -> None:
    shops.deliver(DAY)
    landed(shop)
    before = digests(shop)
    landed(shop)
    assert digests(shop) == before
    assert not leftovers(shop)


def test_the_second_landing_replaces_the_first_whole(shop: Folder, says: Says) -> None:
    says({"orders": shops.orders(DAY), "returns": shops.orders(DAY)})
    landed(shop)
    says({"orders": shops.orders(DAY, rows=3)})
    assert {name: frame.height for name, frame in landed(shop).items()} == {"orders": 3}


FAILURES: dict[str, Any] = {
    "the source is down": ConnectionError("the source is down"),
    "returned no table": {},
    "returned a list for 'orders', not a frame": {"orders": [1, 2]},
    "returned a DataFrame for 'orders', not a frame": {"orders": shops.orders(DAY).head(1).to_pandas()},
    "returned a list for 'returns', not a frame": {"orders": shops.orders(DAY, rows=1), "returns": []},
    "nowhere": {"orders": pl.LazyFrame({"id": [1]}).select("nowhere")},
}


@pytest.mark.parametrize("message", FAILURES)
def test_an_error_leaves_the_earlier_landing_as_it_was(shop: Folder, says: Says, message: str) -> None:
    shops.deliver(DAY)
    landed(shop)
    before = digests(shop)
    says(FAILURES[message])
    with pytest.raises(Exception, match=message):
        landed(shop)
    assert digests(shop) == before
    assert not leftovers(shop)


def test_an_error_of_what_was_delivered_names_the_use_case_the_partition_and_the_table(
    shop: Folder, says: Says
) -> None:
    says({"orders": shops.orders(DAY), "returns": pl.LazyFrame({"id": [1]}).select("nowhere")})
    with pytest.raises(pl.exceptions.PolarsError) as caught:
        landed(shop)
    said = " ".join([str(caught.value), *getattr(caught.value, "__notes__", ())])
    assert "shop" in said and DAY in said and "returns" in said


def test_an_empty_table_is_a_fact(shop: Folder) -> None:
    shops.deliver(DAY, shops.orders(DAY, rows=0))
    found = landed(shop)["orders"]
    assert found.height == 0
    assert found.schema == shops.orders(DAY).schema


def test_what_has_not_landed_is_named(shop: Folder) -> None:
    (day,) = shops.days(shop, [DAY])
    with pytest.raises(FileNotFoundError, match="2013-01-08: not landed; the task `land` comes first"):
        ingest.check(shop, [day])


@pytest.mark.parametrize("reserved", ["landed_row", "quarantine_reason", "quarantine_value", "file_row_number"])
def test_a_column_with_a_name_of_the_quarantine_is_refused_by_name(shop: Folder, reserved: str) -> None:
    shops.deliver(DAY, shops.orders(DAY).with_columns(pl.lit(1).alias(reserved)))
    with pytest.raises(ValueError, match=reserved):
        landed(shop)


@pytest.mark.parametrize(("column", "size"), [("shop", 1001), ("bytes", 2000)])
def test_a_value_that_is_too_large_is_refused_by_name(shop: Folder, column: str, size: int) -> None:
    shops.deliver(DAY)
    careful = shops.with_settings(shop, largest_value=1000)
    landed(careful)
    before = digests(shop)
    value = pl.lit(bytes(size)) if column == "bytes" else pl.lit("ü" * (size // 2) + "x")
    shops.deliver(DAY, shops.orders(DAY).with_columns(value.alias(column)))
    expected = (
        rf"source\.py: 2013-01-08: orders: a value of '{column}' has {size:,} bytes; ingestion\.largest_value .* 1,000"
    )
    with pytest.raises(ValueError, match=expected):
        landed(careful)
    assert digests(shop) == before
    assert not leftovers(shop)


def test_the_largest_value_that_is_allowed_lands(shop: Folder) -> None:
    shops.deliver(DAY, shops.orders(DAY).with_columns(note=pl.lit("x" * 1000)))
    assert landed(shops.with_settings(shop, largest_value=1000))["orders"]["note"].str.len_bytes().max() == 1000


def changes_of_alerts() -> list[tuple[str, str, str]]:
    path = get_settings().alerts / "shop.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    return [(change["kind"], change["key"], change["state"]) for change in map(json.loads, lines)]


def test_a_late_delivery_has_one_alert_that_its_coming_resolves(shop: Folder) -> None:
    partitions = shops.days(shop, ["2013-01-07", DAY])
    shops.deliver("2013-01-07")
    for _ in range(3):
        assert not landing.arrived(shop, partitions)
    (alert,) = alerts.open_alerts("shop")
    assert (alert.kind, alert.key) == ("late data", DAY)
    assert alert.message.startswith("was due 2013-01-09T06:00+00:00 (2013-01-08 is not in ")
    shops.deliver(DAY)
    for _ in range(3):
        assert landing.arrived(shop, partitions)
    assert changes_of_alerts() == [("late data", DAY, "open"), ("late data", DAY, "resolved")]
    assert [len(landing.tables(landing.folder(shop, partition))) for partition in partitions] == [1, 1]


def test_a_delivery_that_is_still_in_time_raises_no_alert(shop: Folder) -> None:
    yesterday = shop.config.calendar.containing(datetime.now(UTC) - timedelta(days=1))
    patient = shops.with_settings(shop, late_after=timedelta(days=2))
    assert not landing.arrived(patient, [yesterday])
    assert not landing.arrived(shop, [shop.config.calendar.shift(yesterday, 1)])
    assert changes_of_alerts() == []
    assert not landing.arrived(shops.with_settings(shop, late_after=timedelta(0)), [yesterday])
    assert changes_of_alerts() == [("late data", yesterday.key, "open")]


def test_a_delivery_is_late_beyond_its_time_and_not_at_it(new_york_shop: Folder) -> None:
    (day,) = shops.days(new_york_shop, ["2013-11-03"])
    due = datetime(2013, 11, 4, 5 + 6, tzinfo=UTC)
    config = new_york_shop.config.ingestion
    assert landing.lateness(day, due, config) is None
    assert landing.lateness(day, due + timedelta(seconds=1), config) == "was due 2013-11-04T11:00+00:00"


def test_a_failing_source_is_not_a_late_one(shop: Folder, says: Says) -> None:
    says(ConnectionError("the source is down"))
    with pytest.raises(ConnectionError):
        landing.arrived(shop, shops.days(shop, [DAY]))
    assert changes_of_alerts() == []


def test_a_delivery_that_is_missing_leaves_the_earlier_landing(shop: Folder, says: Says) -> None:
    shops.deliver(DAY)
    landed(shop)
    before = digests(shop)
    says(NotThereYet("not today"))
    assert not landing.arrived(shop, shops.days(shop, [DAY]))
    assert digests(shop) == before
