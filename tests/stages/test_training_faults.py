"""A training that fails or is killed says why, leaves nothing half done, and can be tried again. On real stores."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import mlflow
import optuna
import polars as pl
import pytest
import yaml

from include.contract.loading import Folder
from include.contract.use_case import UseCase
from include.features import compute
from include.features.compute import LABEL
from include.ingestion import ingest, landing
from include.registry import models
from include.settings import REPOSITORY, get_settings
from include.training import train
from include.training.fitting import FitError
from include.training.training_set import SPLIT, TrainingSet
from tests.living import new_system

NAME = "station_temperature"
USE_CASES = Path(__file__).parents[1] / "use_cases"
SPAN = "2013-02-04/2013-03-04"
COLUMNS = '["temp", "dewp", "pressure", "hour", "temp_mean"]'
SEARCH = {"space": {"C": {"low": 0.001, "high": 10.0, "log": True}}, "trials": 4, "folds": 2, "pruning": False}

MODEL = f"""
import time
from pathlib import Path

from sklearn.compose import make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

FITS = Path(__file__).with_name("fits")


class Regression(Ridge):
    def fit(self, X, y):
        BODY
        return super().fit(X, y)


class Classification(LogisticRegression):
    def fit(self, X, y):
        BODY
        return super().fit(X, y)


def build(params):
    last = Classification(C=params["C"]) if "C" in params else Regression(alpha=params["alpha"])
    return make_pipeline(make_column_transformer((make_pipeline(SimpleImputer(), StandardScaler()), {COLUMNS})), last)
"""
HANGS = """
        FITS.write_text(f"{{FITS.read_text() if FITS.exists() else ''}}x")
        if len(FITS.read_text()) == {at}:
            print("hangs", flush=True)
            time.sleep(600)
"""


@dataclass(frozen=True)
class Prepared:
    """Training sets that were made from real stores: of temperatures, and of whether it will be warm."""

    home: Path
    temperatures: TrainingSet

    def changed(self, change: Callable[[pl.DataFrame], pl.DataFrame]) -> TrainingSet:
        rows = change(pl.read_parquet(self.temperatures.path))
        path = self.home / f"changed-{rows.hash_rows().sum()}.parquet"
        rows.write_parquet(path)
        return replace(self.temperatures, path=path)

    @property
    def warm(self) -> TrainingSet:
        return self.changed(lambda rows: rows.with_columns((pl.col(LABEL) > 37).cast(pl.Float64)))


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prepared]:
    home = tmp_path_factory.mktemp("faults")
    with new_system(home, USE_CASES, NAME) as use_case:
        partitions = use_case.config.calendar.parse(SPAN)
        landing.land(use_case, partitions)
        ingest.check(use_case, partitions)
        compute.compute(use_case, partitions, ingest.publish(use_case, partitions, origin="test").revision)
        yield Prepared(home, train.prepare(use_case, until=None, window=None))


@pytest.fixture
def regression(tmp_path: Path) -> Folder:
    return written(tmp_path)


def written(parent: Path, *, body: str = "pass", warm: bool = False, **training: Any) -> Folder:
    """The use case in a folder of its own, with a model of its own; ``body`` is done at the begin of each fit."""
    folder = shutil.copytree(USE_CASES / NAME, parent / NAME)
    (folder / "model.py").write_text(MODEL.replace("BODY", body), encoding="utf-8")
    content = yaml.safe_load((folder / "use_case.yaml").read_text(encoding="utf-8"))
    if warm:
        content |= {"task": "classification", "serving": {"threshold": 0.5}}
        content["gate"]["limits"] = {"log_loss": {"max": 2.0}}
        content["gate"]["champion"]["metric"] = content["monitoring"]["quality"]["metric"] = "log_loss"
        training = {"params": {"C": 1.0}, "test": "3d", **training}
    content["training"] |= training
    (folder / "use_case.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    return Folder(folder, UseCase.model_validate(content))


def fit(use_case: Folder, data: TrainingSet, origin: str, **options: Any) -> str:
    return train.fit(use_case, data, {}, reason="test", origin=origin, **options)


def runs_of(origin: str) -> list[Any]:
    return found(f"tags.`evergreen.origin` = '{origin}'")


def nested_in(run_id: str) -> list[Any]:
    return sorted(found(f"tags.`mlflow.parentRunId` = '{run_id}'"), key=lambda run: int(run.data.tags["trial"]))


def found(query: str) -> list[Any]:
    runs: list[Any] = mlflow.search_runs(experiment_names=[NAME], filter_string=query, output_format="list")
    return runs


def statuses() -> set[str]:
    return {run.info.status for run in found("")}


def refused(use_case: Folder, data: TrainingSet, origin: str, message: str) -> None:
    """The training fails by this message, its run in MLflow says so, and there is no version of it."""
    with pytest.raises(FitError, match=message):
        fit(use_case, data, origin)
    (run,) = runs_of(origin)
    assert run.info.status == "FAILED"
    assert run.data.tags["failure"].startswith("FitError: ")
    assert "RUNNING" not in statuses()
    assert run.info.run_id not in {version.run_id for version in models.versions(NAME)}
    with pytest.raises(ValueError, match=f"{run.info.run_id} is FAILED, and only a finished one is registered"):
        train.register(use_case, run.info.run_id)


def test_a_retry_of_the_same_attempt_gives_one_run_and_one_version(prepared: Prepared, regression: Folder) -> None:
    run_ids = {fit(regression, prepared.temperatures, "retried") for _ in range(2)}
    assert [run.info.run_id for run in runs_of("retried")] == list(run_ids)
    numbers = {train.register(regression, run_id).version for run_id in run_ids for _ in range(2)}
    assert len(numbers) == 1


STEEP = r"Pipeline\(Regression\) with .*'alpha': 1\.0.* on \d+ rows of 6 features: OverflowError: too steep"
ROOM = r"MemoryError: no room; learn from less \(training\.window\) or with smaller params"


@pytest.mark.parametrize(
    ("error", "message"), [("OverflowError('too steep')", STEEP), ("MemoryError('no room')", ROOM)]
)
def test_an_estimator_that_raises_is_named_with_its_parameters(
    prepared: Prepared, tmp_path: Path, error: str, message: str
) -> None:
    refused(written(tmp_path, body=f"raise {error}"), prepared.temperatures, error.split("(", maxsplit=1)[0], message)


def test_after_a_failure_the_same_attempt_can_be_tried_again(prepared: Prepared, tmp_path: Path) -> None:
    refused(written(tmp_path / "broken", body="raise ValueError"), prepared.temperatures, "again", "ValueError")
    run_id = fit(written(tmp_path / "mended"), prepared.temperatures, "again")
    assert {run.info.run_id: run.info.status for run in runs_of("again")}[run_id] == "FINISHED"
    assert sorted(run.info.status for run in runs_of("again")) == ["FAILED", "FINISHED"]


def test_labels_that_are_no_numbers_are_refused(prepared: Prepared, regression: Folder) -> None:
    hole = pl.when(pl.int_range(pl.len()) == 3).then(float("nan")).otherwise(pl.col(LABEL)).alias(LABEL)
    refused(regression, prepared.changed(lambda rows: rows.with_columns(hole)), "nan", r"1 of \d+ labels are no finite")


def test_labels_of_one_class_are_refused(prepared: Prepared, tmp_path: Path) -> None:
    ones = prepared.changed(lambda rows: rows.with_columns(pl.lit(1.0).alias(LABEL)))
    refused(written(tmp_path, warm=True), ones, "one class", r"all \d+ labels are 1, .*training\.window")


def test_a_feature_that_no_row_has_is_refused_by_name(prepared: Prepared, regression: Folder) -> None:
    gone = pl.when(pl.col(SPLIT) == "test").then(pl.col("pressure")).alias("pressure")
    refused(
        regression, prepared.changed(lambda rows: rows.with_columns(gone)), "gone", "no row has a value of pressure"
    )


def test_a_constant_feature_is_a_note_in_the_card(prepared: Prepared, regression: Folder, tmp_path: Path) -> None:
    level = prepared.changed(lambda rows: rows.with_columns(pl.lit(1000.0).alias("pressure")))
    run_id = fit(regression, level, "constant")
    card = mlflow.artifacts.download_artifacts(run_id=run_id, artifact_path="model_card.md", dst_path=str(tmp_path))
    assert "constant feature, nothing can be learned from it: pressure" in Path(card).read_text(encoding="utf-8")


@pytest.mark.parametrize("method", ["sigmoid", "isotonic"])
def test_a_search_and_a_calibration_are_logged_with_what_they_found(
    prepared: Prepared, tmp_path: Path, method: str
) -> None:
    use_case = written(tmp_path, warm=True, search=SEARCH, calibration=method)
    run_id = fit(use_case, prepared.warm, f"searched {method}")
    run, trials = mlflow.MlflowClient().get_run(run_id), nested_in(run_id)
    assert [trial.data.tags["trial"] for trial in trials] == ["1", "2", "3", "4"]
    assert {(trial.data.tags["state"], trial.info.status) for trial in trials} == {("complete", "FINISHED")}
    assert float(trials[0].data.params["C"]) == 1.0  # that of the file
    values = [trial.data.metrics["folds.log_loss"] for trial in trials]
    best = trials[values.index(min(values))]
    assert run.data.metrics["search.value"] == min(values)
    assert run.data.params["C"] == best.data.params["C"]
    assert run.data.tags["chosen"] == f"trial {best.data.tags['trial']} of 4, all 4 trials were tried"
    assert 0 <= run.data.metrics["test.calibration_error"] <= 1
    model, _ = models.artifacts.load_model(*folder_of(run, tmp_path))
    assert type(model).__name__ == "CalibratedClassifierCV"
    assert train.register(use_case, run_id).run_id == run_id


def folder_of(run: Any, scratch: Path) -> tuple[Path, str]:
    uri = f"models:/{run.outputs.model_outputs[0].model_id}"
    return Path(mlflow.artifacts.download_artifacts(uri, dst_path=str(scratch / "model"))), run.data.tags["digest"]


def test_without_a_search_the_parameters_are_those_of_the_file(prepared: Prepared, tmp_path: Path) -> None:
    use_case = written(tmp_path, warm=True, search=SEARCH)
    run_id = fit(use_case, prepared.warm, "not searched", search=False)
    run = mlflow.MlflowClient().get_run(run_id)
    assert (run.data.params["C"], run.data.tags["chosen"]) == ("1.0", "as given")
    assert nested_in(run_id) == []


def killed(use_case: Folder, data: TrainingSet, origin: str) -> None:
    """The same training in a process of its own, which is killed where its model hangs."""
    code = (
        "import json, sys; from pathlib import Path; from include.contract.loading import Folder, read_config;"
        "from include.training import train; from include.training.training_set import TrainingSet;"
        "folder, data, origin = sys.argv[1:]; folder = Path(folder);"
        "use_case = Folder(folder, read_config(folder / 'use_case.yaml'));"
        "train.fit(use_case, TrainingSet.from_dict(json.loads(data)), {}, reason='test', origin=origin)"
    )
    command = [sys.executable, "-c", code, str(use_case.path), json.dumps(data.to_dict()), origin]
    env = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert "hangs\n" in iter(process.stdout.readline, "")
        process.kill()
    (run,) = runs_of(origin)
    assert run.info.status == "RUNNING"


@pytest.mark.faults
def test_a_fit_that_was_killed_is_tried_again_and_leaves_no_run_running(prepared: Prepared, tmp_path: Path) -> None:
    use_case = written(tmp_path, body=HANGS.format(at=1))
    killed(use_case, prepared.temperatures, "killed fit")
    before = len(models.versions(NAME))
    run_id = fit(use_case, prepared.temperatures, "killed fit")
    assert {run.info.run_id: run.info.status for run in runs_of("killed fit")}[run_id] == "FINISHED"
    assert sorted(run.info.status for run in runs_of("killed fit")) == ["FINISHED", "KILLED"]
    assert "RUNNING" not in statuses()
    assert len(models.versions(NAME)) == before
    version = train.register(use_case, run_id)
    assert models.load(version).version == version


@pytest.mark.faults
def test_a_search_that_was_killed_goes_on_where_it_was(prepared: Prepared, tmp_path: Path) -> None:
    use_case = written(tmp_path, body=HANGS.format(at=6), warm=True, search=SEARCH)  # in the third of four trials
    killed(use_case, prepared.warm, "killed search")
    (first,) = runs_of("killed search")
    before = nested_in(first.info.run_id)
    # A nested run may have been cut off too.
    cut_off = mlflow.MlflowClient().create_run(first.info.experiment_id, tags={
        "mlflow.parentRunId": first.info.run_id, "trial": "3"})  # fmt: skip
    run_id = fit(use_case, prepared.warm, "killed search")
    assert "RUNNING" not in statuses()
    assert mlflow.MlflowClient().get_run(cut_off.info.run_id).info.status == "KILLED"
    assert sorted(run.info.status for run in runs_of("killed search")) == ["FINISHED", "KILLED"]
    trials = nested_in(run_id)
    assert [trial.data.tags["state"] for trial in trials] == ["complete", "complete", "failed", "complete"]
    assert [trial.data.metrics for trial in trials[:2]] == [trial.data.metrics for trial in before]
    storage = f"sqlite:///{get_settings().training / NAME / 'studies.db'}"
    names = [name for name in optuna.study.get_all_study_names(storage) if name.startswith("killed search:")]
    assert len(names) == 1
