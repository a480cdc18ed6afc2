"""The monitor on real stores: record, numbers, page and run of a champion's week, once however often it looks."""

from __future__ import annotations

from collections.abc import Iterator

import mlflow
import polars as pl
import pytest

from include.contract.loading import Folder
from include.history import log as history
from include.monitoring import monitor, numbers, observation
from include.registry import models
from include.serving import batch
from tests.conftest import USE_CASES
from tests.living import new_system, trained
from tests.partitions import bring_in

BOOTSTRAP, NEXT, THEN = "2013-01-07/2013-02-11", "2013-02-18", "2013-02-25"


@pytest.fixture(scope="module")
def living(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Folder]:
    """A use case whose first model is champion, has predicted two weeks, and is not watched yet."""
    with new_system(tmp_path_factory.mktemp("watch"), USE_CASES, "station_temperature") as use_case:
        bring_in(use_case, BOOTSTRAP)
        version = trained(use_case)
        assert monitor.observe(use_case, use_case.config.calendar.parse(NEXT), origin="none") is None
        models.set_alias(use_case.config.name, models.CHAMPION, version.version)
        for key in (NEXT, THEN):
            batch.score(use_case, bring_in(use_case, key))
        yield use_case


def watch(use_case: Folder, key: str) -> observation.Observation:
    found = monitor.observe(use_case, use_case.config.calendar.parse(key), origin="test")
    assert found is not None
    return found


def test_two_weeks_are_watched_and_the_second_knows_the_first(living: Folder) -> None:
    name = living.config.name
    first, second = watch(living, NEXT), watch(living, THEN)
    assert observation.history(name) == [first, second]
    assert observation.history(name, latest=1) == [second]
    for each in (first, second):
        assert each.findings is not None and each.findings.gain is not None
        assert each.quality.coverage > 0.9
        assert sum(day.predictions for day in each.findings.days) >= each.quality.predictions
    assert second.findings is not None and first.findings is not None
    assert second.findings.changes[0].days > first.findings.changes[0].days
    page = observation.report_file(name, THEN).read_text(encoding="utf-8")
    for words in ("Day by day", "What kind of shift", "Online service", "a regression has no probabilities"):
        assert words in page


def test_watching_again_leaves_every_number_once(living: Folder) -> None:
    name = living.config.name
    before, known = watch(living, NEXT), numbers.read(name)
    page = observation.report_file(name, NEXT).read_bytes()
    entries = len(history.read(name))
    assert watch(living, NEXT) == before
    assert numbers.read(name).equals(known)
    assert len(history.read(name)) == entries
    assert strip_processes(observation.report_file(name, NEXT).read_bytes()) == strip_processes(page)
    client = mlflow.MlflowClient(models.tracking_uri())
    experiment = client.get_experiment_by_name(f"{name}.monitoring")
    runs = [run for run in client.search_runs([experiment.experiment_id]) if run.info.run_name == NEXT]
    (run,) = runs
    assert run.info.status == "FINISHED"
    assert run.data.metrics["mae"] == pytest.approx(before.quality.values["mae"])
    assert len(client.get_metric_history(run.info.run_id, "mae")) == 1
    assert run.data.tags["champion"] == str(before.model_version)


def strip_processes(page: bytes) -> bytes:
    """Without what processes and the disk held at the moment of the look."""
    return page.partition(b"<h2>Online service</h2>")[0]


def test_a_week_without_predictions_or_labels_is_told(living: Folder) -> None:
    empty = watch(living, "2013-06-03")
    assert (empty.quality.predictions, empty.quality.coverage, empty.drift) == (0, 0.0, None)
    assert empty.findings is not None and empty.findings.days == ()
    assert not empty.quality.decidable
    page = observation.report_file(living.config.name, "2013-06-03").read_text(encoding="utf-8")
    assert "The champion has predicted nothing in this window." in page


def test_numbers_are_rows_that_anyone_reads(living: Folder) -> None:
    seen = watch(living, NEXT)
    rows = pl.read_parquet(numbers.file(living.config.name, NEXT))
    (mae,) = rows.filter((pl.col("scope") == "window") & (pl.col("metric") == "mae")).iter_rows(named=True)
    assert mae["value"] == seen.quality.value
    assert (mae["low"], mae["high"]) == seen.quality.interval
    days = rows.filter((pl.col("scope") == "day") & (pl.col("metric") == "labelled"))
    assert days["value"].sum() >= seen.quality.rows
    assert set(rows["partition"]) == {NEXT}
