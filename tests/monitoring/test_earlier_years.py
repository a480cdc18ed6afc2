"""The monitor names what only the season moved as such: two years of daily partitions in real stores."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from include.contract.loading import Folder
from include.contract.partitions import Partition
from include.features import compute
from include.features.compute import INSTANT, REVISION, label_file, view_file
from include.ingestion import ingest, landing
from include.monitoring import earlier_years, monitor, numbers, observation
from include.serving import batch
from tests.living import first_champion, new_system

USE_CASES = Path(__file__).parent / "use_cases"
HISTORY, LEARNED = "2012-01-01/2013-08-31", "2013-01-14/2013-02-24"
SUMMER, NEXT, DEARER, FIRST_YEAR = "2013-07-07", "2013-07-08", "2013-08-18", "2012-07-08"
WATCHED = {SUMMER: "2013-07-01/2013-07-08", DEARER: "2013-08-11/2013-08-18", FIRST_YEAR: "2012-07-01/2012-07-08"}


@pytest.fixture(scope="module")
def kiosks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Folder]:
    """A use case whose champion has learned from a winter and has predicted summers."""
    with new_system(tmp_path_factory.mktemp("seasons"), USE_CASES, "ice_cream") as use_case:
        calendar = use_case.config.calendar
        learned = calendar.parse(LEARNED)
        landing.land(use_case, learned)
        ingest.check(use_case, learned)
        revision = ingest.publish(use_case, learned, origin="test").revision
        compute.compute(use_case, learned, revision)
        for partition in calendar.parse(HISTORY):
            if partition not in learned:
                write_features(use_case, partition, revision)
        first_champion(use_case)
        for span in WATCHED.values():
            batch.score(use_case, calendar.parse(span))
        yield use_case


def write_features(use_case: Folder, partition: Partition, revision: str) -> None:
    """A day of the offline store as `.features` writes it; to ingest all of two years takes minutes."""
    frame = use_case.source.read(partition)["kiosks"].rename({"closed_at": "event_timestamp"})
    event = pl.col("event_timestamp").cast(INSTANT)
    rows = frame.select("kiosk", event, "temperature", "price", event.alias("created_timestamp"))
    known = pl.lit(partition.cutoff).cast(INSTANT).alias("known_at")
    for path, table in (
        (view_file("ice_cream", "kiosk_day", partition.key), rows),
        (label_file("ice_cream", partition.key), frame.select("kiosk", event, pl.col("sold").alias("label"), known)),
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        table.write_parquet(path, metadata={REVISION: revision})


def watch(use_case: Folder, key: str) -> observation.Observation:
    found = monitor.observe(use_case, use_case.config.calendar.parse(key), origin="test")
    assert found is not None
    return found


def page(key: str) -> str:
    return observation.report_file("ice_cream", key).read_text(encoding="utf-8")


def test_a_summer_like_the_last_is_no_drift_and_no_ground_to_retrain(kiosks: Folder) -> None:
    found = watch(kiosks, SUMMER)
    assert found.drift is not None and found.drift.prediction is not None and found.findings is not None
    assert (found.drift.drifted, found.drift.seasonal) == ((), ("temperature",))
    assert found.drift.prediction.seasonal and not found.drift.prediction.drifted
    assert found.drift.season == "what moved was held against 2012-06-18 to 2012-07-22, too"
    assert [shift.kind for shift in found.findings.shifts if shift.kind != "label"] == ["season"]
    assert (found.decision.action, found.decision.trigger) == ("no", None)
    assert "moved as at this time of earlier years, no drift: temperature" in found.decision.reasons
    assert ">seasonal</span>" in page(SUMMER) and found.drift.season in page(SUMMER)
    kept = numbers.read("ice_cream").filter(pl.col("metric") == "seasonal_features")
    assert kept["value"].to_list() == [1.0]


def test_what_no_earlier_year_was_like_is_drift_and_asks_for_a_model(kiosks: Folder) -> None:
    found = watch(kiosks, DEARER)
    assert found.drift is not None and found.findings is not None
    assert (found.drift.drifted, found.drift.seasonal) == (("price",), ("temperature",))
    assert {shift.kind: shift.columns for shift in found.findings.shifts if shift.kind != "label"} == {
        "covariate": ("price",),
        "season": ("temperature",),
    }
    assert (found.decision.action, found.decision.trigger) == ("retrain", "feature_drift")
    assert found.decision.reasons[0] == "drifted features: price"


def test_less_than_a_year_of_history_is_said(kiosks: Folder) -> None:
    found = watch(kiosks, FIRST_YEAR)
    assert found.drift is not None
    assert (found.drift.drifted, found.drift.seasonal) == (("temperature",), ())
    assert found.drift.season == "not told apart: 183 days of history, 378 needed"
    assert "Season: not told apart: 183 days of history, 378 needed." in page(FIRST_YEAR)


def test_a_later_look_joins_what_is_new_and_nothing_again(kiosks: Folder) -> None:
    watch(kiosks, SUMMER)
    before = {path.name: path.stat().st_mtime_ns for path in earlier_years.file("ice_cream", "any").parent.iterdir()}
    assert watch(kiosks, NEXT).drift.seasonal == ("temperature",)
    after = {path.name: path.stat().st_mtime_ns for path in earlier_years.file("ice_cream", "any").parent.iterdir()}
    assert after.items() >= before.items()
    assert len(after) <= len(before) + 1


def test_features_that_were_computed_again_are_joined_again(kiosks: Folder) -> None:
    watch(kiosks, SUMMER)
    partition = kiosks.config.calendar.partition("2012-07-01")
    write_features(kiosks, partition, "0" * 40)
    known = earlier_years.file("ice_cream", partition.key)
    other = earlier_years.file("ice_cream", "2012-07-02")
    old = other.stat().st_mtime_ns
    watch(kiosks, SUMMER)
    assert pl.read_parquet_metadata(known)[REVISION] == "0" * 40
    assert other.stat().st_mtime_ns == old


def test_without_a_season_nothing_is_explained(kiosks: Folder) -> None:
    config = kiosks.config
    asked = config.model_copy(update={"monitoring": config.monitoring.model_copy(update={"season": None})})
    found = watch(replace(kiosks, config=asked), SUMMER)
    assert found.drift is not None
    assert (found.drift.drifted, found.drift.season) == (("temperature",), "not told apart: monitoring.season is empty")
