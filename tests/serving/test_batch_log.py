"""The file of a partition's predictions."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from include.serving import batch_log

pytestmark = pytest.mark.usefixtures("home")

NOON = datetime(2013, 5, 1, 12, tzinfo=UTC)


def batch(rows: int = 2, **columns: Any) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "request_id": [f"r{number}" for number in range(rows)],
            "trip_id": list(range(rows)),
            "event_timestamp": pl.Series([NOON] * rows, dtype=pl.Datetime("us", "UTC")),
            "prediction": [0.5] * rows,
            "model_version": [1] * rows,
            "run_id": ["run"] * rows,
            **columns,
        }
    )


def test_a_batch_is_replaced_whole(home: Path) -> None:
    path = batch_log.write("trips", "2013-05-01", batch(2, distance=[1.0, 2.0]))
    batch_log.write("trips", "2013-05-01", batch(1, distance=[3.0]))
    batch_log.write("trips", "2013-05-02T03", batch(1, wind=[3]))
    assert [each.name for each in path.parent.iterdir() if each.name.startswith(".")] == []
    frame = batch_log.read("trips", ["2013-05-01", "2013-05-02T03", "2013-05-09"])
    assert frame.columns == [*batch().columns, "distance", "wind"]
    assert frame["distance"].to_list() == [3.0, None]
    assert frame["wind"].to_list() == [None, 3]
    assert batch_log.read("trips", ["2013-05-09"]).columns == list(batch_log.REQUIRED)


@pytest.mark.parametrize("key", ["2013-05-01/2013-05-03", "", "../elsewhere"])
def test_a_batch_is_of_one_partition(key: str) -> None:
    with pytest.raises(ValueError, match="not the key of one partition"):
        batch_log.write("trips", key, batch())


def test_a_batch_with_wrong_columns_is_refused(home: Path) -> None:
    with pytest.raises(ValueError, match="column run_id"):
        batch_log.write("trips", "2013-05-01", batch().drop("run_id"))
    with pytest.raises(ValueError, match="column event_timestamp"):
        batch_log.write(
            "trips",
            "2013-05-01",
            batch().with_columns(pl.lit(NOON).dt.replace_time_zone(None).alias("event_timestamp")),
        )
    assert batch_log.read("trips", ["2013-05-01"]).height == 0
