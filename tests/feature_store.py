"""A small feature store: trips, the weather where they start, and a feature computed on demand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd
import polars as pl
import yaml
from feast import Entity, FeatureService, FeatureStore, FeatureView, Field, FileSource, ValueType
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

TRIPS = pd.DataFrame(
    {
        "trip_id": [1, 2, 3, 4],
        "distance": [900.0, 1500.0, None, 10.0],
        "carrier": ["AA", None, "UA", "AA"],
        "stops": [0, 1, 2, 3],
        "night": [True, False, True, False],
        "origin": ["JFK", "LGA", None, "JFK"],
        "event_timestamp": [NOON + number * HOUR for number in range(4)],
    }
)
WEATHER = pd.DataFrame({"station": ["JFK", ""], "wind": [3.5, 99.0], "event_timestamp": [NOON - HOUR] * 2})


def use_case() -> UseCase:
    return UseCase.model_validate(yaml.safe_load(CONFIG))


def build_store() -> FeatureStore:
    """The store below the settings' home, online and offline."""
    get_settings().features.mkdir(parents=True)

    def view(name: str, entity: Entity, key: Field, *fields: Field) -> FeatureView:
        folder = get_settings().offline_store / "trips_late" / name
        folder.mkdir(parents=True)
        source = FileSource(name=f"{name}_source", path=str(folder), timestamp_field="event_timestamp")
        schema = [key, *fields]
        return FeatureView(name=name, entities=[entity], schema=schema, source=source, ttl=timedelta(days=1))

    trip = Entity(name="trip", join_keys=["trip_id"], value_type=ValueType.INT64)
    station = Entity(name="station", join_keys=["station"], value_type=ValueType.STRING)
    types = {"distance": Float64, "carrier": String, "stops": Int64, "night": Bool, "origin": String}
    own = [Field(name=name, dtype=dtype) for name, dtype in types.items()]
    trips = view("trips", trip, Field(name="trip_id", dtype=Int64), *own)
    weather = view("weather", station, Field(name="station", dtype=String), Field(name="wind", dtype=Float64))

    @on_demand_feature_view(sources=[trips], schema=[Field(name="far", dtype=Bool)], mode="python")
    def reach(inputs: dict[str, Any]) -> dict[str, Any]:
        return {"far": [value is not None and value > 1000 for value in inputs["distance"]]}

    service = FeatureService(
        name="trips_late", features=[trips[["distance", "carrier", "stops", "night"]], weather, reach]
    )
    store = open_store()
    store.apply([trip, station, trips, weather, reach, service])
    store.write_to_online_store("trips", TRIPS)
    store.write_to_online_store("weather", WEATHER)
    folder = get_settings().offline_store / "trips_late" / "trips"
    pl.from_pandas(TRIPS).write_parquet(folder / "2013-05-01.parquet")
    return store
