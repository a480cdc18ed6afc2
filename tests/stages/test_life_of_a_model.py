"""All stages of one use case in plain Python, one after the other, on real stores in a folder of their own."""

from __future__ import annotations

import dataclasses
import hashlib
import shutil
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import mlflow
import polars as pl
import pytest

from include.contract.loading import Folder
from include.deployment import switch
from include.deployment.switch import Change
from include.features import compute, store
from include.files import read_json
from include.gate.decision import judge
from include.history import log as history
from include.ingestion import ingest, landing, versions
from include.ingestion.batch import RECORD
from include.ingestion.git import git
from include.ingestion.validation import RefusedBatchError
from include.monitoring import monitor, observation
from include.promotion import evidence, judgement, staging
from include.registry import models
from include.serving import batch, batch_log
from include.settings import get_settings
from include.training import train
from include.training.assessment import Assessment
from include.training.provenance import Provenance
from tests.living import new_system
from tests.partitions import bring_in

USE_CASES = Path(__file__).parents[1] / "use_cases"
BOOTSTRAP = "2013-01-07/2013-03-04"
NEXT = "2013-03-11"


@pytest.fixture(scope="module")
def living(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Folder]:
    """A use case whose first model has been trained, promoted, used and watched."""
    with (
        new_system(tmp_path_factory.mktemp("life"), USE_CASES, "station_temperature") as use_case,
        pytest.MonkeyPatch.context() as patch,
    ):
        # Replicas are real processes in the end-to-end test.
        patch.setattr(switch, "verify_replicas", lambda use_case, version: None)
        bring_in(use_case, BOOTSTRAP)
        version = trained(use_case, "first")
        judged = judgement.examine(use_case, version, staging.stage(use_case, version), origin="first")
        assert judged.verdict.approved, judged.verdict.reasons
        switch.promote(use_case, Change("promotion", version, "first", judged.verdict.reasons), None)
        partitions = bring_in(use_case, NEXT)
        batch.score(use_case, partitions)
        monitor.observe(use_case, partitions, origin="first week")
        yield use_case


def trained(use_case: Folder, origin: str) -> int:
    prepared = train.prepare(use_case, until="2013-03-04", window=None)
    return train.register(use_case, train.fit(use_case, prepared, {}, reason="test", origin=origin)).version


def test_rows_are_conserved_from_landing_to_quarantine(living: Folder) -> None:
    files = versions.files(living.config.name, versions.head())
    assert len(files) == 10
    for listing in files.values():
        for table in read_json(listing[RECORD])["counts"].values():
            assert table["landed"] == table["accepted"] + table["quarantined"] > 0


def test_the_impossible_wind_is_in_quarantine_and_nowhere_else(living: Folder) -> None:
    listing = versions.files(living.config.name, versions.head(), ["2013-02-11"])["2013-02-11"]
    (wind,) = pl.read_parquet(listing["quarantine/weather.parquet"])["wind_speed"]
    assert wind > 1000
    assert pl.read_parquet(listing["weather.parquet"])["wind_speed"].max() < 150  # type: ignore[operator]
    keys = versions.keys(living.config.name, versions.head())
    assert sum(ingest.quarantined(living, keys, versions.head()).values()) == 1


def test_ingesting_again_makes_no_new_revision(living: Folder) -> None:
    before = versions.head()
    bring_in(living, NEXT)
    assert versions.head() == before


def test_a_label_is_known_only_after_its_hour(living: Folder) -> None:
    labels = compute.read_labels(living.config.name, versions.keys(living.config.name, versions.head()))
    assert labels.filter(pl.col("known_at") < pl.col("event_timestamp") + pl.duration(hours=24)).is_empty()
    assert not labels.select("station", "event_timestamp").is_duplicated().any()


def test_the_training_set_is_the_same_again(living: Folder) -> None:
    prepared = [train.prepare(living, until="2013-03-04", window=None) for _ in range(2)]
    assert prepared[0].content_hash == prepared[1].content_hash


def test_applying_the_definitions_again_does_not_change_the_training_set(living: Folder) -> None:
    before = train.prepare(living, until="2013-03-04", window=None)
    for _ in range(3):
        store.apply()
        assert train.prepare(living, until="2013-03-04", window=None).content_hash == before.content_hash


def test_nothing_learned_from_is_later_than_the_test_begins(living: Folder) -> None:
    prepared = train.prepare(living, until="2013-03-04", window="3w")
    learned, test = prepared.read("train"), prepared.read("test")
    begin = prepared.plan.test_start
    assert test["event_timestamp"].min() >= begin  # type: ignore[operator]
    assert begin - timedelta(weeks=3) <= learned["event_timestamp"].min()  # type: ignore[operator]
    # The label of an event is known a day later, and all labels that are learned from are known by then.
    assert learned["event_timestamp"].max() <= begin - timedelta(days=1)  # type: ignore[operator]


def test_features_of_other_data_are_refused(living: Folder) -> None:
    name = living.config.name
    file = compute.view_file(name, living.config.entity.view, "2013-01-14")
    kept = file.read_bytes()
    older = git(get_settings().data_repository, "rev-list", "--max-parents=0", "main").strip()
    try:
        pl.read_parquet(file).write_parquet(file, metadata={"data_revision": older})
        with pytest.raises(RuntimeError, match=r"station_temperature\.features for 2013-01-14"):
            train.prepare(living, until="2013-03-04", window=None)
    finally:
        file.write_bytes(kept)


def test_missing_features_name_the_cure(living: Folder) -> None:
    file = compute.view_file(living.config.name, living.config.entity.view, "2013-01-14")
    hidden = file.with_suffix(".hidden")
    file.rename(hidden)
    try:
        with pytest.raises(FileNotFoundError, match=r"run station_temperature\.features"):
            train.prepare(living, until="2013-03-04", window=None)
    finally:
        hidden.rename(file)


def test_too_little_history_is_refused_before_the_fit(living: Folder) -> None:
    with pytest.raises(ValueError, match=r"training\.minimum_rows is 300"):
        train.prepare(living, until="2013-03-04", window="30h")


def test_a_retried_fit_leaves_one_run(living: Folder) -> None:
    prepared = train.prepare(living, until="2013-03-04", window=None)
    assert train.fit(living, prepared, {}, reason="test", origin="retried") == train.fit(
        living, prepared, {}, reason="test", origin="retried"
    )


def test_a_version_tells_what_it_comes_from(living: Folder) -> None:
    version = models.get(living.config.name, 1)
    revision = version.tags["data_revision"]
    assert version.tags["last"] in versions.pointers(living.config.name, revision)
    assert version.tags["definition_hash"] == store.definition_hash(living)
    assert len(version.tags["training_set"]) == 64
    assert version.digest


def test_a_run_keeps_in_mlflow_what_a_person_asks_for(living: Folder, tmp_path: Path) -> None:
    version = models.get(living.config.name, 1)
    run = mlflow.MlflowClient().get_run(version.run_id)
    logged = run.data.metrics
    for split in ("train", "test", "constant", "linear"):
        assert logged[f"{split}.mae.low"] <= logged[f"{split}.mae"] <= logged[f"{split}.mae.high"]
    assert {
        "gain.over_constant",
        "gain.over_linear",
        "slice.season.winter.mae",
        "fit.seconds",
        "fit.peak_mib",
    } <= logged.keys()
    assert run.data.params["alpha"] == "1.0"
    (dataset,) = run.inputs.dataset_inputs
    assert dataset.dataset.digest == version.tags["training_set"][:32]

    folder = Path(mlflow.artifacts.download_artifacts(run_id=version.run_id, dst_path=str(tmp_path)))
    assert "Temperature at the airport in a day" in (folder / "model_card.md").read_text(encoding="utf-8")
    assert (folder / "model_card.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    pictures = list((folder / "curves").glob("*.svg"))
    assert pictures and all(b"<svg" in picture.read_bytes() for picture in pictures)
    lock = (folder / "environment" / "requirements.txt").read_bytes()
    kept = Provenance.from_dict(read_json(folder / "provenance.json"))
    assert kept.environment.lock == hashlib.sha256(lock).hexdigest()
    assert (kept.data_revision, kept.training_set) == (version.data_revision, version.tags["training_set"])
    assert set(kept.files) >= {"features.py", "model.py", "use_case.yaml"}
    assessment = Assessment.from_dict(read_json(folder / "evaluation" / "assessment.json"))
    assert assessment.splits["test"].values["mae"] == pytest.approx(logged["test.mae"])
    for example in read_json(folder / "evaluation" / "explanations.json")["examples"]:
        effects = [each["effect"] for each in example["contributions"]]
        assert example["base"] + sum(effects) == pytest.approx(example["prediction"])


def test_a_model_says_what_it_takes_and_what_it_answers(living: Folder) -> None:
    version = models.get(living.config.name, 1)
    model = mlflow.models.get_model_info(f"models:/{living.config.name}/{version.version}")
    assert tuple(model.signature.inputs.input_names()) == version.features
    assert model.signature.outputs is not None
    assert model.saved_input_example_info is not None


def test_equal_inputs_give_a_model_of_equal_digest(living: Folder) -> None:
    again = trained(living, "again")
    assert models.get(living.config.name, again).digest == models.get(living.config.name, 1).digest


def test_the_gate_refuses_the_champion_itself(living: Folder) -> None:
    verdict = judgement.examine(living, trained(living, "twin"), None, origin="twin").verdict
    assert not verdict.approved
    assert any("nothing to gain" in reason for reason in verdict.reasons)


def test_every_entity_row_is_predicted_once_with_the_features_used(living: Folder) -> None:
    logged = batch_log.read(living.config.name, [NEXT])
    asked = compute.read_entities(living, [NEXT])
    assert logged.height == asked.height
    assert not logged["request_id"].is_duplicated().any()
    assert set(models.get(living.config.name, 1).features) <= set(logged.columns)
    assert logged["model_version"].unique().to_list() == [1]


def test_what_was_predicted_stays_unless_it_is_asked_for_again(living: Folder) -> None:
    partitions = living.config.calendar.parse(NEXT)
    file = batch_log.file(living.config.name, NEXT)
    before = file.stat().st_ino
    assert batch.score(living, partitions).rows == 0  # type: ignore[union-attr]
    assert file.stat().st_ino == before
    assert batch.score(living, partitions, again=True).rows > 0  # type: ignore[union-attr]
    assert file.stat().st_ino != before


def test_the_observation_says_how_good_and_what_to_do(living: Folder) -> None:
    (observed,) = observation.history(living.config.name)
    assert observed.last == NEXT
    assert observed.quality.rows > 400
    assert observed.quality.coverage > 0.9
    assert observed.drift is not None
    assert observed.decision.action in ("retrain", "wait", "no")
    assert observed.decision.reasons
    page = observation.report_file(living.config.name, NEXT).read_text(encoding="utf-8")
    assert living.config.title in page


def test_watching_again_gives_the_same_observation(living: Folder) -> None:
    partitions = living.config.calendar.parse(NEXT)
    (before,) = observation.history(living.config.name)
    again = monitor.observe(living, partitions, origin="first week")
    assert again is not None
    assert dataclasses.replace(again, data_revision=before.data_revision) == before
    assert len([each for each in history.read(living.config.name) if each.kind == "retraining"]) == 1


def test_a_refused_batch_is_kept_and_publishes_nothing(living: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    before = versions.head()
    partitions = living.config.calendar.parse("2013-03-18")
    source = living.source
    whole = source.read(partitions[0])["weather"]
    monkeypatch.setattr(source, "read", lambda partition: {"weather": pl.concat([whole, whole])})
    landing.land(living, partitions)
    with pytest.raises(RefusedBatchError, match="compound_columns"):
        ingest.check(living, partitions)
    with pytest.raises(FileNotFoundError, match="2013-03-18: not staged"):
        ingest.publish(living, partitions, origin="test")
    assert versions.head() == before
    kept = get_settings().home / "refused" / living.config.name / "2013-03-18"
    assert pl.read_parquet(kept / "weather.parquet").height == 2 * whole.height
    shutil.rmtree(kept)


def test_what_cannot_be_computed_refuses_and_is_told(living: Folder) -> None:
    candidate = models.get(living.config.name, trained(living, "without features online"))
    online = get_settings().features / "online.sqlite"
    assert online.is_file()
    online.rename(online.with_suffix(".hidden"))
    try:
        found = evidence.collect(living, candidate, None, None).evidence
    finally:
        online.unlink(missing_ok=True)
        online.with_suffix(".hidden").rename(online)
    verdict = judge(found, living.config.task, living.config.gate)
    failed = {check.name: check.reason for check in verdict.checks if not check.passed}
    assert {"staging", "skew"} <= set(failed)  # there was no trial, and nothing is online


def test_a_model_that_was_rolled_back_is_not_promoted_again_by_itself(living: Folder) -> None:
    def other(origin: str) -> int:
        prepared = train.prepare(living, until="2013-03-04", window=None)
        return train.register(
            living, train.fit(living, prepared, {"alpha": 50.0}, reason="test", origin=origin)
        ).version

    version = other("once")
    switch.promote(living, Change("promotion", version, "once", ("better",)), 1)
    switch.rollback(living, Change("rollback", 1, "back", ("it was not",)))
    verdict = judgement.examine(living, other("stronger once more"), None, origin="once more").verdict
    assert f"version {version} is the same model and was rolled back from production" in " ".join(verdict.reasons)
