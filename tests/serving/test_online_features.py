"""Online features against a real Feast store: SQLite and Redis online, Parquet offline."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import sqlalchemy
from feast import FeatureService, Field

from include.features.store import open_store
from include.serving.lookup import EntitiesNotFound, Known
from include.serving.online_features import OnlineFeatures, shared_store
from include.settings import get_settings
from tests.feature_store import HOUR, LATER, NOON, build_store, trips, use_case, weather

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
    [row] = lookup.rows(keys(1), LATER)
    assert row.values == {"distance": 900.0, "carrier": "AA", "stops": 0, "night": True, "wind": 3.5, "far": False}
    assert row.event_timestamp == NOON
    assert row.view_timestamps == {"trips": NOON, "weather": NOON - HOUR}


def test_a_view_without_a_row_gives_nulls() -> None:
    """Trip 2 starts at a station without weather, trip 3 at none; what stands at the empty name is not taken for it."""
    lookup = OnlineFeatures(USE_CASE)
    known, without, nowhere = lookup.rows(keys(1, 2, 3), LATER)
    assert known.values["wind"] == 3.5
    assert without.values == {
        "distance": 1500.0, "carrier": None, "stops": 1, "night": False, "wind": None, "far": True
    }  # fmt: skip
    assert without.view_timestamps == {"trips": NOON + HOUR, "weather": None}
    assert nowhere.values["wind"] is None
    assert nowhere.values["distance"] is None
    assert nowhere.view_timestamps["weather"] is None


def test_order_and_repetitions_are_kept() -> None:
    rows = OnlineFeatures(USE_CASE).rows(keys(4, 1, 4, 2, 1), LATER)
    assert [row.values["stops"] for row in rows] == [3, 0, 3, 1, 0]
    assert [row.event_timestamp for row in rows] == [NOON + number * HOUR for number in (3, 0, 3, 1, 0)]


def test_unknown_entities_are_named() -> None:
    with pytest.raises(EntitiesNotFound) as caught:
        OnlineFeatures(USE_CASE).rows(keys(1, 99, 2, 98), LATER)
    assert caught.value.positions == (1, 3)


def test_known_entities_are_in_the_online_store() -> None:
    extra = trips().assign(trip_id=[11, 12, 13, 14])
    folder = get_settings().offline_store / "trips_late" / "trips"
    lookup = OnlineFeatures(USE_CASE)
    assert lookup.known(2) == Known(keys(3, 4), LATER)
    pl.from_pandas(extra).write_parquet(folder / "2013-05-02.parquet")
    assert lookup.known(2) == Known([], None)
    (folder / "2013-05-02.parquet").unlink()


def test_a_use_case_without_other_views() -> None:
    store = open_store()
    own = store.get_feature_view("trips")
    store.apply([FeatureService(name="plain", features=[own[["stops"]]])])
    plain = USE_CASE.model_copy(
        update={"name": "plain", "entity": USE_CASE.entity.model_copy(update={"join_keys": {}})}
    )
    lookup = OnlineFeatures(plain)
    assert lookup.rows(keys(2), LATER)[0].values == {"stops": 1}
    with pytest.raises(EntitiesNotFound):
        lookup.rows(keys(99), LATER)


def test_threads_share_a_lookup() -> None:
    lookup = OnlineFeatures(USE_CASE)
    wrong: list[object] = []

    def ask(number: int) -> None:
        for _ in range(100):
            try:
                row = lookup.rows(keys(number), LATER)[0]
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
    lookup.rows(keys(1), LATER)

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("the registry was read")

    monkeypatch.setattr(sqlalchemy.engine.Engine, "connect", refuse)
    assert lookup.rows(keys(1), LATER)[0].values["stops"] == 0
    with pytest.raises(AssertionError, match="registry was read"):
        open_store().get_feature_service("trips_late")


def test_new_definitions_are_seen_by_the_next_lookup() -> None:
    from feast.errors import FeatureServiceNotFoundException

    make = shared_store()
    make(USE_CASE)
    later = USE_CASE.model_copy(update={"name": "later"})
    with pytest.raises(FeatureServiceNotFoundException):
        make(later)
    store = open_store()
    store.apply([FeatureService(name="later", features=[store.get_feature_view("trips")[["stops"]]])])
    assert make(later).features == ("stops",)


def test_a_value_beyond_its_time_to_live_is_missing() -> None:
    """Views live for a day. The weather is an hour older than the first trip."""
    lookup, day = OnlineFeatures(USE_CASE), 24 * HOUR
    [row] = lookup.rows(keys(1), NOON + day)
    assert row.values["distance"] == 900.0
    assert row.values["wind"] is None
    assert row.view_timestamps == {"trips": NOON, "weather": None}
    with pytest.raises(EntitiesNotFound):
        lookup.rows(keys(1), NOON + day + timedelta(microseconds=1))
    with pytest.raises(EntitiesNotFound):
        lookup.rows(keys(1))


def test_a_value_of_later_than_the_asked_moment_is_missing() -> None:
    lookup = OnlineFeatures(USE_CASE)
    with pytest.raises(EntitiesNotFound) as caught:
        lookup.rows(keys(1, 2), NOON + timedelta(minutes=59))
    assert caught.value.positions == (1,)


def test_a_row_that_is_asked_for_again_is_what_would_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At whatever moments, in whatever order, and after each write."""
    monkeypatch.setenv("EVERGREEN_HOME", str(tmp_path))
    get_settings.cache_clear()
    try:
        store = build_store()
        lookup, day = OnlineFeatures(USE_CASE, store), 24 * HOUR
        moments = [NOON, LATER, NOON + day - HOUR, NOON + day, NOON + 2 * day, NOON - HOUR, None]

        def answer(one: OnlineFeatures, numbers: tuple[int, ...], moment: datetime | None) -> Any:
            try:
                rows = one.rows(keys(*numbers), moment)
            except EntitiesNotFound as error:
                return error.positions
            return [(row.values, row.event_timestamp, row.view_timestamps) for row in rows]

        def compare() -> list[Any]:
            together = [(1,), (2,), (3,), (1, 2), (4, 1, 4, 9), (2, 3, 4, 1, 2)]
            asked = [(numbers, moment) for numbers in together for moment in [*moments, *reversed(moments)]]
            found = [answer(lookup, *each) for each in asked]
            assert found == [answer(OnlineFeatures(USE_CASE, store), *each) for each in asked]
            return found

        before = compare()
        store.write_to_online_store("weather", weather().assign(wind=[4.5, 99.0]))
        assert compare() != before
        now = datetime.now(UTC).replace(microsecond=0)
        store.write_to_online_store("trips", trips(now - HOUR))
        compare()
        assert lookup.rows(keys(1))[0].event_timestamp == now - HOUR
        assert lookup.rows(keys(1))[0] is lookup.rows(keys(2, 1))[1]
    finally:
        get_settings.cache_clear()


BOOKED = USE_CASE.model_copy(update={"name": "booked"})


def test_a_request_brings_values_of_its_own() -> None:
    lookup = OnlineFeatures(BOOKED)
    assert lookup.request_types == {"seats": int, "party": int}
    assert lookup.needed == {"trip_id", "party"}
    rows = lookup.rows([{"trip_id": 1, "party": 3}, {"trip_id": 2, "party": 4, "seats": 8}], LATER)
    assert [row.values["full"] for row in rows] == [0.03, 0.5]
    rows = lookup.rows([{"trip_id": 2, "party": 4}, {"trip_id": 1, "party": 1}], LATER)
    assert [row.values["full"] for row in rows] == [0.02, 0.01]
    rows = lookup.rows([{"trip_id": 1, "party": None}], LATER)
    assert rows[0].values["full"] is None
    assert lookup.features == ("distance", "carrier", "stops", "night", "far", "full")


def test_a_function_of_single_rows_is_refused() -> None:
    from feast.on_demand_feature_view import on_demand_feature_view
    from feast.types import Bool

    store = open_store()

    @on_demand_feature_view(
        sources=[store.get_feature_view("trips")], schema=[Field(name="one", dtype=Bool)], mode="python", singleton=True
    )
    def single(inputs: dict[str, Any]) -> dict[str, Any]:
        return {"one": inputs["stops"] == 1}

    store.apply([single, FeatureService(name="single", features=[single])])
    with pytest.raises(ValueError, match="single: singleton=True is not supported"):
        OnlineFeatures(USE_CASE.model_copy(update={"name": "single"}), store)


@pytest.mark.parametrize("online", ["sqlite", "redis"])
def test_it_gives_what_feast_s_own_retrieval_gives(
    online: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    monkeypatch.setenv("EVERGREEN_HOME", str(tmp_path))
    if online == "redis":
        monkeypatch.setenv("EVERGREEN_REDIS", request.getfixturevalue("redis_url"))
    get_settings.cache_clear()
    try:
        store = build_store(datetime.now(UTC).replace(microsecond=0) - 4 * HOUR)
        entities = [{"trip_id": number, "station": station} for number, station in [(1, "JFK"), (2, "LGA"), (4, "JFK")]]
        expected = store.get_online_features(store.get_feature_service("trips_late"), entities).to_dict()
        booked = [{**entity, "seats": 10 * number, "party": number} for number, entity in enumerate(entities, 1)]
        expected |= store.get_online_features(["fill:full"], booked).to_dict()
        rows = OnlineFeatures(USE_CASE, store).rows(keys(1, 2, 4))
        own = [{name: each[name] for name in ("trip_id", "seats", "party")} for each in booked]
        filled = OnlineFeatures(BOOKED, store).rows(own)
    finally:
        get_settings.cache_clear()
    both = [{**other.values, **row.values} for row, other in zip(rows, filled, strict=True)]
    for name in both[0]:
        found = [values[name] for values in both]
        assert (name, found) == (name, expected[name])
        assert [type(value) for value in found] == [type(value) for value in expected[name]]
