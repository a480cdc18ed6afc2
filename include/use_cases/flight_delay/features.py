"""What is known at midnight, New York time, about each flight of the day that begins.

``flight_plan`` has a row per planned flight: its plan, its aircraft's other flights of the day, and the last weather
at its origin. The history views say how late the landings of the last 1, 7 and 28 days were by carrier, origin,
destination, aircraft, service line (a flight number on its route) and departure slot (an hour at an origin).
All of it comes from landings and observations before midnight: nothing of the flight's own day is in it. What is known
later, while the day goes on, is in ``intraday``.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import polars as pl

from include.contract.authoring import Window
from include.contract.partitions import Partition
from include.use_cases.flight_delay import intraday

LATE_MINUTES = 15  # a flight is late when it lands more than this after its scheduled arrival
CLIP = (-60, 240)  # minutes: one flight that waited for a day must not be the mean of a small group
DAYS = 28
ZONE = "America/New_York"

# Join keys of the history views: the column of flight_plan that holds each.
HOLDERS = {
    "carrier": "airline",
    "origin": "origin_airport",
    "dest": "destination",
    "tailnum": "aircraft",
    "line": "service_line",
    "slot": "departure_slot",
}
PLAN = [
    "distance", "weekday", "departure_minute", "arrival_minute", "block_minutes",
    "slot_departures", "origin_departures", "aircraft_leg", "since_previous_departure", "since_previous_arrival",
    "plane_year", "plane_seats", "origin_missing_share", "carrier_missing_share",
    "weather_temp", "weather_humid", "weather_wind_dir", "weather_wind_speed", "weather_visib",
    "weather_pressure", "weather_pressure_change", "weather_rain_6h",
]  # fmt: skip

# History view: its join key, the days over which it looks back, and whether single keys are rare enough that the
# number of landings and the latest delay say something.
HISTORIES: dict[str, tuple[str, tuple[int, ...], bool]] = {
    "carrier": ("carrier", (1, 7, 28), False),
    "origin": ("origin", (1, 7), False),
    "dest": ("dest", (1, 7, 28), False),
    "tail": ("tailnum", (1, 7, 28), True),
    "line": ("line", (7, 28), True),
    "slot": ("slot", (7, 28), False),
}


def views(window: Window) -> dict[str, pl.DataFrame]:
    """The feature views as known at the end of the window's partition, and the intraday views during it."""
    schedule = _with_keys(window.table("schedule"))
    weather = _weather(window.table("weather"), window.partition)
    missing = _missing(window)
    landings = _with_keys(window.table("arrivals", partitions=DAYS))
    plan = (
        _plan(schedule)
        .join(weather, on="origin", how="left", maintain_order="left")
        .join(_share(missing, "origin"), on="origin", how="left", maintain_order="left")
        .join(_share(missing, "carrier"), on="carrier", how="left", maintain_order="left")
    )
    histories = {f"{name}_history": _history(landings, schedule, name, window.partition) for name in HISTORIES}
    return {"flight_plan": _entity(plan), **histories, **intraday.views(window)}


def labels(window: Window) -> pl.DataFrame:
    """1 for each flight that landed in the partition more than 15 minutes late, 0 for the others that landed.

    Cancelled and diverted flights have no label. The time is the midnight before the flight's day: the prediction's.
    """
    midnight = pl.col("flight_date").cast(pl.Datetime("us")).dt.replace_time_zone(ZONE).dt.convert_time_zone("UTC")
    return window.table("arrivals").select("flight_id", event_timestamp=midnight, late=_late().cast(pl.Int64))


def slack_minutes(plan: dict[str, list[float | None]]) -> dict[str, list[float | None]]:
    """Scheduled minutes beyond the distance at 7.5 miles a minute; null where ``flight_plan`` lacks one of the two.

    Computed on demand, in history and in serving. Feast keeps the source of this function and runs it by itself: what
    it needs must stand in it.
    """
    pairs = zip(plan["block_minutes"], plan["distance"], strict=True)
    minutes_a_mile = 1 / 7.5
    slack = [None if block is None or miles is None else block - miles * minutes_a_mile for block, miles in pairs]
    return {"slack_minutes": slack}


def _with_keys(flights: pl.DataFrame) -> pl.DataFrame:
    """Adds the service line and the departure slot."""
    hour = _local("scheduled_departure").dt.hour()
    return flights.with_columns(
        line=pl.format("{}{}_{}_{}", "carrier", "flight", "origin", "dest"), slot=pl.format("{}_{}", "origin", hour)
    )


def _local(column: str) -> pl.Expr:
    return pl.col(column).dt.convert_time_zone(ZONE)


def _late() -> pl.Expr:
    return pl.col("arr_delay") > LATE_MINUTES


def _minutes(earlier: pl.Expr, later: pl.Expr) -> pl.Expr:
    return (later - earlier).dt.total_minutes()


def _plan(schedule: pl.DataFrame) -> pl.DataFrame:
    """What the plan says of a flight, of its slot and of its aircraft's day. Durations are minutes."""
    departure, arrival = pl.col("scheduled_departure"), pl.col("scheduled_arrival")
    clock = _local("scheduled_departure")
    has_aircraft = pl.col("tailnum").is_not_null()

    def of_aircraft(expression: pl.Expr) -> pl.Expr:
        return pl.when(has_aircraft).then(expression.over("tailnum"))

    return schedule.sort("scheduled_departure", "flight_id").with_columns(
        weekday=clock.dt.weekday().cast(pl.Int64),
        departure_minute=clock.dt.hour().cast(pl.Int64) * 60 + clock.dt.minute(),
        arrival_minute=pl.col("sched_arr_time") // 100 * 60 + pl.col("sched_arr_time") % 100,
        block_minutes=_minutes(departure, arrival),
        slot_departures=pl.len().over("slot").cast(pl.Int64),
        origin_departures=pl.len().over("origin").cast(pl.Int64),
        aircraft_leg=of_aircraft(pl.int_range(1, pl.len() + 1, dtype=pl.Int64)),
        since_previous_departure=of_aircraft(_minutes(departure.shift(1), departure)),
        since_previous_arrival=of_aircraft(_minutes(arrival.shift(1), departure)),
    )


def _weather(observations: pl.DataFrame, partition: Partition) -> pl.DataFrame:
    """The last observation of the day at each origin, its trend and its rain; one row per origin."""
    recent = pl.col("observed_at") >= _back(partition, hours=6)
    pressure = pl.col("pressure")
    last = {
        f"weather_{name}": pl.col(name).drop_nulls().last()
        for name in ("temp", "humid", "wind_dir", "wind_speed", "visib", "pressure")
    }
    return (
        observations.sort("observed_at")
        .group_by("origin")
        .agg(
            **last,
            weather_pressure_change=pressure.drop_nulls().last() - pressure.filter(~recent).drop_nulls().last(),
            weather_rain_6h=pl.col("precip").filter(recent).sum(),
        )
    )


def _missing(window: Window) -> pl.DataFrame:
    """The flights that were to land on the partition's day, and whether they did not: late, cancelled or diverted."""
    plan = window.table("schedule", partitions=2).filter(
        (pl.col("flight_date") == window.partition.day) & (pl.col("scheduled_arrival") < window.partition.cutoff)
    )
    landed = window.table("arrivals").select("flight_id", landed=pl.lit(True))
    return plan.join(landed, on="flight_id", how="left").with_columns(missing=pl.col("landed").is_null())


def _share(missing: pl.DataFrame, key: str) -> pl.DataFrame:
    return missing.group_by(key).agg(pl.col("missing").mean().alias(f"{key}_missing_share"))


def _history(landings: pl.DataFrame, schedule: pl.DataFrame, name: str, partition: Partition) -> pl.DataFrame:
    """How late the landings of the last days were, by one key; keys without a landing in them have no row.

    Only planned keys have rows: of 3,000 aircraft and 2,000 lines, a day needs a third.
    """
    key, spans, rare = HISTORIES[name]
    planned = landings.join(schedule, on=key, how="semi")  # a missing key matches nothing
    delay = pl.col("arr_delay").clip(*CLIP)
    features: list[pl.Expr] = []
    for days in spans:
        within = pl.col("landed_at") >= _back(partition, days=days)
        features += [
            _late().filter(within).mean().alias(f"{name}_late_rate_{days}d"),
            delay.filter(within).mean().alias(f"{name}_mean_delay_{days}d"),
        ]
    if rare:
        features += [
            pl.len().cast(pl.Int64).alias(f"{name}_landings_{DAYS}d"),
            pl.col("arr_delay").sort_by("landed_at").last().cast(pl.Float64).alias(f"{name}_last_delay"),
        ]
    return planned.group_by(key).agg(features).sort(key)


def _back(partition: Partition, *, days: int = 0, hours: int = 0) -> datetime:
    """The instant so many local days, or hours, before the cut-off."""
    return (partition.end - timedelta(days=days)).astimezone(UTC) - timedelta(hours=hours)


def _entity(plan: pl.DataFrame) -> pl.DataFrame:
    """The view's columns; those that hold the join keys of other views have names of their own."""
    return plan.select(
        "flight_id",
        *(pl.col(key).alias(column) for key, column in HOLDERS.items()),
        *PLAN,
    )
