"""From partitions of the offline store into the online store, SQLite and Redis."""

from __future__ import annotations

import logging
import random
from datetime import timedelta
from typing import Any

import pytest

from include.contract.loading import Folder
from include.contract.partitions import Partition
from include.features import store
from include.features.compute import view_file
from include.features.materialize import materialize
from include.features.online.rows import key_of
from include.features.online.store import rows_of
from include.settings import get_settings
from tests.features.weather_history import observed, write

WEEKS = ("2013-01-07", "2013-01-14", "2013-01-21", "2013-01-28", "2013-02-04", "2013-02-11")
HOUR = timedelta(hours=1)


@pytest.fixture(params=["sqlite", "redis"])
def applied(stations: Folder, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Folder:
    if request.param == "redis":
        import redis

        url = request.getfixturevalue("redis_url")
        redis.Redis.from_url(url).flushall()
        monkeypatch.setenv("EVERGREEN_REDIS", url)
        get_settings.cache_clear()
    store.apply()
    return stations


def week(use_case: Folder, number: int) -> Partition:
    return use_case.config.calendar.partition(WEEKS[number])


def online(view: str, *keys: str) -> list[dict[str, Any] | None]:
    found = rows_of(store.open_store()).read({f"evergreen:{view}": [key_of([key]) for key in keys]})
    return [row.features() if row else None for row in found[f"evergreen:{view}"]]


def temperatures(*keys: str) -> list[float | None]:
    return [row["temp"] if row else None for row in online("observation", *keys)]


def test_the_newest_row_of_each_key_is_online(applied: Folder) -> None:
    first = week(applied, 0)
    end = first.cutoff
    write(applied, first, observed("EWR", 1, end - HOUR), observed("EWR", 2, end), observed("JFK", 3, end - HOUR))
    assert materialize(applied, [first]) == {"observation": 2, "station_history": 2}
    assert temperatures("EWR", "JFK", "LGA") == [2, 3, None]
    assert online("station_history", "EWR") == [{"temp_mean": 1.5}]


def test_of_equal_times_the_one_created_last_is_online(applied: Folder) -> None:
    first = week(applied, 0)
    at = first.cutoff - HOUR
    write(applied, first, observed("EWR", 2, at, at + HOUR), observed("EWR", 1, at))
    materialize(applied, [first])
    assert temperatures("EWR") == [2]


def test_a_null_key_is_left_out(applied: Folder) -> None:
    first = week(applied, 0)
    write(applied, first, observed(None, 1, first.cutoff), observed("EWR", 2, first.cutoff))
    assert materialize(applied, [first])["observation"] == 1


@pytest.mark.parametrize("seed", range(3))
def test_partitions_in_any_order_and_twice_give_the_same(applied: Folder, seed: int) -> None:
    weeks = [week(applied, number) for number in range(len(WEEKS))]
    for number, each in enumerate(weeks):
        stations = ["EWR"] if number % 2 else ["EWR", "JFK"]
        write(applied, each, *(observed(station, number, each.cutoff) for station in stations))
    order = [*weeks, *weeks]
    random.Random(seed).shuffle(order)
    for each in order:
        materialize(applied, [each])
    assert temperatures("EWR", "JFK") == [5, 4]


def test_an_older_backfill_does_not_replace_what_is_newer(applied: Folder) -> None:
    write(applied, week(applied, 1), observed("EWR", 2, week(applied, 1).cutoff))
    materialize(applied, [week(applied, 1)])
    write(applied, week(applied, 0), observed("EWR", 1, week(applied, 0).cutoff))
    materialize(applied, [week(applied, 0)])
    assert temperatures("EWR") == [2]


def test_what_is_beyond_its_time_to_live_is_not_written(applied: Folder, caplog: pytest.LogCaptureFixture) -> None:
    """Observations live for two weeks, histories for thirty days."""
    for number in (0, 5):
        write(applied, week(applied, number), observed(f"S{number}", number, week(applied, number).cutoff))
    with caplog.at_level(logging.INFO):
        assert materialize(applied, [week(applied, 0)]) == {"observation": 0, "station_history": 0}
        assert materialize(applied, [week(applied, 5)]) == {"observation": 1, "station_history": 1}
    assert "observation: no partition of these is within its time to live" in caplog.text
    assert "observation 2013-02-11 (1 of 1): 1 keys" in caplog.text
    assert temperatures("S0", "S5") == [None, 5]


def test_a_partition_that_was_computed_again_gives_its_new_values(applied: Folder) -> None:
    first = week(applied, 0)
    write(applied, first, observed("EWR", 1, first.cutoff))
    materialize(applied, [first])
    write(applied, first, observed("EWR", 9, first.cutoff))
    materialize(applied, [first])
    assert temperatures("EWR") == [9]


def test_a_key_that_is_gone_has_again_what_the_partition_before_says(applied: Folder) -> None:
    first, second = week(applied, 0), week(applied, 1)
    write(applied, first, observed("EWR", 1, first.cutoff), observed("JFK", 1, first.cutoff))
    write(applied, second, *(observed(key, 2, second.cutoff) for key in ("EWR", "JFK", "LGA")))
    materialize(applied, [first, second])
    assert temperatures("EWR", "JFK", "LGA") == [2, 2, 2]
    write(applied, second, observed("EWR", 3, second.cutoff))
    materialize(applied, [second])
    assert temperatures("EWR", "JFK", "LGA") == [3, 1, None]


def test_a_key_that_is_gone_from_a_partition_of_a_longer_run(applied: Folder) -> None:
    first, second = week(applied, 0), week(applied, 1)
    write(applied, first, observed("JFK", 1, first.cutoff))
    write(applied, second, observed("JFK", 2, second.cutoff))
    materialize(applied, [first, second])
    write(applied, second, observed("EWR", 3, second.cutoff))
    materialize(applied, [first, second])
    assert temperatures("EWR", "JFK") == [3, 1]


def test_what_was_pushed_since_stays(applied: Folder) -> None:
    import pandas as pd

    first = week(applied, 0)
    write(applied, first, observed("EWR", 1, first.cutoff))
    pushed = pd.DataFrame([observed("EWR", 7, first.cutoff + HOUR)], columns=["station", "temp", "dewp", "pressure",
                          "hour", "season", "event_timestamp", "created_timestamp"])  # fmt: skip
    store.open_store().write_to_online_store("observation", pushed)
    materialize(applied, [first])
    assert temperatures("EWR") == [7]


def test_a_view_that_is_never_computed_is_named(applied: Folder) -> None:
    first = week(applied, 0)
    write(applied, first, observed("EWR", 1, first.cutoff))
    view_file(applied.config.name, "station_history", first.key).unlink()
    with pytest.raises(FileNotFoundError, match=r"station_history.*not computed; views\(\) in .*features.py must"):
        materialize(applied, [first])


def test_a_column_that_is_missing_is_named(applied: Folder) -> None:
    first = week(applied, 0)
    write(applied, first, observed("EWR", 1, first.cutoff))
    import polars as pl

    file = view_file(applied.config.name, "observation", first.key)
    pl.read_parquet(file).drop("temp").write_parquet(file)
    with pytest.raises(ValueError, match=r"2013-01-07.parquet: no column temp"):
        materialize(applied, [first])
