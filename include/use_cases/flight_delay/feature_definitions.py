"""What the feature store knows of the flights: entities, feature views, and services.

``flight_delay`` is what the model reads, as known at midnight; ``flight_delay_2h`` adds what is known during the day.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from datetime import timedelta

from feast import Entity, FeatureService, FeatureView, Field, FileSource, PushSource, ValueType
from feast.on_demand_feature_view import OnDemandFeatureView
from feast.types import Float64, Int64, String

from include.settings import get_settings
from include.use_cases.flight_delay import features

OWNER = "flight-operations@evergreen.example"
TAGS = {"use_case": "flight_delay", "cadence": "daily"}
INTRADAY = {**TAGS, "cadence": "quarter-hourly"}
# Every view is written for each midnight; two days bridge one that failed, and nothing older is served.
TTL = timedelta(days=2)
# Pushed every quarter of an hour: four that did not come are bridged, then the state of an airport is unknown.
TTL_NOW = timedelta(hours=1)
# An aircraft is back in New York four to eight hours after it left; what it did the day before says no more.
TTL_AIRCRAFT = timedelta(hours=12)


def _key(name: str, description: str) -> Entity:
    return Entity(
        name=name,
        join_keys=[name],
        value_type=ValueType.STRING,
        description=description,
        tags={"use_case": "flight_delay"},
        owner=OWNER,
    )


flight_id = _key("flight_id", "A planned flight: date, carrier with flight number, and origin.")
carrier = _key("carrier", "An airline by its two-letter code.")
origin = _key("origin", "A departure airport by its IATA code.")
dest = _key("dest", "A destination airport by its IATA code.")
tailnum = _key("tailnum", "An aircraft by its registration.")
line = _key("line", "A service line: a carrier's flight number from an origin to a destination.")
slot = _key("slot", "A departure slot: an hour of the local clock at an origin.")


def _field(name: str, dtype: type, description: str, kind: str) -> Field:
    return Field(name=name, dtype=dtype, description=description, tags={"kind": kind})


def _source(view: str) -> FileSource:
    return FileSource(
        name=f"flight_delay_{view}",
        path=str(get_settings().offline_store / "flight_delay" / view),
        timestamp_field="event_timestamp",
        created_timestamp_column="created_timestamp",
        description=f"Parquet files of the view {view}, one a day.",
        tags=TAGS,
        owner=OWNER,
    )


def _pushed(view: str) -> PushSource:
    """Rows that are pushed by the view's name; the history of a day is written when it has ended."""
    return PushSource(
        name=view,
        batch_source=_source(view),
        description=f"Rows of the view {view} while the day goes on.",
        tags=INTRADAY,
        owner=OWNER,
    )


flight_plan = FeatureView(
    name="flight_plan",
    entities=[flight_id],
    ttl=TTL,
    schema=[
        _field("airline", String, "The carrier; holds the key of carrier_history.", "category"),
        _field("origin_airport", String, "The origin; holds the key of origin_history.", "category"),
        _field("destination", String, "The destination; holds the key of dest_history.", "category"),
        _field("aircraft", String, "The planned aircraft; holds the key of tail_history.", "key"),
        _field("service_line", String, "The service line; holds the key of line_history.", "key"),
        _field("departure_slot", String, "The departure slot; holds the key of slot_history.", "key"),
        _field("distance", Int64, "Distance in miles.", "plan"),
        _field("weekday", Int64, "Weekday of the scheduled departure in New York, Monday is 1.", "plan"),
        _field("departure_minute", Int64, "Scheduled departure, minutes after midnight at the origin.", "plan"),
        _field("arrival_minute", Int64, "Scheduled arrival, minutes after midnight at the destination.", "plan"),
        _field("block_minutes", Int64, "Scheduled minutes from departure to arrival.", "plan"),
        _field("slot_departures", Int64, "Planned departures of the same hour and origin.", "plan"),
        _field("origin_departures", Int64, "Planned departures of the day from the origin.", "plan"),
        _field("aircraft_leg", Int64, "1 for the aircraft's first planned departure of the day, and so on.", "plan"),
        _field("since_previous_departure", Int64, "Minutes since the aircraft's previous planned departure.", "plan"),
        _field(
            "since_previous_arrival", Int64, "Minutes since the planned arrival of the aircraft's last leg.", "plan"
        ),
        _field("plane_year", Int64, "Year in which the aircraft was built.", "plane"),
        _field("plane_seats", Int64, "Seats of the aircraft.", "plane"),
        _field(
            "origin_missing_share", Float64, "Share of the origin's flights due before midnight, not landed.", "state"
        ),
        _field(
            "carrier_missing_share", Float64, "Share of the carrier's flights due before midnight, not landed.", "state"
        ),
        _field("weather_temp", Float64, "Last temperature of the day at the origin, degrees Fahrenheit.", "weather"),
        _field("weather_humid", Float64, "Last relative humidity, percent.", "weather"),
        _field("weather_wind_dir", Float64, "Last wind direction, degrees.", "weather"),
        _field("weather_wind_speed", Float64, "Last wind speed, miles an hour.", "weather"),
        _field("weather_visib", Float64, "Last visibility, miles.", "weather"),
        _field("weather_pressure", Float64, "Last pressure at sea level, millibar.", "weather"),
        _field("weather_pressure_change", Float64, "Change of pressure over about six hours, millibar.", "weather"),
        _field("weather_rain_6h", Float64, "Precipitation of the last six hours, inches.", "weather"),
    ],
    source=_source("flight_plan"),
    description="Each flight of the day that begins: its plan, its plane, and the weather at its origin at midnight.",
    tags=TAGS,
    owner=OWNER,
)

plan_slack = OnDemandFeatureView(
    name="plan_slack",
    sources=[flight_plan[["block_minutes", "distance"]]],
    schema=[_field("slack_minutes", Float64, "Scheduled minutes beyond the distance at 7.5 miles a minute.", "plan")],
    mode="python",
    udf=features.slack_minutes,
    udf_string=inspect.getsource(features.slack_minutes),
    description="What is computed from a flight's plan when it is asked for.",
    tags=TAGS,
    owner=OWNER,
)


def _history(name: str, entity: Entity, spans: Sequence[int], *, rare: bool = False) -> FeatureView:
    """How late the landings of one key were; ``rare`` keys also have their number and the latest delay."""
    fields = []
    for days in spans:
        past = f"of the landings of the last {days} day(s), by {entity.name}"
        fields += [
            _field(f"{name}_late_rate_{days}d", Float64, f"Share {past}, more than 15 minutes late.", "history"),
            _field(
                f"{name}_mean_delay_{days}d", Float64, f"Mean arrival delay {past}, minutes in -60 to 240.", "history"
            ),
        ]
    if rare:
        fields += [
            _field(f"{name}_landings_28d", Int64, f"Landings in the last 28 days, by {entity.name}.", "history"),
            _field(
                f"{name}_last_delay",
                Float64,
                f"Arrival delay of the last landing, minutes, by {entity.name}.",
                "history",
            ),
        ]
    return FeatureView(
        name=f"{name}_history",
        entities=[entity],
        ttl=TTL,
        schema=fields,
        source=_source(f"{name}_history"),
        description=f"How late flights landed in the last days, by {entity.name}; from what had landed by midnight.",
        tags=TAGS,
        owner=OWNER,
    )


carrier_history = _history("carrier", carrier, (1, 7, 28))
origin_history = _history("origin", origin, (1, 7))
dest_history = _history("dest", dest, (1, 7, 28))
tail_history = _history("tail", tailnum, (1, 7, 28), rare=True)
line_history = _history("line", line, (7, 28), rare=True)
slot_history = _history("slot", slot, (7, 28))


def _now(name: str, entities: Sequence[Entity], whose: str) -> FeatureView:
    """How the last two hours' departures went, for every quarter of an hour; pushed while the day goes on."""
    past, due = f"of the departures {whose} in the last two hours", f"of the flights {whose} due in the last two hours"
    return FeatureView(
        name=f"{name}_now",
        entities=list(entities),
        ttl=TTL_NOW,
        schema=[
            _field(f"{name}_departures_2h", Int64, f"Number {past}.", "intraday"),
            _field(f"{name}_departure_delay_2h", Float64, f"Mean delay {past}, minutes in -60 to 240.", "intraday"),
            _field(f"{name}_departed_late_share_2h", Float64, f"Share {past}, more than 15 minutes late.", "intraday"),
            _field(f"{name}_wait_2h", Float64, f"Mean delay so far {due}, minutes in -60 to 240.", "intraday"),
            _field(
                f"{name}_overdue_share_2h", Float64, f"Share {due}, not departed after 15 minutes or more.", "intraday"
            ),
        ],
        source=_pushed(f"{name}_now"),
        description=f"Departures {whose}, and flights that were due and have not left, every quarter of an hour.",
        tags=INTRADAY,
        owner=OWNER,
    )


origin_now = _now("origin", [origin], "from the origin")
carrier_now = _now("carrier", [carrier, origin], "of the carrier from the origin")
aircraft_now = FeatureView(
    name="aircraft_now",
    entities=[tailnum],
    ttl=TTL_AIRCRAFT,
    schema=[
        _field("aircraft_delay", Float64, "Delay of the aircraft's latest departure or landing, minutes.", "intraday"),
        _field(
            "aircraft_margin",
            Float64,
            "Minutes between the earliest return to New York and the aircraft's next planned departure.",
            "intraday",
        ),
    ],
    source=_pushed("aircraft_now"),
    description="How late each aircraft is on its way, from its departure and again from its landing.",
    tags=INTRADAY,
    owner=OWNER,
)

# Thousands of aircraft and lines are no categories to learn: they are in flight_plan for their histories' sake.
KEYS_ONLY = ("aircraft", "service_line", "departure_slot", "flight_id")
MIDNIGHT = [
    flight_plan[[field.name for field in flight_plan.schema if field.name not in KEYS_ONLY]],
    plan_slack,
    carrier_history,
    origin_history,
    dest_history,
    tail_history,
    line_history,
    slot_history,
]
flight_delay = FeatureService(
    name="flight_delay",
    features=MIDNIGHT,
    description="What a flight's delay is predicted from, as known at the midnight before its day.",
    tags=TAGS,
    owner=OWNER,
)
flight_delay_2h = FeatureService(
    name="flight_delay_2h",
    features=[*MIDNIGHT, origin_now, carrier_now, aircraft_now],
    description="What is known of a flight's delay during its day, two hours before its departure.",
    tags=INTRADAY,
    owner=OWNER,
)
