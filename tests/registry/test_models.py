from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from include.registry import models
from include.registry.artifacts import DigestMismatchError
from tests.model_store import (
    FEATURES,
    constant,
    fit_classifier,
    register_classifier,
    register_constant,
    start_run,
    training_frame,
)

pytestmark = pytest.mark.usefixtures("mlflow_store")


def test_a_version_carries_its_identity(use_case: str) -> None:
    version = register_classifier(use_case)
    assert (version.use_case, version.version, version.data_revision) == (use_case, 1, "rev-1")
    assert version.features == ("distance", "carrier", "night")
    assert len(version.digest) == 64
    assert version.run_id
    assert models.get(use_case, 1) == version


def test_registering_a_run_again_returns_its_version(use_case: str) -> None:
    first = register_constant(use_case, 1.0)
    register_constant(use_case, 2.0)
    assert models.register(first.run_id, use_case, "model", {}) == first
    assert [version.version for version in models.versions(use_case)] == [2, 1]


def test_the_model_logged_last_is_registered(use_case: str) -> None:
    run_id = start_run(use_case)
    options = {"run_id": run_id, "task": "regression", "features": FEATURES}
    models.log_model(constant(1.0), training_frame(5), **options)
    second = models.log_model(constant(2.0), training_frame(5), **options)
    assert models.register(run_id, use_case, "model", {}).digest == second.digest


def test_a_model_is_registered_by_its_uri(use_case: str) -> None:
    run_id = start_run(use_case)
    logged = models.log_model(constant(1.0), training_frame(5), run_id=run_id, task="regression", features=FEATURES)
    assert models.register(run_id, use_case, logged.uri, {}).digest == logged.digest


def test_a_run_without_a_model_registers_nothing(use_case: str) -> None:
    with pytest.raises(models.ModelNotFound, match="logged no model"):
        models.register(start_run(use_case), use_case, "model", {})
    assert models.versions(use_case) == []


def test_aliases_move_and_go(use_case: str) -> None:
    assert models.by_alias(use_case, models.CHAMPION) is None
    models.remove_alias(use_case, models.CHAMPION)
    first, second = register_constant(use_case, 1.0), register_constant(use_case, 2.0)
    assert models.by_alias(use_case, models.CHAMPION) is None
    models.set_alias(use_case, models.CHAMPION, first.version)
    assert models.by_alias(use_case, models.CHAMPION) == first
    models.set_alias(use_case, models.CHAMPION, second.version)
    models.set_alias(use_case, models.PREVIOUS_CHAMPION, first.version)
    assert models.by_alias(use_case, models.CHAMPION) == second
    assert models.by_alias(use_case, models.PREVIOUS_CHAMPION) == first
    models.remove_alias(use_case, models.CHAMPION)
    models.remove_alias(use_case, models.CHAMPION)
    assert models.by_alias(use_case, models.CHAMPION) is None


def test_what_is_not_there_is_not_found(use_case: str) -> None:
    with pytest.raises(models.ModelNotFound):
        models.get(use_case, 1)
    register_constant(use_case, 1.0)
    with pytest.raises(models.ModelNotFound):
        models.get(use_case, 2)
    with pytest.raises(models.ModelNotFound):
        models.set_alias(use_case, models.CHAMPION, 2)


def test_a_registry_that_cannot_be_asked_is_unavailable(use_case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    for call in (
        lambda: models.by_alias(use_case, models.CHAMPION),
        lambda: models.get(use_case, 1),
        lambda: models.versions(use_case),
        lambda: models.set_alias(use_case, models.CHAMPION, 1),
    ):
        with pytest.raises(models.RegistryUnavailable, match=r"127\.0\.0\.1:9"):
            call()


def test_a_loaded_model_predicts_as_the_fitted_one(use_case: str) -> None:
    version = register_classifier(use_case)
    predictor = models.load(version)
    model, frame = fit_classifier()
    predictions = predictor.predict(frame)
    assert predictions.dtype == np.float64
    assert predictor.version == version
    assert predictor.features == FEATURES
    assert predictor.threshold == 0.5
    from include.registry.model_input import to_model_input

    np.testing.assert_array_equal(predictions, model.predict_proba(to_model_input(frame, FEATURES))[:, 1])
    with pytest.raises(ValueError, match="missing columns: carrier"):
        predictor.predict(frame.drop(columns="carrier"))


def cached(home: Path, version: models.ModelVersion) -> Path:
    return home / "cache" / "models" / version.use_case / f"{version.version}-{version.digest[:16]}"


def test_the_cache_spares_the_download(use_case: str, mlflow_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    version = register_constant(use_case, 4.0)
    models.load(version)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    assert models.load(version).predict(training_frame(1)).tolist() == [4.0]
    assert [path.name for path in cached(mlflow_store, version).parent.iterdir()] == [
        cached(mlflow_store, version).name
    ]


@pytest.mark.parametrize("file", ["model.skops", "metadata.json"])
def test_a_damaged_cache_is_fetched_again(use_case: str, mlflow_store: Path, file: str) -> None:
    version = register_constant(use_case, 4.0)
    models.load(version)
    path = cached(mlflow_store, version) / file
    path.write_bytes(path.read_bytes() + b" ")
    assert models.load(version).predict(training_frame(1)).tolist() == [4.0]


@pytest.mark.parametrize("file", ["model.skops", "metadata.json"])
def test_an_artifact_changed_in_the_store_is_refused(use_case: str, mlflow_store: Path, file: str) -> None:
    version = register_constant(use_case, 5.0 if file == "model.skops" else 5.5)  # equal models have equal digests
    [stored] = [path for path in mlflow_store.rglob(f"artifacts/{file}") if version.digest in metadata(path)]
    stored.write_bytes(stored.read_bytes() + b" ")
    with pytest.raises(DigestMismatchError):
        models.load(version)
    assert not cached(mlflow_store, version).exists()


def metadata(path: Path) -> str:
    return (path.parent / "metadata.json").read_text()


def test_a_version_that_was_registered_by_hand_is_refused(use_case: str) -> None:
    import mlflow

    client = mlflow.MlflowClient()
    version = register_constant(use_case, 6.0)
    by_hand = client.create_model_version(use_case, client.get_model_version(use_case, "1").source)
    with pytest.raises(DigestMismatchError, match="has no digest"):
        models.load(models.get(use_case, int(by_hand.version)))
    assert version.version == 1


def test_an_upload_that_went_wrong_is_not_registered(use_case: str, mlflow_store: Path) -> None:
    run_id = start_run(use_case)
    logged = models.log_model(constant(7.0), training_frame(5), run_id=run_id, task="regression", features=FEATURES)
    folder = next(mlflow_store.rglob(logged.uri.removeprefix("models:/")))
    shutil.copy(folder / "artifacts" / "metadata.json", folder / "artifacts" / "model.skops")
    with pytest.raises(DigestMismatchError):
        models.register(run_id, use_case, "model", {})
    assert models.versions(use_case) == []
