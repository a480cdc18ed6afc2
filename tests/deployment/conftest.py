from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from sklearn.dummy import DummyRegressor

from include.contract.loading import Folder
from include.deployment import published, switch
from include.deployment.switch import Change
from include.features import store
from include.history import log as history
from include.history.log import Decision
from include.registry import models
from include.registry.client import ModelNotFound, client, registry
from include.registry.model_input import Feature, to_model_input
from tests.features.written_use_case import write_use_case
from tests.model_store import start_run

NAME = "station_temperature"


def judge(version: int, outcome: str = "approved") -> None:
    """Keep a verdict of the gate."""
    history.append(Decision(NAME, "gate", f"gate {version}", outcome, version, None, ()))


@pytest.fixture
def use_case(mlflow_store: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> Folder:
    """The stations, applied, with nothing in production and replicas that answer as they should."""
    folder = home / "use cases"
    folder.mkdir()
    monkeypatch.setattr("include.settings.Settings.use_case_folders", (folder,))
    monkeypatch.setattr(switch, "verify_replicas", lambda use_case, generation: None)
    written = write_use_case(folder)
    store.apply()
    for alias in models.ALIASES:
        models.remove_alias(NAME, alias)
    for tag in (published.TAG, published.ANCHOR):
        try:
            with registry():
                client().delete_registered_model_tag(NAME, tag)
        except ModelNotFound:
            continue  # of the first test, before there is a model
    return written


@pytest.fixture
def register(use_case: Folder) -> Callable[..., int]:
    """Registers a version that reads these features."""

    def registered(*names: str, value: float = 1.0) -> int:
        names = names or ("temp",)
        features = [Feature(name, "numeric") for name in names]
        frame = pd.DataFrame({name: [1.0, 2.0] for name in names})
        model = DummyRegressor(strategy="constant", constant=value).fit(to_model_input(frame, features), [0.0, 0.0])
        run_id = start_run(NAME)
        models.log_model(model, frame, run_id=run_id, task="regression", features=features)
        return models.register(run_id, NAME, "model", {}).version

    return registered


@pytest.fixture
def three(use_case: Folder, register: Callable[..., int]) -> tuple[int, int, int]:
    """The second version is champion after the first, the third was approved."""
    versions = register("temp"), register("temp"), register("temp", "temp_mean")
    switch.promote(use_case, Change("promotion", versions[0], "first", ("better",)), None)
    switch.promote(use_case, Change("promotion", versions[1], "second", ("better",)), versions[0])
    judge(versions[2])
    return versions
