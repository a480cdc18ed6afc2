"""A small feature store: trips, the weather where they start, and features computed on demand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd
import polars as pl
import yaml
from feast import Entity, FeatureService, FeatureStore, FeatureView, Field, FileSource, RequestSource, ValueType
from feast.on_demand_feature_view import on_demand_feature_view
from feast.types import Bool, Float64, Int64, String

from include.contract.use_case import UseCase
from include.features.store import open_store
from include.settings import get_settings

NOON = datetime(2013, 5, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)

CONFIG = """\
name: trips_late
title: Late trips
description: For tests.
owners: [data]
task: regression
entity: {view: trips, key: [trip_id], join_keys: {station: origin}}
label: {name: late, delay: 1d}
gate:
  limits: {mae: {max: 1}}
  champion: {metric: mae}
monitoring: {quality: {metric: mae, tolerance: 0.1}}
"""

LATER = NOON + 3 * HOUR  # the last trip is known


def trips(noon: datetime = NOON) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "trip_id": [1, 2, 3, 4],
            "distance": [900.0, 1500.0, None, 10.0],
            "carrier": ["AA", None, "UA", "AA"],
            "stops": [0, 1, 2, 3],
            "night": [True, False, True, False],
            "origin": ["JFK", "LGA", None, "JFK"],
            "seats": [100, 200, 300, 400],
            "event_timestamp": [noon + number * HOUR for number in range(4)],
        }
    )


def weather(noon: datetime = NOON) -> pd.DataFrame:
    return pd.DataFrame({"station": ["JFK", ""], "wind": [3.5, 99.0], "event_timestamp": [noon - HOUR] * 2})


def use_case() -> UseCase:
    return UseCase.model_validate(yaml.safe_load(CONFIG))


def build_store(noon: datetime = NOON) -> FeatureStore:
    """The store below the settings' home, online and offline, with trips that begin at ``noon``."""
    get_settings().features.mkdir(parents=True)

    def view(name: str, entity: Entity, key: Field, *fields: Field) -> FeatureView:
        folder = get_settings().offline_store / "trips_late" / name
        folder.mkdir(parents=True)
        source = FileSource(name=f"{name}_source", path=str(folder), timestamp_field="event_timestamp")
        schema = [key, *fields]
        return FeatureView(name=name, entities=[entity], schema=schema, source=source, ttl=timedelta(days=1))

    trip = Entity(name="trip", join_keys=["trip_id"], value_type=ValueType.INT64)
    station = Entity(name="station", join_keys=["station"], value_type=ValueType.STRING)
    types = {"distance": Float64, "carrier": String, "stops": Int64, "night": Bool, "origin": String, "seats": Int64}
    own = [Field(name=name, dtype=dtype) for name, dtype in types.items()]
    trip_view = view("trips", trip, Field(name="trip_id", dtype=Int64), *own)
    weather_view = view("weather", station, Field(name="station", dtype=String), Field(name="wind", dtype=Float64))

    @on_demand_feature_view(sources=[trip_view], schema=[Field(name="far", dtype=Bool)], mode="python")
    def reach(inputs: dict[str, Any]) -> dict[str, Any]:
        return {"far": [value is not None and value > 1000 for value in inputs["distance"]]}

    booking = RequestSource(name="booking", schema=[Field(name="seats", dtype=Int64), Field(name="party", dtype=Int64)])

    @on_demand_feature_view(sources=[booking, weather_view], schema=[Field(name="full", dtype=Float64)], mode="python")
    def fill(inputs: dict[str, Any]) -> dict[str, Any]:
        pairs = zip(inputs["party"], inputs["seats"], strict=True)
        return {"full": [None if party is None else party / seats for party, seats in pairs]}

    own = trip_view[["distance", "carrier", "stops", "night"]]
    service = FeatureService(name="trips_late", features=[own, weather_view, reach])
    booked = FeatureService(name="booked", features=[own, reach, fill])
    store = open_store()
    store.apply([trip, station, trip_view, weather_view, reach, fill, service, booked])
    store.write_to_online_store("trips", trips(noon))
    store.write_to_online_store("weather", weather(noon))
    folder = get_settings().offline_store / "trips_late"
    pl.from_pandas(trips(noon)).write_parquet(folder / "trips" / "2013-05-01.parquet")
    pl.from_pandas(weather(noon)).write_parquet(folder / "weather" / "2013-05-01.parquet")
    return store
