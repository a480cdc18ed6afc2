"""The online stores behind a real Feast FeatureStore: what plain Feast gets wrong, and every type of value."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from feast import Entity, FeatureStore, FeatureView, Field, FileSource, PushSource, RepoConfig, ValueType
from feast.data_source import PushMode
from feast.protos.feast.serving.ServingService_pb2 import FieldStatus
from feast.types import Array, Bool, Bytes, Float32, Float64, Int32, Int64, String, UnixTimestamp

NOW = datetime.now(UTC).replace(microsecond=0)
DAY = timedelta(days=1)
CARRIER = Entity(name="carrier", join_keys=["carrier"], value_type=ValueType.STRING)
LEG = Entity(name="leg", join_keys=["leg"], value_type=ValueType.INT64)
Make = Callable[..., FeatureStore]


@pytest.fixture(params=["sqlite", "redis"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Make:
    """Applies views in a store of their own; called again, as another process would open it."""
    online: dict[str, Any] = {"type": "include.features.online.store.SqliteOnlineStore", "path": "online.sqlite"}
    if request.param == "redis":
        import redis

        url = request.getfixturevalue("redis_url")
        redis.Redis.from_url(url).flushall()
        online = {"type": "include.features.online.store.RedisOnlineStore", "url": url}

    def build(*objects: Any) -> FeatureStore:
        config = RepoConfig(
            project="test",
            provider="local",
            registry=str(tmp_path / "registry.db"),
            online_store=online,
            offline_store={"type": "include.features.offline.store.PolarsOfflineStore"},
            materialization={"pull_latest_features": True},
            entity_key_serialization_version=3,
            repo_path=tmp_path,
        )
        store = FeatureStore(config=config)
        if objects:
            store.apply([CARRIER, LEG, *objects])
        return store

    return build


def daily(path: Path, ttl: timedelta | None = 2 * DAY, keys: tuple[Entity, ...] = (CARRIER,)) -> FeatureView:
    source = FileSource(path=str(path / "daily"), timestamp_field="event", created_timestamp_column="created")
    schema = [Field(name="value", dtype=Int64)]
    return FeatureView(name="daily", entities=list(keys), ttl=ttl, schema=schema, source=source)


def partition(path: Path, name: str, *rows: tuple[Any, ...], keys: str = "carrier") -> None:
    (path / "daily").mkdir(exist_ok=True)
    frame = pd.DataFrame(list(rows), columns=[*keys.split(), "value", "event", "created"])
    frame.to_parquet(path / "daily" / f"{name}.parquet", index=False)


def values(store: FeatureStore, *carriers: str) -> list[Any]:
    answer = store.get_online_features(["daily:value"], [{"carrier": each} for each in carriers])
    return list(answer.to_dict()["value"])


def test_18_materialized_are_the_rows_until_the_end_and_ties_go_to_the_last_created(make: Make, tmp_path: Path) -> None:
    store = make(daily(tmp_path))
    early, end = NOW - DAY, NOW - timedelta(hours=1)
    partition(tmp_path, "a", ("AA", 1, early, early), ("AA", 3, end, end), ("AA", 2, end, early), ("UA", 4, end, end))
    store.materialize(early, end)
    assert values(make(), "UA", "AA", "B6") == [4, 3, None]


def test_20_an_older_backfill_does_not_replace_a_newer_value(make: Make, tmp_path: Path) -> None:
    store = make(daily(tmp_path))
    partition(tmp_path, "new", ("AA", 2, NOW, NOW))
    store.materialize(NOW - timedelta(hours=1), NOW)
    partition(tmp_path, "old", ("AA", 1, NOW - DAY, NOW - DAY), ("UA", 1, NOW - DAY, NOW - DAY))
    store.materialize(NOW - DAY, NOW - timedelta(hours=1))
    assert values(store, "AA", "UA") == [2, 1]
    late = pd.DataFrame({"carrier": ["AA"], "value": [0], "event": [NOW - DAY], "created": [NOW]})
    store.write_to_online_store("daily", late)
    assert values(store, "AA") == [2]


def test_21_a_value_beyond_its_time_to_live_is_not_served(make: Make, tmp_path: Path) -> None:
    store = make(daily(tmp_path))
    stale = NOW - 2 * DAY - timedelta(seconds=1)
    partition(tmp_path, "a", ("AA", 1, stale, stale), ("UA", 2, NOW - DAY, NOW - DAY))
    store.materialize(stale, NOW)
    answer = store.get_online_features(["daily:value"], [{"carrier": "AA"}, {"carrier": "UA"}])
    assert answer.to_dict()["value"] == [None, 2]
    position = list(answer.proto.metadata.feature_names.val).index("value")
    assert list(answer.proto.results[position].statuses) == [FieldStatus.NOT_FOUND, FieldStatus.PRESENT]


def test_without_a_time_to_live_every_value_counts(make: Make, tmp_path: Path) -> None:
    store = make(daily(tmp_path, ttl=timedelta(0)))
    old = datetime(1999, 1, 1, tzinfo=UTC)
    partition(tmp_path, "a", ("AA", 1, old, old))
    store.materialize(old - DAY, NOW)
    assert values(store, "AA") == [1]


def test_keys_of_two_columns(make: Make, tmp_path: Path) -> None:
    store = make(daily(tmp_path, keys=(LEG, CARRIER)))
    partition(tmp_path, "a", ("AA", 1, 10, NOW, NOW), ("AA", 2, 20, NOW, NOW), keys="carrier leg")
    store.materialize(NOW - DAY, NOW)
    asked = [{"leg": 2, "carrier": "AA"}, {"carrier": "AA", "leg": 1}, {"leg": 1, "carrier": "UA"}]
    assert store.get_online_features(["daily:value"], asked).to_dict()["value"] == [20, 10, None]


def test_what_is_pushed_is_there_at_once(make: Make, tmp_path: Path) -> None:
    batch = FileSource(path=str(tmp_path / "daily"), timestamp_field="event", created_timestamp_column="created")
    source = PushSource(name="feed", batch_source=batch)
    schema = [Field(name="value", dtype=Int64)]
    view = FeatureView(name="daily", entities=[CARRIER], ttl=DAY, schema=schema, source=source)
    store = make(view)
    for value, at in ((1, NOW - timedelta(minutes=10)), (3, NOW), (2, NOW - timedelta(minutes=5))):
        rows = pd.DataFrame({"carrier": ["AA"], "value": [value], "event": [at], "created": [at]})
        store.push("feed", rows, to=PushMode.ONLINE)
    assert values(make(), "AA") == [3]


def test_every_type_comes_back(make: Make, tmp_path: Path) -> None:
    given: dict[str, tuple[Any, Any]] = {
        "whole": (Int64, 2**53 + 1),
        "small": (Int32, -7),
        "number": (Float64, 0.1),
        "short": (Float32, 0.5),
        "text": (String, "Zürich \u0000 \N{AIRPLANE}"),
        "flag": (Bool, False),
        "raw": (Bytes, b"\x00\xff"),
        "list": (Array(Int64), [1, 2]),
        "words": (Array(String), ["a", "b"]),
        "moment": (UnixTimestamp, NOW),
    }
    schema = [Field(name=name, dtype=kind) for name, (kind, _) in given.items()]
    source = FileSource(path=str(tmp_path / "types"), timestamp_field="event")
    store = make(FeatureView(name="types", entities=[CARRIER], ttl=DAY, schema=schema, source=source))
    row = {name: [value] for name, (_, value) in given.items()}
    missing: dict[str, list[Any]] = {name: [None] for name in row}
    for carrier, contents in (("AA", row), ("UA", missing)):
        store.write_to_online_store("types", pd.DataFrame({"carrier": [carrier], "event": [NOW], **contents}))
    refs = [f"types:{name}" for name in given]
    found = make().get_online_features(refs, [{"carrier": "AA"}, {"carrier": "UA"}]).to_dict()
    for name, (_, value) in given.items():
        assert found[name][0] == value, name
        assert found[name][1] is None, name


def test_a_number_that_is_none_and_infinities_come_back(make: Make, tmp_path: Path) -> None:
    source = FileSource(path=str(tmp_path / "n"), timestamp_field="event")
    schema = [Field(name="number", dtype=Float64)]
    store = make(FeatureView(name="n", entities=[LEG], ttl=DAY, schema=schema, source=source))
    rows = pd.DataFrame({"leg": [1, 2, 3], "number": [math.nan, math.inf, -math.inf], "event": [NOW] * 3})
    store.write_to_online_store("n", rows)
    found = store.get_online_features(["n:number"], [{"leg": leg} for leg in (1, 2, 3)]).to_dict()["number"]
    assert found[0] is None or math.isnan(found[0])
    assert found[1:] == [math.inf, -math.inf]


def test_a_view_that_is_removed_takes_its_rows_along(make: Make, tmp_path: Path) -> None:
    view = daily(tmp_path)
    store = make(view)
    partition(tmp_path, "a", ("AA", 1, NOW, NOW))
    store.materialize(NOW - DAY, NOW)
    store.apply([], objects_to_delete=[view], partial=False)
    assert values(make(daily(tmp_path)), "AA") == [None]


def test_tear_down_leaves_nothing(make: Make, tmp_path: Path) -> None:
    store = make(daily(tmp_path))
    partition(tmp_path, "a", ("AA", 1, NOW, NOW))
    store.materialize(NOW - DAY, NOW)
    store.teardown()
    assert values(make(daily(tmp_path)), "AA") == [None]


def test_a_column_that_was_added_later_is_missing_in_older_rows(make: Make, tmp_path: Path) -> None:
    store = make(daily(tmp_path))
    partition(tmp_path, "a", ("AA", 1, NOW, NOW))
    store.materialize(NOW - DAY, NOW)
    wider = daily(tmp_path)
    wider.schema.append(Field(name="more", dtype=Float64))
    wider.features.append(Field(name="more", dtype=Float64))
    found = make(wider).get_online_features(["daily:value", "daily:more"], [{"carrier": "AA"}]).to_dict()
    assert (found["value"], found["more"]) == ([1], [None])


def test_the_settings_name_the_same_rows_as_the_feature_repository(
    home: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    from include.features.online.opening import PROJECT, open_rows
    from include.features.online.rows import Row, encoder, key_of
    from include.features.online.store import rows_of
    from include.features.store import open_store
    from include.settings import get_settings

    for address in ("", request.getfixturevalue("redis_url")):
        monkeypatch.setenv("EVERGREEN_REDIS", address)
        get_settings.cache_clear()
        store = open_store()
        assert store.project == PROJECT
        row = Row(key_of(["AA"]), 1, 1, encoder(["value"])([7]))
        rows_of(store).write("test:same", [row], source="", keep=None)
        assert open_rows().read({"test:same": [row.key]}) == {"test:same": [row]}
    get_settings.cache_clear()


def test_another_online_store_is_refused(tmp_path: Path) -> None:
    from include.features.online.store import rows_of

    config = RepoConfig(
        project="test", provider="local", registry=str(tmp_path / "r.db"), online_store={"type": "sqlite"},
        entity_key_serialization_version=3,
    )  # fmt: skip
    with pytest.raises(TypeError, match=r"must be a class of include\.features\.online\.store, not SqliteOnlineStore"):
        rows_of(FeatureStore(config=config))
