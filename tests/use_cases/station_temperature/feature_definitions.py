"""What the feature store knows of the stations."""

from datetime import timedelta

from feast import Entity, FeatureService, FeatureView, Field, FileSource, ValueType
from feast.types import Float64, Int64, String

from include.settings import get_settings

OWNER = "weather@evergreen.example"
MEASURED, DERIVED = {"kind": "measured"}, {"kind": "derived"}

station = Entity(
    name="station",
    join_keys=["station"],
    value_type=ValueType.STRING,
    description="A weather station.",
    tags={"kind": "place"},
    owner=OWNER,
)


def _source(view: str) -> FileSource:
    return FileSource(
        name=f"station_temperature_{view}",
        path=str(get_settings().offline_store / "station_temperature" / view),
        timestamp_field="event_timestamp",
        created_timestamp_column="created_timestamp",
    )


observation = FeatureView(
    name="observation",
    entities=[station],
    ttl=timedelta(days=14),
    schema=[
        Field(name="temp", dtype=Float64, description="Degrees Fahrenheit.", tags=MEASURED),
        Field(name="dewp", dtype=Float64, description="Dew point, degrees Fahrenheit.", tags=MEASURED),
        Field(name="pressure", dtype=Float64, description="Millibar at sea level.", tags=MEASURED),
        Field(name="hour", dtype=Int64, description="Hour of the day, UTC.", tags=DERIVED),
        Field(name="season", dtype=String, description="winter or other.", tags=DERIVED),
    ],
    source=_source("observation"),
    description="What a station measured, each hour.",
    tags={"cadence": "hourly"},
    owner=OWNER,
)
station_history = FeatureView(
    name="station_history",
    entities=[station],
    ttl=timedelta(days=30),
    schema=[Field(name="temp_mean", dtype=Float64, description="Mean temperature of two weeks.", tags=DERIVED)],
    source=_source("station_history"),
    description="What a station measured in the last two weeks.",
    tags={"cadence": "weekly"},
    owner=OWNER,
)
service = FeatureService(name="station_temperature", features=[observation, station_history])
