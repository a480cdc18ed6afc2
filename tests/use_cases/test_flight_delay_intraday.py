"""What is known of the flights during the day: the same in history and in what is pushed, and nothing of later."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from feast import FeatureStore
from feast.data_source import PushMode

from benchmarks.in_memory import MemoryWindow, read_all
from include.contract.loading import Folder
from include.features import store
from include.features.compute import view_file
from include.settings import REPOSITORY, get_settings
from include.use_cases.flight_delay import intraday

DAY = "2013-02-08"  # a blizzard: half of the flights were cancelled, the others were late
VIEWS = {"origin_now": ["origin"], "carrier_now": ["carrier", "origin"], "aircraft_now": ["tailnum"]}
TIMES = ["event_timestamp", "created_timestamp"]


@pytest.fixture(scope="module")
def window(flight_delay: Folder) -> MemoryWindow:
    calendar = flight_delay.config.calendar
    partitions = calendar.span(calendar.partition("2013-02-06"), calendar.partition(DAY))
    return read_all(flight_delay.source, partitions, lambda _, rows: rows)[-1]


@pytest.fixture(scope="module")
def history(window: MemoryWindow) -> dict[str, pl.DataFrame]:
    return intraday.views(window)


def plan(window: MemoryWindow) -> pl.DataFrame:
    """What was planned for the day and the day before."""
    return window.table("schedule", partitions=3).filter(pl.col("flight_date") <= window.partition.day)


def hour(number: int, minute: int = 0) -> datetime:
    """Of the day, New York clock."""
    return datetime(2013, 2, 8, number, minute, tzinfo=UTC) + timedelta(hours=5)


def now(window: MemoryWindow, at: datetime) -> dict[str, pl.DataFrame]:
    """The views as they are made during the day, from what is known at ``at``."""
    departures = window.table("departures", partitions=2).filter(pl.col("departed_at") <= at)
    today = window.table("departures").filter(pl.col("departed_at") <= at)
    arrivals = window.table("arrivals").filter(pl.col("landed_at") <= at)
    aircraft = intraday.aircraft_now(today, arrivals, plan(window))
    latest = aircraft.unique("tailnum", keep="last", maintain_order=True)
    return {**intraday.departures_now(departures, plan(window), [at]), "aircraft_now": latest}


def test_the_day_is_covered_by_every_quarter_of_an_hour_until_its_end(
    window: MemoryWindow, history: dict[str, pl.DataFrame]
) -> None:
    for name in ("origin_now", "carrier_now"):
        instants = history[name]["event_timestamp"].unique().sort()
        assert instants.to_list() == intraday.quarters(window.partition)
        assert instants[-1] == window.partition.cutoff
        assert history[name].select(pl.struct(*VIEWS[name], "event_timestamp").is_unique().all()).item()
    events = history["aircraft_now"]["event_timestamp"]
    assert events.min() >= window.partition.start  # type: ignore[operator]
    assert events.max() < window.partition.cutoff  # type: ignore[operator]


@pytest.mark.parametrize(("key", "quarters"), [("2013-03-10", 92), ("2013-11-03", 100)])
def test_a_day_on_which_clocks_change_has_as_many_quarters_as_it_lasts(
    flight_delay: Folder, key: str, quarters: int
) -> None:
    assert len(intraday.quarters(flight_delay.config.calendar.partition(key))) == quarters


def test_numbers_of_one_instant_are_those_counted_by_hand(
    window: MemoryWindow, history: dict[str, pl.DataFrame]
) -> None:
    at = hour(12)
    (found,) = history["origin_now"].filter(origin="EWR", event_timestamp=at).iter_rows(named=True)
    rows = window.table("departures", partitions=2).filter(origin="EWR").to_dicts()
    gone = [row for row in rows if at - timedelta(hours=2) <= row["departed_at"] < at]
    delays = [min(max(row["dep_delay"], -60), 240) for row in gone]
    assert found["origin_departures_2h"] == len(gone) > 10
    assert found["origin_departure_delay_2h"] == pytest.approx(sum(delays) / len(delays))
    assert found["origin_departed_late_share_2h"] == pytest.approx(sum(delay > 15 for delay in delays) / len(delays))
    left = {row["flight_id"]: row["departed_at"] for row in rows if row["departed_at"] < at}
    planned = plan(window).filter(origin="EWR").to_dicts()
    due = [row for row in planned if at - timedelta(hours=2) <= row["scheduled_departure"] < at]
    waits = [
        (row["flight_id"] in left, (left.get(row["flight_id"], at) - row["scheduled_departure"]).total_seconds() / 60)
        for row in due
    ]
    assert found["origin_overdue_share_2h"] == pytest.approx(
        sum(not there and wait > 15 for there, wait in waits) / len(waits)
    )
    assert found["origin_wait_2h"] == pytest.approx(sum(min(max(wait, -60), 240) for _, wait in waits) / len(waits))


def test_an_aircrafts_margin_shrinks_with_its_delay(window: MemoryWindow, history: dict[str, pl.DataFrame]) -> None:
    rotation = plan(window).filter(pl.col("flight_date") == window.partition.day).sort("scheduled_departure")
    legs = rotation.with_columns(next=pl.col("scheduled_departure").shift(-1).over("tailnum"))
    departed = legs.join(window.table("departures").select("flight_id", "departed_at"), on="flight_id")
    block = pl.col("scheduled_arrival") - pl.col("scheduled_departure")
    expected = departed.filter(pl.col("next").is_not_null()).select(
        "tailnum",
        event_timestamp="departed_at",
        margin=(pl.col("next") - pl.col("departed_at") - 2 * block).dt.total_minutes(),
    )
    both = expected.join(history["aircraft_now"], on=["tailnum", "event_timestamp"])
    assert both.height == expected.height > 50
    assert (both["margin"] == both["aircraft_margin"]).all()


@pytest.mark.parametrize("at", [hour(0, 15), hour(9), hour(15, 45)])
def test_what_is_later_than_an_instant_changes_nothing(
    window: MemoryWindow, history: dict[str, pl.DataFrame], at: datetime
) -> None:
    def disturbed(table: str, column: str) -> pl.DataFrame:
        """Everything of later is an hour later and twice as late, every third flight is gone."""
        rows = window.table(table, partitions=2)
        later = rows.filter(pl.col(column) >= at).gather_every(3)
        moved = later.with_columns(pl.col(column) + timedelta(hours=1), pl.col("dep_delay") * 2 + 60)
        return pl.concat([rows.filter(pl.col(column) < at), moved])

    departures, arrivals = disturbed("departures", "departed_at"), disturbed("arrivals", "landed_at")
    assert departures.height < window.table("departures", partitions=2).height
    instants = intraday.quarters(window.partition)
    changed = {
        **intraday.departures_now(departures, plan(window), instants),
        "aircraft_now": intraday.aircraft_now(departures, arrivals, plan(window)),
    }
    start = window.partition.start.astimezone(UTC)
    for name, rows in changed.items():
        past = pl.col("event_timestamp").is_between(start, at, closed="both" if name != "aircraft_now" else "left")
        assert rows.filter(past).equals(history[name].filter(past))
        assert not rows.equals(history[name])


def test_the_plan_of_tomorrow_changes_nothing(window: MemoryWindow, history: dict[str, pl.DataFrame]) -> None:
    tables = [*window.tables[:-1], {**window.tables[-1], "schedule": window.tables[-1]["schedule"].clear()}]
    without = intraday.views(MemoryWindow(window.partitions, tables, window.position))
    assert all(rows.equals(history[name]) for name, rows in without.items())


@contextmanager
def opened(
    home: Path, use_case: Folder, history: dict[str, pl.DataFrame], end: datetime
) -> Iterator[tuple[FeatureStore, timedelta]]:
    """A store with the day's history, moved so that its ``end`` is now; and by how much it was moved."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EVERGREEN_HOME", str(home))
        # The definitions name the folders of the home in which they were loaded.
        patch.delitem(sys.modules, "evergreen_use_cases.flight_delay.feature_definitions", raising=False)
        get_settings.cache_clear()
        store.ensure_applied(use_case)
        shift = datetime.now(UTC) - end
        for name, rows in history.items():
            file = view_file("flight_delay", name, DAY)
            file.parent.mkdir(parents=True)
            moved(rows, shift).write_parquet(file)
        yield store.open_store(), shift
    get_settings.cache_clear()


@pytest.fixture
def shifted(
    flight_delay: Folder, history: dict[str, pl.DataFrame], tmp_path: Path
) -> Iterator[tuple[FeatureStore, timedelta]]:
    with opened(tmp_path, flight_delay, history, hour(15)) as found:
        yield found


def moved(rows: pl.DataFrame, shift: timedelta) -> pl.DataFrame:
    time = pl.col("event_timestamp") + shift
    return rows.with_columns(event_timestamp=time, created_timestamp=time)


def features(feature_store: FeatureStore, view: str) -> list[str]:
    return [f"{view}:{field.name}" for field in feature_store.get_feature_view(view).features]


def compared(frame: Any, references: list[str], keys: list[str]) -> pl.DataFrame:
    names = sorted(reference.partition(":")[2] for reference in references)
    return pl.from_pandas(frame).select(*keys, pl.col(names).cast(pl.Float64))


@pytest.mark.parametrize("end", [hour(8), hour(13), hour(20)])
def test_what_was_pushed_is_what_the_offline_store_says_of_the_instant(
    flight_delay: Folder, window: MemoryWindow, history: dict[str, pl.DataFrame], tmp_path: Path, end: datetime
) -> None:
    compared_rows = 0
    with opened(tmp_path, flight_delay, history, end) as (feature_store, shift):
        for at in [end - intraday.STEP * number for number in (3, 2, 1, 0)]:
            for view, rows in now(window, at).items():
                keys, asked = VIEWS[view], features(feature_store, view)
                feature_store.push(view, moved(rows, shift).to_pandas(), to=PushMode.ONLINE)
                # Online is read as of the wall clock, up to an hour after the instant: what expires in it is left out.
                fresh = rows.filter(pl.col("event_timestamp") >= end - timedelta(hours=11)).select(keys)
                online = feature_store.get_online_features(asked, fresh.to_dicts()).to_df()
                moment = fresh.with_columns(event_timestamp=pl.lit(at + shift))
                offline = feature_store.get_historical_features(moment.to_pandas(), asked).to_df()
                assert compared(online, asked, keys).equals(compared(offline, asked, keys)), (view, at)
                compared_rows += fresh.height
    assert compared_rows > 200


def test_the_service_of_the_day_has_the_features_of_midnight_and_the_intraday_ones(
    shifted: tuple[FeatureStore, timedelta],
) -> None:
    feature_store, _ = shifted
    midnight, later = (
        set(store.feature_names(feature_store.get_feature_service(name)))
        for name in ("flight_delay", "flight_delay_2h")
    )
    own = {reference.partition(":")[2] for view in VIEWS for reference in features(feature_store, view)}
    assert later == midnight | own
    assert not midnight & own


def test_another_process_computes_on_demand_from_the_registry_alone(
    shifted: tuple[FeatureStore, timedelta], tmp_path: Path
) -> None:
    """The function is kept with the definitions: a reader need not have imported the use case."""
    script = """
import sys
from include.features.store import open_store
view = open_store().get_on_demand_feature_view("plan_slack")
assert not [name for name in sys.modules if "flight_delay" in name], "the use case was imported"
found = view.transform_dict({"block_minutes": [125, None, 60], "distance": [750, 100, None]})
assert found["slack_minutes"] == [25.0, None, None], found
"""
    subprocess.run([sys.executable, "-c", script], check=True, env={**os.environ, "PYTHONPATH": str(REPOSITORY)})


def test_applying_the_definitions_again_changes_nothing(
    flight_delay: Folder, shifted: tuple[FeatureStore, timedelta]
) -> None:
    (plan_,) = [each for each in store.plans() if each.use_case == "flight_delay"]
    assert not plan_.changes
