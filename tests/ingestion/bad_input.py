"""What the tests of bad deliveries look at: what was said, refused and put aside."""

from __future__ import annotations

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from include import alerts
from include.contract.loading import Folder
from include.files import read_json
from include.ingestion import quarantine, versions
from include.ingestion.batch import RECORD
from include.ingestion.validation import RefusedBatchError
from include.settings import get_settings
from tests.ingestion import shop as shops

DAY, NEXT = shops.KEYS[7], shops.KEYS[8]
FOURTH = pl.col("id") == f"{DAY}/3"


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
