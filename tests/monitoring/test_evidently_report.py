"""Evidently's report on real stores: of the look's own rows, one a day, drawn in a frame that reaches nothing."""

from __future__ import annotations

import os
import re
import socket
import sys
from collections.abc import Iterator
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import mlflow
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from include.contract.loading import Folder
from include.contract.partitions import Partition
from include.features import compute
from include.features.compute import KNOWN_AT, LABEL
from include.features.store import EVENT_TIMESTAMP
from include.files import read_json, write_json
from include.monitoring import drift, evidently_report, monitor, observation
from include.monitoring.distributions import Kind
from include.monitoring.evidently_report import EvidentlyError
from include.monitoring.observation import Observation
from include.monitoring.policy import RetrainingDecision
from include.monitoring.reference import ReferenceProfile
from include.registry import models
from include.registry.runs import TEST_FILE, logged_file
from include.serving import batch, batch_log
from include.training.recording import REFERENCE_FILE
from include.training.training_set import BLOCK
from tests.conftest import USE_CASES
from tests.living import first_champion, new_system
from tests.monitoring.pages import HOSTILE, Page
from tests.monitoring.planted import FEATURES, GATE, config, rows
from tests.monitoring.watched import GOOD, NOW
from tests.partitions import bring_in

BOOTSTRAP, WEEK, EMPTY = "2013-01-07/2013-02-11", "2013-02-18", "2013-06-03"
KINDS: dict[str, Kind] = {"x": "numeric", "hour": "numeric", "carrier": "categorical", "prediction": "numeric"}
IDS = re.compile(r"[0-9a-f]{32}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@pytest.fixture(scope="module")
def regression(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Folder]:
    """A use case whose champion has predicted a week that the monitor has looked at."""
    with new_system(tmp_path_factory.mktemp("evidently"), USE_CASES, "station_temperature") as use_case:
        bring_in(use_case, BOOTSTRAP)
        first_champion(use_case)
        batch.score(use_case, bring_in(use_case, WEEK))
        monitor.observe(use_case, use_case.config.calendar.parse(WEEK), origin="test")
        yield use_case


@pytest.fixture
def classification(regression: Folder, tmp_path: Path) -> tuple[Folder, Partition]:
    """A classifier in the same stores that has predicted a week, some of it of bad values; it has been looked at."""
    use_case = Folder(tmp_path, config())
    last = use_case.config.calendar.partition("2013-03-07")
    current = rows(7).with_columns(
        carrier=pl.col("carrier").replace({"UA": f"</script>{HOSTILE}"}),
        x=pl.when(pl.col("hour") == 3).then(float("inf")).otherwise(pl.col("x")),
        hour=pl.lit(None, pl.Float64),
    )
    with mlflow.start_run() as run:
        folder = tmp_path / "logged"
        for name in ("evaluation", "monitoring"):
            (folder / name).mkdir(parents=True)
        GATE.write_parquet(folder / TEST_FILE)
        profile = ReferenceProfile.of(
            GATE.select(*FEATURES, "prediction", BLOCK), prediction="prediction", blocks=BLOCK
        )
        write_json(folder / REFERENCE_FILE, profile.to_dict())
        mlflow.log_artifacts(str(folder))
    models.ensure("watched")
    client = mlflow.MlflowClient(models.tracking_uri())
    version = int(client.create_model_version("watched", str(folder), run.info.run_id).version)
    for key in (f"2013-03-0{day}" for day in range(1, 8)):
        predicted = current.filter(pl.col(BLOCK) == key)
        logged = predicted.drop(LABEL, BLOCK).with_columns(
            request_id=pl.col("id").cast(pl.String), model_version=pl.lit(version, pl.Int64), run_id=pl.lit("r")
        )
        batch_log.write("watched", key, logged)
        labels = compute.label_file("watched", key)
        labels.parent.mkdir(parents=True, exist_ok=True)
        predicted.select("id", EVENT_TIMESTAMP, LABEL, pl.col(EVENT_TIMESTAMP).alias(KNOWN_AT)).write_parquet(labels)
    decision = RetrainingDecision("watched", last.key, NOW, str(version), "no", None, ("as promised",), "0" * 16)
    seen = Observation("watched", last.key, last.key, version, run.info.run_id, "r", GOOD, None, 0, 0, decision)
    write_json(observation.record_file("watched", last.key), seen.to_dict())
    return use_case, last


class Loaded(HTMLParser):
    """What the tags of a page would load, without what is in its scripts."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.addresses += [f"{tag} {value}" for name, value in attrs if name in ("src", "href", "data")]


def drawn(page: str) -> str:
    """Evidently's own page in the frame."""
    (frame,) = [attributes for tag, attributes in Page(page).tags if tag == "iframe"]
    assert frame["sandbox"] == "allow-scripts"
    return str(frame["srcdoc"])


def partition(use_case: Folder, key: str) -> Partition:
    return use_case.config.calendar.partition(key)


def test_a_regression_s_report_is_of_the_rows_that_the_look_used(
    regression: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, last = regression.config.name, partition(regression, WEEK)
    monkeypatch.setattr(socket.socket, "connect", lambda *_: pytest.fail("nothing is sent anywhere"))
    written = evidently_report.write(regression, last)
    assert written == evidently_report.file(name, WEEK)
    (seen,) = observation.history(name)
    version = models.get(name, seen.model_version)
    profile = ReferenceProfile.from_dict(read_json(logged_file(version, REFERENCE_FILE)))
    current = evidently_report.current_rows(regression, seen, last)
    again = drift.compare(profile, current, regression.config.monitoring.drift, blocks=BLOCK)
    assert seen.drift is not None
    assert (again.features, again.prediction) == (seen.drift.features, seen.drift.prediction)
    page = written.read_text(encoding="utf-8")
    gate = pl.read_parquet(logged_file(version, TEST_FILE)).height
    assert f"Current: {current.height:,} rows" in page
    assert f"Reference: {gate:,} rows of the gate's test stretch of version {seen.model_version}" in unescape(page)
    assert all(f'"{column}"' in drawn(page) for column in (*profile.features, "prediction"))
    assert os.environ["DO_NOT_TRACK"] == "1"


def test_a_page_needs_nothing_but_itself(regression: Folder) -> None:
    written = evidently_report.write(regression, partition(regression, WEEK))
    assert written is not None
    page = written.read_text(encoding="utf-8")
    assert Loaded(page).addresses == Loaded(drawn(page)).addresses == []
    (policy,) = [attributes for _, attributes in Page(page).tags if "http-equiv" in attributes]
    assert str(policy["content"]).startswith("default-src 'none'")
    assert "http" not in str(policy["content"])


def test_writing_again_replaces_the_day_s_report_by_the_same(regression: Folder) -> None:
    last = partition(regression, WEEK)
    pages = []
    for _ in range(2):
        written = evidently_report.write(regression, last)
        assert written is not None
        pages.append(IDS.sub("", written.read_text(encoding="utf-8")))
        assert list(written.parent.iterdir()) == [written]
    assert pages[0] == pages[1]
    assert list(written.parent.parent.glob("*.html")) == [observation.report_file(regression.config.name, WEEK)]


def test_a_week_without_predictions_has_no_report(regression: Folder) -> None:
    last = partition(regression, EMPTY)
    monitor.observe(regression, [last], origin="test")
    earlier = evidently_report.file(regression.config.name, EMPTY)
    earlier.parent.mkdir(exist_ok=True)
    earlier.write_text("of rows that are gone", encoding="utf-8")
    assert evidently_report.write(regression, last) is None
    assert not earlier.exists()


def test_without_evidently_it_says_which_key_asked_and_how_to_get_it(
    regression: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "evidently", None)
    told = r"station_temperature/use_case\.yaml: monitoring\.evidently: .*uv pip install -r requirements-evidently\.txt"
    with pytest.raises(EvidentlyError, match=told):
        evidently_report.write(regression, partition(regression, WEEK))


def test_a_look_that_was_not_kept_is_named(regression: Folder) -> None:
    with pytest.raises(FileNotFoundError, match=r"2013-07-01\.json"):
        evidently_report.write(regression, partition(regression, "2013-07-01"))


def test_a_classification_s_report_bears_bad_values(
    classification: tuple[Folder, Partition], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evidently_report, "ROWS", 500)
    written = evidently_report.write(*classification)
    assert written is not None
    page = written.read_text(encoding="utf-8")
    text = Page(page).text
    assert "Current: a sample of 500 of the 2,100 rows" in text
    assert f"Reference: a sample of 500 of the {GATE.height:,} rows" in text
    assert "Without a value on one side, and so without a test: hour." in text
    assert HOSTILE not in drawn(page)
    assert "alert('x')" in drawn(page)
    assert "Dataset Drift" in drawn(page)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32), most=st.integers(1, 400))
def test_the_same_rows_are_chosen_in_whatever_order_they_come(seed: int, most: int) -> None:
    frame = rows(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(evidently_report, "ROWS", most)
        chosen, again = (
            evidently_report.sample(config(), KINDS, each)
            for each in (frame, frame.sample(fraction=1, shuffle=True, seed=seed))
        )
    assert chosen.rows.equals(again.rows)
    assert (chosen.rows.height, chosen.of) == (min(most, frame.height), frame.height)


@pytest.mark.parametrize(
    ("value", "kind", "read"),
    [
        (float("inf"), "numeric", None),
        (float("nan"), "numeric", None),
        (True, "numeric", 1.0),
        (3, "numeric", 3.0),
        (True, "categorical", "true"),
        ("<b>", "categorical", "\N{SINGLE LEFT-POINTING ANGLE QUOTATION MARK}b>"),
        (None, "categorical", None),
    ],
)
def test_values_are_given_as_the_look_reads_them(value: Any, kind: Kind, read: Any) -> None:
    frame = rows(1, size=1).with_columns(pl.lit(value).alias("x"))
    assert evidently_report.sample(config(), {"x": kind}, frame).rows["x"].to_list() == [read]
