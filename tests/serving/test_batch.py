from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, timedelta
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import polars as pl
import pytest

from include.contract.loading import Folder, load_use_case
from include.deployment import ledger, published
from include.features.compute import view_file
from include.registry import models
from include.serving import batch, batch_log
from include.settings import get_settings
from tests.feature_store import CONFIG, NOON, build_store, trips
from tests.model_store import register_classifier

NAME = "trips_late"
DAYS = ["2013-05-01", "2013-05-02", "2013-05-03"]


@pytest.fixture
def scored(mlflow_store: Path, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Folder]:
    """Three days, of which the second has no trips, and a champion."""
    folder = tmp_path / "use_cases" / NAME
    monkeypatch.setenv("EVERGREEN_USE_CASE_PATHS", str(folder.parent))
    get_settings.cache_clear()
    folder.mkdir(parents=True)
    task = CONFIG.replace("task: regression", "task: classification").replace("mae", "log_loss")
    (folder / "use_case.yaml").write_text(f"{task}serving: {{threshold: 0.5}}\n")
    for file in ("source.py", "features.py", "model.py", "expectations.py", "feature_definitions.py"):
        (folder / file).write_text("")
    build_store()
    first = pl.from_pandas(trips()).with_columns(pl.col("event_timestamp").dt.cast_time_unit("us"))
    for number, day in enumerate(DAYS):
        moved = first.with_columns(pl.col("event_timestamp") + timedelta(days=number), pl.col("trip_id") + 10 * number)
        moved.head(0 if number == 1 else 4).write_parquet(view_file(NAME, "trips", day))
    models.set_alias(NAME, models.CHAMPION, register_classifier(NAME).version)
    yield load_use_case(NAME)
    mlflow.MlflowClient().delete_registered_model(NAME)


def logged(use_case: Folder, again: bool = True) -> list[pl.DataFrame]:
    done = batch.score(use_case, [use_case.config.calendar.partition(day) for day in DAYS], again=again)
    assert done is not None
    assert done.rows == 8
    return [pl.read_parquet(batch_log.file(NAME, day)) for day in DAYS]


def test_every_row_has_its_id_and_the_models_own_prediction(scored: Folder) -> None:
    champion = models.by_alias(NAME, models.CHAMPION)
    assert champion is not None
    expected = models.load(champion)
    frames = logged(scored, again=False)
    assert [frame.height for frame in frames] == [4, 0, 4]
    assert frames[0].schema == frames[1].schema == frames[2].schema
    for day, frame in zip(DAYS, frames, strict=True):
        prefix = f"{NAME}/{day}/v{champion.version}"
        assert frame["request_id"].to_list() == [f"{prefix}/{number}" for number in range(frame.height)]
        if frame.height:
            values = expected.predict(frame.to_pandas())
            np.testing.assert_allclose(frame["prediction"].to_numpy(), values, rtol=0, atol=1e-9)
    assert frames[0]["trip_id"].to_list() == [1, 2, 3, 4]
    assert frames[0]["event_timestamp"][0] == NOON.astimezone(UTC)


def test_it_scores_with_what_the_replicas_serve(scored: Folder) -> None:
    first, second = models.by_alias(NAME, models.CHAMPION), register_classifier(NAME)
    assert first is not None
    published.publish(ledger.append(NAME, None, champion=first.version, previous=None, kind="promotion"))
    models.set_alias(NAME, models.CHAMPION, second.version)
    assert {version for frame in logged(scored) for version in frame["model_version"]} == {first.version}


@pytest.mark.parametrize("rows", [1, 3, 5])
def test_chunks_change_nothing(scored: Folder, monkeypatch: pytest.MonkeyPatch, rows: int) -> None:
    whole = logged(scored)
    monkeypatch.setattr(batch, "CHUNK", rows)
    for one, other in zip(whole, logged(scored), strict=True):
        assert one.equals(other)


def test_the_compiled_model_predicts_many_rows_the_same(scored: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = logged(scored)
    monkeypatch.setattr(batch, "MANY", 1)
    used: list[int] = []
    accelerate = batch.accelerate

    def watched(*arguments: object) -> object:
        served = accelerate(*arguments)  # type: ignore[arg-type]
        used.append(served.engine == "compiled")
        return served

    monkeypatch.setattr(batch, "accelerate", watched)
    for one, other in zip(whole, logged(scored), strict=True):
        assert one.drop("prediction").equals(other.drop("prediction"))
        np.testing.assert_allclose(one["prediction"].to_numpy(), other["prediction"].to_numpy(), rtol=0, atol=1e-9)
    assert used == [True]


def test_a_partition_that_fails_leaves_no_half_of_itself(scored: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch, "CHUNK", 3)
    calls: list[int] = []

    def failing(frame: pd.DataFrame) -> np.ndarray:
        calls.append(len(frame))
        if len(calls) == 4:
            raise RuntimeError("out of memory")
        return np.full(len(frame), 0.5)

    monkeypatch.setattr(batch, "_engine", lambda *_: failing)
    with pytest.raises(RuntimeError, match="out of memory"):
        logged(scored)
    files = [batch_log.file(NAME, day) for day in DAYS]
    assert [file.is_file() for file in files] == [True, True, False]
    assert not [each for each in files[0].parent.iterdir() if each not in files]
    assert pl.read_parquet(files[0])["request_id"].n_unique() == 4
