"""What the feature store knows of the kiosks."""

from datetime import timedelta

from feast import Entity, FeatureService, FeatureView, Field, FileSource, ValueType
from feast.types import Float64

from include.settings import get_settings

OWNER, MEASURED = "tests@evergreen.example", {"kind": "measured"}

kiosk = Entity(
    name="kiosk",
    join_keys=["kiosk"],
    value_type=ValueType.STRING,
    description="A kiosk.",
    tags={"kind": "place"},
    owner=OWNER,
)
kiosk_day = FeatureView(
    name="kiosk_day",
    entities=[kiosk],
    ttl=timedelta(days=3),
    schema=[
        Field(name="temperature", dtype=Float64, description="Degrees Celsius.", tags=MEASURED),
        Field(name="price", dtype=Float64, description="Of a scoop, EUR.", tags=MEASURED),
    ],
    source=FileSource(
        name="ice_cream_kiosk_day",
        path=str(get_settings().offline_store / "ice_cream" / "kiosk_day"),
        timestamp_field="event_timestamp",
        created_timestamp_column="created_timestamp",
    ),
    description="A kiosk's day.",
    tags={"cadence": "daily"},
    owner=OWNER,
)
service = FeatureService(name="ice_cream", features=[kiosk_day])
