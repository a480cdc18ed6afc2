from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from include.contract.loading import Folder
from include.features import catalogue, store
from include.features.freshness import Freshness, measure
from include.features.materialize import materialize
from tests.features.weather_history import observed, write

NOON = datetime(2013, 5, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.mark.parametrize(
    ("newest", "ttl", "now", "state"),
    [
        (None, DAY, NOON, "empty"),
        (NOON, DAY, NOON + DAY, "fresh"),
        (NOON, DAY, NOON + DAY + timedelta(microseconds=1), "expired"),
        (NOON, None, NOON + 1000 * DAY, "fresh"),
    ],
)
def test_the_state_of_a_view(newest: datetime | None, ttl: timedelta | None, now: datetime, state: str) -> None:
    assert Freshness("view", ttl, newest, None).state(now) == state


def test_each_stored_view_is_measured_as_it_was_written(stations: Folder) -> None:
    store.apply()
    known = catalogue.read("station_temperature")
    assert known is not None
    assert {each.view: each.newest for each in measure(known)} == {"observation": None, "station_history": None}
    week = stations.config.calendar.partition("2013-01-07")
    write(stations, week, observed("EWR", 1, week.cutoff - timedelta(hours=2)))
    before = datetime.now(UTC)
    materialize(stations, [week])
    found = {each.view: each for each in measure(known)}
    assert found["observation"].newest == week.cutoff - timedelta(hours=2)
    assert found["station_history"].newest == week.cutoff
    assert found["observation"].ttl == timedelta(days=14)
    written_at = found["observation"].written_at
    assert written_at is not None
    assert before <= written_at <= datetime.now(UTC)
