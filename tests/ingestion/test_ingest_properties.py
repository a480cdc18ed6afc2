"""What holds of the ingestion of any orders: rows are conserved, and doing it again changes nothing."""

from __future__ import annotations

import math

import polars as pl
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from include.contract.loading import Folder
from include.ingestion import quarantine, replay, versions
from tests.ingestion import shop as shops

DAY = shops.KEYS[7]
PRICES = st.lists(st.none() | st.floats(-20_000, 20_000) | st.just(math.nan), min_size=0, max_size=25)


@settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(PRICES)
def test_rows_are_conserved_and_a_second_ingestion_and_a_replay_change_nothing(
    shop: Folder, prices: list[float | None]
) -> None:
    shop = shops.with_settings(shop, quarantine_limit=1.0)
    landed = shops.orders(DAY, rows=len(prices)).with_columns(pl.Series("price", prices, dtype=pl.Float64))
    shops.deliver(DAY, landed)
    first = shops.bring_in(shop, DAY)

    bad = sum(price is not None and not math.isnan(price) and not 0 <= price <= 10_000 for price in prices)
    assert (first.landed, first.accepted, first.quarantined) == (len(prices), len(prices) - bad, bad)
    files = versions.files("shop", first.revision, [DAY])[DAY]
    put_aside = files.get(f"{quarantine.FOLDER}/orders.parquet")
    ids = pl.read_parquet(files["orders.parquet"])["id"].to_list()
    ids += pl.read_parquet(put_aside)["id"].to_list() if put_aside else []
    assert sorted(ids) == sorted(landed["id"].to_list())

    assert shops.bring_in(shop, DAY).revision == first.revision
    partitions = shops.days(shop, [DAY])
    for from_source in (True, False):
        replay.bring_back(shop, partitions, from_source=from_source)
        shops.ingest.check(shop, partitions)
        assert shops.ingest.publish(shop, partitions, origin="again").revision == first.revision
