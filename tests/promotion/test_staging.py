"""A version in a serving process of its own: a real one, loaded from a real registry."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import mlflow
import pandas as pd
import polars as pl
import psutil
import pytest
from sklearn.linear_model import LinearRegression

from include.contract.loading import Folder, load_use_case
from include.gate import staging as gate
from include.gate.staging import Trial
from include.promotion import staging
from include.promotion.rows import json_rows
from include.registry import models
from include.registry.model_input import Feature, to_model_input
from include.registry.runs import TEST_FILE
from include.settings import REPOSITORY, get_settings
from tests.gate.sample import GOOD
from tests.model_store import start_run

NAME = "station_temperature"
FEATURES = (Feature("temp", "numeric"), Feature("dewp", "numeric"))
ROWS = 150


@pytest.fixture
def use_case(mlflow_store: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Folder]:
    monkeypatch.setenv("EVERGREEN_USE_CASE_PATHS", str(REPOSITORY / "tests" / "use_cases"))
    get_settings.cache_clear()
    yield load_use_case(NAME)
    get_settings.cache_clear()


def registered(tmp_path: Path, error: float = 0.0) -> int:
    """A version whose run logged the rows of its test stretch with predictions that are off by ``error``."""
    frame = pd.DataFrame({"temp": [float(number) for number in range(ROWS)], "dewp": [1.0, None, 3.0] * (ROWS // 3)})
    seen = to_model_input(frame, FEATURES)
    model = LinearRegression().fit(seen.fillna(0.0), seen["temp"] * 2)
    complete = to_model_input(frame.fillna(0.0), FEATURES)
    run_id = start_run(NAME)
    models.log_model(model, frame.fillna(0.0), run_id=run_id, task="regression", features=FEATURES)
    rows = pl.from_pandas(complete).with_columns(prediction=pl.Series(model.predict(complete)) + error, label=0.0)
    file = tmp_path / Path(TEST_FILE).name
    rows.write_parquet(file)
    mlflow.MlflowClient(models.tracking_uri()).log_artifact(run_id, str(file), str(Path(TEST_FILE).parent))
    return models.register(run_id, NAME, "model", {}).version


def staging_processes() -> list[str]:
    commands = [" ".join(each.info["cmdline"] or ()) for each in psutil.process_iter(["cmdline"])]
    return [command for command in commands if f"--alias {models.STAGING} --use-case {NAME}" in command]


def passed(trial: Trial) -> bool:
    (check,) = gate.check(trial)
    return check.passed


def test_a_version_answers_its_golden_rows_and_its_cost_is_measured(use_case: Folder, tmp_path: Path) -> None:
    version = registered(tmp_path)
    trial = staging.stage(use_case, version)
    assert trial.problems == ()
    assert (trial.golden_rows, passed(trial)) == (staging.GOLDEN_ROWS, True)
    assert trial.difference is not None and trial.difference < 1e-9
    cost = trial.cost
    assert cost is not None
    assert 0 < cost.single_p50 <= cost.single_p99
    assert (cost.batch_rows, cost.requests) == (ROWS, staging.SINGLE_REQUESTS + staging.BATCH_REQUESTS)
    assert cost.memory > 50
    assert 0 < cost.file < 1
    staged = models.by_alias(NAME, models.STAGING)
    assert staged is not None and staged.version == version
    assert not staging_processes()
    assert not list(get_settings().work.glob("staging-*"))
    assert not (get_settings().predictions / NAME / "online").exists()  # nobody else sees what it answered


def test_a_version_that_answers_otherwise_than_at_training_fails(use_case: Folder, tmp_path: Path) -> None:
    trial = staging.stage(use_case, registered(tmp_path, error=1e-6))
    assert trial.difference == pytest.approx(1e-6, rel=1e-3)
    (check,) = gate.check(trial)
    assert not check.passed
    assert "golden rows one differs by" in check.reason


def test_a_version_that_cannot_be_served_fails_with_what_the_process_says(
    use_case: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = registered(tmp_path)
    monkeypatch.setattr(staging, "SETTLE_TIMEOUT", 1.0)
    client = mlflow.MlflowClient(models.tracking_uri())
    client.set_model_version_tag(NAME, str(version), "metadata_digest", "another")
    trial = staging.stage(use_case, version)
    assert (trial.cost, trial.difference, passed(trial)) == (None, None, False)
    assert "is not the metadata of the registered model" in trial.problems[0]
    assert not staging_processes()


def test_a_process_that_ends_at_once_fails_the_version(
    use_case: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "python"
    broken.write_text("#!/bin/sh\necho no memory left\nexit 3\n")
    broken.chmod(0o755)
    version = registered(tmp_path)
    monkeypatch.setattr(staging.sys, "executable", str(broken))
    trial = staging.stage(use_case, version)
    assert not passed(trial)
    assert trial.problems == (f"{NAME} version {version} in staging: the process ended with status 3: no memory left",)


def test_a_process_that_never_says_a_word_is_no_word_against_the_version(
    use_case: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    busy = tmp_path / "python"
    busy.write_text("#!/bin/sh\nexec sleep 600\n")
    busy.chmod(0o755)
    monkeypatch.setattr(staging.sys, "executable", str(busy))
    monkeypatch.setattr(staging, "START_TIMEOUT", 1.0)
    with pytest.raises(TimeoutError, match="has not started after 1 s: no answer"):
        staging.stage(use_case, registered(tmp_path))
    assert not staging_processes()


def test_a_version_that_is_not_there_is_an_error(use_case: Folder) -> None:
    with pytest.raises(models.ModelNotFound):
        staging.stage(use_case, 10_000)


def test_the_process_ends_with_the_one_that_started_it(use_case: Folder) -> None:
    command = [sys.executable, "-m", "include.serving", "--port", "0", "--use-case", NAME, "--until-input-ends"]
    with subprocess.Popen(command, cwd=REPOSITORY, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(timeout=60) is not None


def test_the_environment_holds_the_registry_and_nothing_else_of_the_caller(
    use_case: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", "/elsewhere")
    monkeypatch.setenv("DATABASE_PASSWORD", "secret")
    bare = staging._bare_environment(tmp_path)
    assert not {"PYTHONPATH", "DATABASE_PASSWORD"} & set(bare)
    assert bare["MLFLOW_TRACKING_URI"] == models.tracking_uri()
    assert bare["EVERGREEN_HOME"] == str(tmp_path)


def test_values_that_json_has_not_are_missing() -> None:
    rows = pl.DataFrame({"temp": [1.0, float("nan"), None], "name": ["a", None, "c"]})
    assert json_rows(rows, ["temp", "name"]) == [
        {"temp": 1.0, "name": "a"}, {"temp": None, "name": None}, {"temp": None, "name": "c"},
    ]  # fmt: skip


@pytest.mark.parametrize(
    "trial",
    [
        None,
        dataclasses.replace(GOOD.trial, difference=None),
        dataclasses.replace(GOOD.trial, difference=float("nan")),
        dataclasses.replace(GOOD.trial, difference=1.001e-9),
        dataclasses.replace(GOOD.trial, golden_rows=0),
        dataclasses.replace(GOOD.trial, problems=("answers 500 to its own rows",)),
    ],
)
def test_whatever_a_trial_lacks_fails(trial: Trial | None) -> None:
    (check,) = gate.check(trial)
    assert not check.passed


def test_a_difference_at_the_limit_passes() -> None:
    assert GOOD.trial is not None
    assert passed(dataclasses.replace(GOOD.trial, difference=gate.TOLERANCE))
