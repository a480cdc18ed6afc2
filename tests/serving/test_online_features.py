"""The lookup against a real Feast store: SQLite online, Parquet offline."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import polars as pl
import pytest
import sqlalchemy

from include.features.store import open_store
from include.serving.lookup import EntitiesNotFound, OnlineFeatures, shared_store
from include.settings import get_settings
from tests.feature_store import HOUR, NOON, TRIPS, build_store, use_case

USE_CASE = use_case()


@pytest.fixture(scope="module", autouse=True)
def stored(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EVERGREEN_HOME", str(tmp_path_factory.mktemp("home")))
        get_settings.cache_clear()
        build_store()
        yield
    get_settings.cache_clear()


def keys(*numbers: int) -> list[dict[str, Any]]:
    return [{"trip_id": number} for number in numbers]


def test_features_come_by_the_entity_s_key_alone() -> None:
    lookup = OnlineFeatures(USE_CASE)
    assert lookup.features == ("distance", "carrier", "stops", "night", "wind", "far")
    assert lookup.views == ("trips", "weather", "reach")
    assert lookup.key_types == {"trip_id": int}
    [row] = lookup.rows(keys(1))
    assert row.values == {"distance": 900.0, "carrier": "AA", "stops": 0, "night": True, "wind": 3.5, "far": False}
    assert row.event_timestamp == NOON
    assert row.view_timestamps == {"trips": NOON, "weather": NOON - HOUR}


def test_a_view_without_a_row_gives_nulls() -> None:
    """Trip 2 starts at a station without weather, trip 3 at none; what stands at the empty name is not taken for it."""
    lookup = OnlineFeatures(USE_CASE)
    known, without, nowhere = lookup.rows(keys(1, 2, 3))
    assert known.values["wind"] == 3.5
    assert without.values == {
        "distance": 1500.0, "carrier": None, "stops": 1, "night": False, "wind": None, "far": True
    }  # fmt: skip
    assert without.view_timestamps == {"trips": NOON + HOUR, "weather": None}
    assert nowhere.values["wind"] is None
    assert nowhere.values["distance"] is None
    assert nowhere.view_timestamps["weather"] is None


def test_order_and_repetitions_are_kept() -> None:
    rows = OnlineFeatures(USE_CASE).rows(keys(4, 1, 4, 2, 1))
    assert [row.values["stops"] for row in rows] == [3, 0, 3, 1, 0]
    assert [row.event_timestamp for row in rows] == [NOON + number * HOUR for number in (3, 0, 3, 1, 0)]


def test_unknown_entities_are_named() -> None:
    with pytest.raises(EntitiesNotFound) as caught:
        OnlineFeatures(USE_CASE).rows(keys(1, 99, 2, 98))
    assert caught.value.positions == (1, 3)


def test_known_entities_are_in_the_online_store() -> None:
    extra = TRIPS.assign(trip_id=[11, 12, 13, 14])
    folder = get_settings().offline_store / "trips_late" / "trips"
    lookup = OnlineFeatures(USE_CASE)
    assert lookup.known(2) == keys(3, 4)
    pl.from_pandas(extra).write_parquet(folder / "2013-05-02.parquet")
    assert lookup.known(2) == []
    (folder / "2013-05-02.parquet").unlink()


def test_a_use_case_without_other_views() -> None:
    from feast import FeatureService

    store = open_store()
    trips = store.get_feature_view("trips")
    store.apply([FeatureService(name="plain", features=[trips[["stops"]]])])
    plain = USE_CASE.model_copy(
        update={"name": "plain", "entity": USE_CASE.entity.model_copy(update={"join_keys": {}})}
    )
    lookup = OnlineFeatures(plain)
    assert lookup.rows(keys(2))[0].values == {"stops": 1}
    with pytest.raises(EntitiesNotFound):
        lookup.rows(keys(99))


def test_threads_share_a_lookup() -> None:
    lookup = OnlineFeatures(USE_CASE)
    wrong: list[object] = []

    def ask(number: int) -> None:
        for _ in range(100):
            try:
                row = lookup.rows(keys(number))[0]
            except Exception as error:  # noqa: BLE001 - the test tells it
                wrong.append(error)
            else:
                if row.values["stops"] != number - 1 or row.event_timestamp != NOON + (number - 1) * HOUR:
                    wrong.append(row)

    threads = [threading.Thread(target=ask, args=(number % 4 + 1,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_requests_do_not_read_the_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    lookup = shared_store()(USE_CASE)
    lookup.rows(keys(1))

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("the registry was read")

    monkeypatch.setattr(sqlalchemy.engine.Engine, "connect", refuse)
    assert lookup.rows(keys(1))[0].values["stops"] == 0
    with pytest.raises(AssertionError, match="registry was read"):
        open_store().get_feature_service("trips_late")


def test_new_definitions_are_seen_by_the_next_lookup() -> None:
    from feast import FeatureService
    from feast.errors import FeatureServiceNotFoundException

    make = shared_store()
    make(USE_CASE)
    later = USE_CASE.model_copy(update={"name": "later"})
    with pytest.raises(FeatureServiceNotFoundException):
        make(later)
    store = open_store()
    store.apply([FeatureService(name="later", features=[store.get_feature_view("trips")[["stops"]]])])
    assert make(later).features == ("stops",)
