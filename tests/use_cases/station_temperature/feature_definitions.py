"""What the feature store knows of the stations."""

from datetime import timedelta

from feast import Entity, FeatureService, FeatureView, Field, FileSource, ValueType
from feast.types import Float64, Int64, String

from include.settings import get_settings

station = Entity(name="station", join_keys=["station"], value_type=ValueType.STRING, description="A weather station.")


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
        Field(name="temp", dtype=Float64, description="Degrees Fahrenheit."),
        Field(name="dewp", dtype=Float64, description="Dew point, degrees Fahrenheit."),
        Field(name="pressure", dtype=Float64, description="Millibar at sea level."),
        Field(name="hour", dtype=Int64, description="Hour of the day, UTC."),
        Field(name="season", dtype=String, description="winter or other."),
    ],
    source=_source("observation"),
)
station_history = FeatureView(
    name="station_history",
    entities=[station],
    ttl=timedelta(days=30),
    schema=[Field(name="temp_mean", dtype=Float64, description="Mean temperature of the last two weeks.")],
    source=_source("station_history"),
)
service = FeatureService(name="station_temperature", features=[observation, station_history])
