"""A partition goes back through validation, and what follows from it is computed again: that, and nothing else."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from include import alerts
from include.contract.loading import Folder, load_use_case
from include.contract.partitions import Partition
from include.features import compute, stale, store
from include.files import read_json
from include.ingestion import ingest, landing, replay, versions
from include.ingestion.batch import RECORD
from include.ingestion.validation import RefusedBatchError
from include.settings import get_settings

USE_CASES = Path(__file__).parents[1] / "use_cases"
SPAN = "2013-01-28/2013-03-04"
STORM = "2013-02-11"  # the week of the impossible wind
AFTER = "2013-02-18"  # its features look back on the week of the wind
WIND = "weather: expect_column_values_to_be_between(wind_speed)"


@pytest.fixture
def lake(tmp_path_factory: pytest.TempPathFactory, first: Path) -> Iterator[Folder]:
    """A copy of the stores in which six weeks have been ingested and computed."""
    home = tmp_path_factory.mktemp("copy") / "home"
    shutil.copytree(first, home)
    yield from opened(home)


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("lake")
    for use_case in opened(home):
        versions.initialize()
        store.apply()
        partitions = use_case.config.calendar.parse(SPAN)
        landing.land(use_case, partitions)
        ingest.check(use_case, partitions)
        done = ingest.publish(use_case, partitions, origin="first")
        compute.compute(use_case, partitions, done.revision)
    return home


def opened(home: Path) -> Iterator[Folder]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EVERGREEN_HOME", str(home))
        patch.setenv("EVERGREEN_USE_CASE_PATHS", str(USE_CASES))
        patch.setenv("DVC_NO_ANALYTICS", "1")
        get_settings.cache_clear()
        yield load_use_case("station_temperature")
    get_settings.cache_clear()


def replayed(use_case: Folder, partitions: list[Partition], *, from_source: bool = False) -> ingest.Ingested:
    replay.bring_back(use_case, partitions, from_source=from_source)
    ingest.check(use_case, partitions)
    return ingest.publish(use_case, partitions, origin="replay")


def keys(partitions: list[Partition]) -> list[str]:
    return [partition.key for partition in partitions]


@pytest.fixture
def mended_suite(lake: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    """A suite that holds winds of any speed possible."""
    suites: Callable[..., dict[str, list[Any]]] = lake.expectations.suites

    def without_wind(batch: Any) -> dict[str, list[Any]]:
        return {
            name: [each for each in suite if getattr(each, "column", "") != "wind_speed"]
            for name, suite in suites(batch).items()
        }

    monkeypatch.setattr(lake.expectations, "suites", without_wind)


@pytest.mark.usefixtures("mended_suite")
def test_after_a_fix_of_the_suite_the_row_is_back_in_its_place(lake: Folder) -> None:
    partitions = replay.choose(lake, None, None, reason="wind_speed")
    assert keys(partitions) == [STORM]
    done = replayed(lake, partitions)
    assert (done.changed, done.quarantined) == ((STORM,), 0)
    files = versions.files(lake.config.name, done.revision, [STORM])[STORM]
    assert pl.read_parquet(files["weather.parquet"]).equals(lake.source.read(partitions[0])["weather"])
    assert "quarantine/weather.parquet" not in files


@pytest.mark.usefixtures("mended_suite")
def test_exactly_the_features_that_look_back_on_the_change_are_computed_again(lake: Folder) -> None:
    partitions = replay.choose(lake, STORM, None, None)
    done = replayed(lake, partitions)
    affected = stale.affected(lake, partitions, done.revision)
    assert keys(affected) == [STORM, AFTER]
    everything = lake.config.calendar.parse(SPAN)
    assert keys(list(stale.stale(lake, everything, done.revision))) == [STORM, AFTER]
    compute.compute(lake, affected, done.revision)
    assert stale.affected(lake, partitions, done.revision) == []


@pytest.mark.usefixtures("mended_suite")
def test_a_replay_that_was_killed_after_its_commit_still_passes_the_change_on(lake: Folder) -> None:
    partitions = replay.choose(lake, STORM, None, None)
    replayed(lake, partitions)
    again = ingest.publish(lake, partitions, origin="replay")
    assert again.changed == ()
    assert keys(stale.affected(lake, partitions, again.revision)) == [STORM, AFTER]


def test_without_a_fix_nothing_changes(lake: Folder) -> None:
    before = versions.head()
    partitions = lake.config.calendar.parse(SPAN)
    for from_source in (False, True):
        done = replayed(lake, partitions, from_source=from_source)
        assert (done.revision, done.changed) == (before, ())
    assert stale.affected(lake, partitions, before) == []


def test_after_a_fix_of_the_source_it_is_read_again(lake: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    read = lake.source.read

    def mended(partition: Partition) -> dict[str, pl.DataFrame]:
        return {name: frame.with_columns(pl.col("wind_speed").clip(0, 100)) for name, frame in read(partition).items()}

    monkeypatch.setattr(lake.source, "read", mended)
    done = replayed(lake, replay.choose(lake, None, None, "wind_speed"), from_source=True)
    assert (done.changed, done.quarantined) == ((STORM,), 0)
    assert ingest.quarantined(lake, versions.keys(lake.config.name, done.revision), done.revision) == {}


def test_the_old_revision_stays_readable_and_the_history_names_the_runs(lake: Folder) -> None:
    before = versions.head()
    assert ingest.quarantined(lake, [STORM], before) == {WIND: 1}
    (entry,) = versions.log(lake.config.name, STORM)
    assert "Run: first" in entry.message
    assert "1 quarantined" in entry.message


def test_a_refused_delivery_is_kept_whole_until_it_is_mended(lake: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    name, partitions = lake.config.name, lake.config.calendar.parse("2013-03-11")
    read = lake.source.read
    whole = read(partitions[0])["weather"]
    monkeypatch.setattr(lake.source, "read", lambda _: {"weather": pl.concat([whole, whole])})
    landing.land(lake, partitions)
    with pytest.raises(RefusedBatchError, match=f"{name}.replay"):
        ingest.check(lake, partitions)
    kept = ingest.refused(lake, partitions[0])
    assert pl.read_parquet(kept / "weather.parquet").height == 2 * whole.height
    assert read_json(kept / RECORD)["success"] is False
    (alert,) = alerts.open_alerts(name)
    assert (alert.kind, alert.key) == ("refused batch", "2013-03-11")
    assert "compound_columns" in alert.message

    chosen = replay.choose(lake, None, None, "compound_columns")
    assert keys(chosen) == ["2013-03-11"]
    replay.bring_back(lake, chosen, from_source=False)
    with pytest.raises(RefusedBatchError):
        ingest.check(lake, chosen)
    monkeypatch.setattr(lake.source, "read", read)
    assert replayed(lake, chosen, from_source=True).changed == ("2013-03-11",)
    assert not kept.exists()
    assert alerts.open_alerts(name) == []


def test_a_partition_that_comes_late_touches_what_already_looked_back_on_it(lake: Folder) -> None:
    later = lake.config.calendar.parse("2013-03-18")
    for key in ("2013-03-18", "2013-03-11"):
        partitions = lake.config.calendar.parse(key)
        landing.land(lake, partitions)
        ingest.check(lake, partitions)
        done = ingest.publish(lake, partitions, origin=key)
        if partitions == later:
            compute.compute(lake, partitions, done.revision)
    assert keys(stale.affected(lake, partitions, done.revision)) == ["2013-03-18"]


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ((None, None, None), "give the first partition of a range, a reason, or both"),
        (("2014-01-06", None, None), "no partition in 2014-01-06/2014-01-06 has been published or refused"),
        ((None, None, "humidity"), "with reason 'humidity'"),
        (("2013-01-28", "2013-02-04", "wind_speed"), "no partition in 2013-01-28/2013-02-04 with reason 'wind_speed'"),
        (("2013-01-29", None, None), "weeks start on Mondays"),
    ],
)
def test_what_is_not_there_cannot_be_replayed(lake: Folder, asked: tuple[Any, Any, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replay.choose(lake, *asked)
