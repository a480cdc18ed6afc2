"""The features of the flights, as known at midnight."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import polars as pl
import pytest

from benchmarks.in_memory import MemoryWindow, point_in_time, read_all
from include.contract.loading import Folder
from include.contract.partitions import Partition


@dataclass(frozen=True)
class Tables:
    """A window whose tables are given."""

    partition: Partition
    tables: dict[str, pl.DataFrame]

    def table(self, name: str, *, partitions: int = 1) -> pl.DataFrame:
        return self.tables[name]


def instant(day: int, hour: int, minute: int = 0) -> datetime:
    """In January 2013, New York clock."""
    return datetime(2013, 1, day, hour, minute, tzinfo=UTC) + timedelta(hours=5)


def flight(number: int, day: int, hour: int, *, tail: str | None = "N1", carrier: str = "UA") -> dict[str, object]:
    return {
        "flight_id": f"2013-01-{day:02}_{carrier}{number}_EWR",
        "flight_date": date(2013, 1, day),
        "carrier": carrier,
        "flight": number,
        "origin": "EWR",
        "dest": "ORD",
        "tailnum": tail,
        "sched_arr_time": (hour + 1) % 24 * 100 + 5,
        "scheduled_departure": instant(day, hour),
        "scheduled_arrival": instant(day, hour) + timedelta(minutes=125),
        "distance": 750,
        "plane_year": 2000,
        "plane_seats": 150,
    }


def landing(number: int, day: int, landed: datetime, delay: int, **more: object) -> dict[str, object]:
    return {**flight(number, day, 8), "landed_at": landed, "arr_delay": delay, **more}


@pytest.fixture(scope="module")
def views(flight_delay: Folder) -> dict[str, pl.DataFrame]:
    """The midnight before January 20: three flights planned, four landings and one flight missing before."""
    schedule = [
        flight(1, 20, 8),
        flight(2, 20, 12),
        flight(3, 20, 12, tail=None, carrier="B6"),
        flight(1, 19, 8),
        flight(9, 19, 10, tail="N9"),
        flight(10, 19, 23),
    ]
    arrivals = [
        landing(1, 1, instant(1, 10), 600),
        landing(1, 18, instant(18, 23, 59), 16),
        landing(1, 19, instant(19, 0), 15),
        landing(4, 19, instant(19, 20), 45, carrier="AA", tailnum="N9"),
    ]
    weather = [
        {"origin": "EWR", "observed_at": instant(19, hour), "precip": 0.1, "wind_speed": float(hour), "pressure": p}
        | {"temp": 30.0, "humid": 80.0, "wind_dir": 90.0, "visib": 10.0}
        for hour, p in ((10, 1010.0), (17, 1008.0), (18, 1004.0), (22, 1001.0), (23, None))
    ]
    plan = pl.DataFrame(schedule, schema_overrides={"tailnum": pl.String})
    tomorrow = plan.filter(pl.col("flight_date") == date(2013, 1, 20))
    partition = flight_delay.config.calendar.partition("2013-01-19")

    class Window(Tables):
        def table(self, name: str, *, partitions: int = 1) -> pl.DataFrame:
            if name == "schedule":
                return plan if partitions >= 2 else tomorrow
            rows = self.tables[name]
            if name == "arrivals" and partitions == 1:
                return rows.filter(pl.col("landed_at") >= partition.start.astimezone(UTC))
            return rows

    departures = [flight(1, 19, 8) | {"departed_at": instant(19, 9), "dep_delay": 60}]
    tables = {
        "departures": pl.DataFrame(departures),
        "arrivals": pl.DataFrame(arrivals),
        "weather": pl.DataFrame(weather),
    }
    return flight_delay.features.views(Window(partition, tables))


def row(frame: pl.DataFrame, **key: object) -> dict[str, object]:
    (found,) = frame.filter(**key).iter_rows(named=True)
    return found


def values(found: dict[str, object], names: Iterable[str]) -> list[object]:
    return [found[name] for name in names]


def test_a_rate_counts_landings_from_the_midnight_so_many_days_ago(views: dict[str, pl.DataFrame]) -> None:
    found = row(views["carrier_history"], carrier="UA")
    assert values(found, ("carrier_late_rate_1d", "carrier_late_rate_7d", "carrier_late_rate_28d")) == [0, 0.5, 2 / 3]


def test_a_mean_delay_is_in_minutes_and_a_day_of_waiting_counts_as_four_hours(views: dict[str, pl.DataFrame]) -> None:
    found = row(views["carrier_history"], carrier="UA")
    assert values(found, ("carrier_mean_delay_1d", "carrier_mean_delay_7d")) == [15, 15.5]
    assert found["carrier_mean_delay_28d"] == pytest.approx((240 + 16 + 15) / 3)


def test_rare_keys_know_how_often_and_how_late_they_landed_last(views: dict[str, pl.DataFrame]) -> None:
    found = row(views["line_history"], line="UA1_EWR_ORD")
    assert values(found, ("line_landings_28d", "line_last_delay")) == [3, 15]
    assert views["tail_history"]["tailnum"].to_list() == ["N1"]  # N9 has landed, but is not planned


def test_a_slot_is_an_hour_of_the_local_clock(views: dict[str, pl.DataFrame]) -> None:
    assert views["slot_history"]["slot"].to_list() == ["EWR_8"]
    assert views["flight_plan"]["departure_slot"].to_list() == ["EWR_8", "EWR_12", "EWR_12"]


def test_the_plan_knows_the_aircrafts_day(views: dict[str, pl.DataFrame]) -> None:
    second = row(views["flight_plan"], flight_id="2013-01-20_UA2_EWR")
    names = ("aircraft_leg", "since_previous_departure", "since_previous_arrival", "slot_departures", "block_minutes")
    assert values(second, names) == [2, 240, 115, 2, 125]
    unknown = row(views["flight_plan"], flight_id="2013-01-20_B63_EWR")
    assert values(unknown, ("aircraft", "aircraft_leg", "since_previous_arrival")) == [None, None, None]


def test_slack_is_what_the_plan_allows_beyond_the_distance(flight_delay: Folder) -> None:
    slack = flight_delay.module("features").slack_minutes
    plan = {"block_minutes": [125, None, 60], "distance": [750, 750, None]}
    assert slack(plan) == {"slack_minutes": [25, None, None]}
    assert slack({"block_minutes": [], "distance": []}) == {"slack_minutes": []}


def test_what_was_due_and_has_not_landed_is_missing(views: dict[str, pl.DataFrame]) -> None:
    first = row(views["flight_plan"], flight_id="2013-01-20_UA1_EWR")
    assert first["origin_missing_share"] == 0.5  # flight 1 landed, 9 did not, 10 was due after midnight
    assert row(views["flight_plan"], flight_id="2013-01-20_B63_EWR")["carrier_missing_share"] is None


def test_the_weather_is_the_last_of_the_day(views: dict[str, pl.DataFrame]) -> None:
    first = row(views["flight_plan"], flight_id="2013-01-20_UA1_EWR")
    assert values(first, ("weather_wind_speed", "weather_pressure")) == [23.0, 1001.0]
    assert first["weather_pressure_change"] == -7  # against 17:00, the last before the six hours
    assert first["weather_rain_6h"] == pytest.approx(0.3)


def test_columns_and_types_are_those_of_the_feature_store(flight_delay: Folder, views: dict[str, pl.DataFrame]) -> None:
    from feast import FeatureService, FeatureView

    from include.features.store import definitions

    defined = definitions(flight_delay)
    feature_views = {each.name: each for each in defined if isinstance(each, FeatureView)}
    assert set(feature_views) == set(views)
    types = {"String": pl.String, "Float64": pl.Float64, "Int64": pl.Int64}
    for name, view in feature_views.items():
        features = {field.name: types[str(field.dtype)] for field in view.features}
        frame = views[name].drop(*view.entities, "event_timestamp", strict=False)
        assert dict(frame.schema) == features
        assert view.description and view.owner and view.tags and all(field.description for field in view.features)
    services = {each.name: each for each in defined if isinstance(each, FeatureService)}
    assert set(services) == {"flight_delay", "flight_delay_2h"}
    projections = services["flight_delay"].feature_view_projections
    names = [field.name for projection in projections for field in projection.features]
    assert len(names) == len(set(names)) == 60
    assert set(flight_delay.config.slices) < set(names)
    holders = set(flight_delay.config.entity.join_keys.values())
    assert holders <= set(views["flight_plan"].columns)


@pytest.fixture(scope="module")
def windows(flight_delay: Folder) -> list[MemoryWindow]:
    partitions = flight_delay.config.calendar.parse("2013-02-06/2013-02-12")
    return read_all(flight_delay.source, partitions, lambda _, rows: rows)


def test_a_flights_row_is_made_before_anything_of_its_day_is_known(
    flight_delay: Folder, windows: list[MemoryWindow]
) -> None:
    for window in windows:
        planned = flight_delay.features.views(window)["flight_plan"]
        assert set(planned["flight_id"].str.head(10)) == {str(window.partition.end.date())}
        seen = window.table("arrivals", partitions=28)
        assert not set(planned["flight_id"]) & set(seen["flight_id"])
        assert seen["landed_at"].max() < window.partition.cutoff  # type: ignore[operator]


def test_a_label_comes_after_the_landing_and_is_dated_at_the_prediction(
    flight_delay: Folder, windows: list[MemoryWindow]
) -> None:
    predicted: dict[str, datetime] = {}
    late_ones = 0
    for window in windows:
        labels = flight_delay.features.labels(window)
        landed = window.table("arrivals").select("flight_id", "arr_delay")
        checked = labels.join(landed, on="flight_id", validate="1:1")
        assert (checked["late"] == (checked["arr_delay"] > 15).cast(pl.Int64)).all()
        known = labels.filter(pl.col("flight_id").is_in(list(predicted)))
        late_ones += known.filter(pl.col("event_timestamp") < window.partition.start.astimezone(UTC)).height
        assert all(predicted[key] == at for key, at in known.select("flight_id", "event_timestamp").iter_rows())
        plan = flight_delay.features.views(window)["flight_plan"]
        predicted |= dict.fromkeys(plan["flight_id"], window.partition.cutoff)
    assert late_ones > 100  # landed after midnight


def test_computing_a_day_again_gives_the_same(flight_delay: Folder, windows: list[MemoryWindow]) -> None:
    first, second = (flight_delay.features.views(windows[-1]) for _ in range(2))
    assert all(frame.equals(second[name]) for name, frame in first.items())


def test_the_join_takes_the_latest_value_that_is_not_too_old() -> None:
    rows = pl.DataFrame({"who": ["a", "b", "a", None], "event_timestamp": [instant(day, 0) for day in (5, 5, 4, 5)]})
    view = pl.DataFrame(
        {"key": ["a", "a", "b", "a"], "x": [1, 2, 3, 9], "event_timestamp": [instant(d, 0) for d in (3, 5, 1, 6)]}
    )
    joined = point_in_time(rows, view, {"key": "who"}, timedelta(days=2))
    assert joined["x"].to_list() == [2, None, 1, None]
