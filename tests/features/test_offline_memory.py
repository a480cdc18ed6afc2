"""A join done in parts, so that its working memory stays below the limit, gives the same answers."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from feast import FeatureView
from feast.types import Int64, String
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from include.features.offline.point_in_time import AsOf, values_as_of
from include.features.offline.store import PolarsOfflineStoreConfig
from include.features.offline.working_memory import parts_within
from tests.features.offline_feature_store import CARRIER, TAIL, Make, at, maker, view

TIME = pl.Datetime("us", "UTC")


def some_rows(random: np.random.Generator, count: int, nulls: float) -> pl.DataFrame:
    """Keys of several types, times with many ties, a creation that is often late, all with nulls."""
    event = random.integers(0, 50, count)
    frame = pl.DataFrame(
        {
            "number": random.integers(0, 9, count),
            "text": random.choice(["x", "y", "z"], count),
            "float": random.choice([0.0, -0.0, 1.5, np.nan], count),
            "flag": random.integers(0, 2, count) == 1,
            "event": event,
            "created": event + random.integers(-3, 9, count),
        }
    ).with_columns(pl.col("event", "created").cast(TIME))
    unknown = {name: pl.Series(random.random(count) < nulls) for name in frame.columns}
    return frame.with_columns(pl.when(~unknown[name]).then(pl.col(name)).alias(name) for name in frame.columns)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    keys=st.sets(st.sampled_from(["number", "text", "float", "flag"]), max_size=3),
    ttl=st.sampled_from([None, 0, 5, 20]),
    created=st.sampled_from(["excluded after", "breaks ties", "no column"]),
    nulls=st.sampled_from([0.0, 0.2]),
)
def test_the_answers_do_not_depend_on_the_number_of_parts(
    seed: int, keys: set[str], ttl: int | None, created: str, nulls: float
) -> None:
    random = np.random.default_rng(seed)
    entities = some_rows(random, 200, nulls)
    features = some_rows(random, 300, nulls).with_row_index("value").with_columns(label=pl.format("row {}", "value"))
    rule = AsOf(
        name="view",
        keys=tuple((key, key) for key in sorted(keys)),
        entity_time="event",
        event_time="event",
        created_time=None if created == "no column" else "created",
        ttl=None if ttl is None else timedelta(microseconds=ttl),
        exclude_created_after=created == "excluded after",
    )
    columns = {"value": "value", "label": "label"}
    whole, two, seven = (values_as_of(entities, features.lazy(), rule, columns, parts) for parts in (1, 2, 7))
    assert whole["value"].null_count() < entities.height or nulls
    assert two.equals(whole)
    assert seven.equals(whole)


def test_nanosecond_times_are_sliced_exactly() -> None:
    stamps = pl.Series(range(1_700_000_000_000_000_001, 1_700_000_000_000_000_101)).cast(pl.Datetime("ns", "UTC"))
    rows = pl.DataFrame({"event": stamps}).with_row_index("value")
    rule = AsOf(name="view", keys=(), entity_time="event", event_time="event")
    assert values_as_of(rows, rows.lazy(), rule, {"value": "value"}, 7)["value"].to_list() == list(range(100))


def keyed_views(folder: Path, rows: int) -> list[FeatureView]:
    random = np.random.default_rng(3)
    frame = pd.DataFrame(
        {
            "carrier": random.choice(["AA", "UA", "DL"], rows),
            "tail": random.integers(0, rows // 10, rows),
            "event": pd.Timestamp(at(1)) + pd.to_timedelta(random.integers(0, 10**6, rows), unit="s"),
            "value": np.arange(rows),
            "text": [f"text of row {i}" for i in range(rows)],
        }
    )
    features = {"value": Int64, "text": String}
    return [
        view(frame, folder, name="keyed", keys=(CARRIER, TAIL), features=features),
        view(frame, folder, name="global", keys=(), features=features),
    ]


def test_a_store_with_a_small_limit_answers_as_one_with_a_large_limit(make: Make, tmp_path: Path) -> None:
    views = keyed_views(tmp_path, 30_000)
    random = np.random.default_rng(4)
    entities = pd.DataFrame(
        {
            "carrier": random.choice(["AA", "UA", None], 20_000),
            "tail": random.integers(0, 3_000, 20_000),
            "event_timestamp": pd.Timestamp(at(1)) + pd.to_timedelta(random.integers(0, 10**6, 20_000), unit="s"),
        }
    )
    refs = ["keyed:value", "keyed:text", "global:value", "global:text"]
    found: list[Any] = []
    for limit in (1, 2048):
        store = maker(tmp_path / str(limit))(*views, memory_limit_mib=limit)
        found.append(store.get_historical_features(entities, refs, full_feature_names=True).to_arrow())
    assert found[0].equals(found[1])
    assert found[0]["keyed__value"].null_count < 20_000


def test_the_number_of_parts_follows_rows_width_and_limit(tmp_path: Path) -> None:
    frame = pd.DataFrame({"key": range(100_000), "value": 0.5, "text": "text " * 20})
    frame["text"] += frame["key"].astype(str)
    frame.to_parquet(tmp_path / "rows.parquet")
    files, few = [tmp_path / "rows.parquet"], pa.table({"key": [1]})

    def parts(limit: int, times: int = 1, values: str = "value", entities: pa.Table = few) -> int:
        return parts_within(limit, files * times, ["key"], [values], entities)

    assert parts(2048) == 1
    assert parts(1) > parts(4) > 1
    assert parts(4, times=3) > 2 * parts(4)
    assert parts(4, values="text") > parts(4)
    assert parts(4, entities=pq.read_table(files[0], columns=["key"])) > parts(4)
    assert parts(1, times=1000) == 256


def test_a_limit_is_a_positive_number_of_mib() -> None:
    assert PolarsOfflineStoreConfig().memory_limit_mib == 2048
    with pytest.raises(ValidationError):
        PolarsOfflineStoreConfig(memory_limit_mib=0)
