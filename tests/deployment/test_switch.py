from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from sklearn.dummy import DummyRegressor

from include.contract.loading import Folder
from include.features import in_use, store
from include.features.catalogue import DefinitionError
from include.promotion import switch
from include.registry import models
from include.registry.model_input import Feature, to_model_input
from tests.features.written_use_case import write_use_case
from tests.model_store import start_run

NAME = "station_temperature"


@pytest.fixture
def use_case(mlflow_store: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> Folder:
    """The stations, applied, with replicas that answer as they should."""
    folder = home / "use cases"
    folder.mkdir()
    monkeypatch.setattr("include.settings.Settings.use_case_folders", (folder,))
    monkeypatch.setattr(switch, "verify_replicas", lambda use_case, version: None)
    written = write_use_case(folder)
    store.apply()
    for alias in models.ALIASES:
        models.remove_alias(NAME, alias)
    return written


def registered(*names: str) -> int:
    features = [Feature(name, "numeric") for name in names]
    frame = pd.DataFrame({name: [1.0, 2.0] for name in names})
    model = DummyRegressor(strategy="constant", constant=1.0).fit(to_model_input(frame, features), [0.0, 0.0])
    run_id = start_run(NAME)
    models.log_model(model, frame, run_id=run_id, task="regression", features=features)
    return models.register(run_id, NAME, "model", {}).version


def recorded() -> tuple[int | None, int | None]:
    used = in_use.read(NAME)
    assert used is not None
    return tuple(each.version if each is not None else None for each in (used.champion, used.previous))  # type: ignore[return-value]


def test_promotion_and_rollback_record_which_features_are_in_use(use_case: Folder) -> None:
    first, second = registered("temp"), registered("temp", "temp_mean")
    switch.promote(use_case, first, "first", ())
    assert recorded() == (first, None)
    switch.promote(use_case, second, "second", ())
    assert recorded() == (second, first)
    switch.rollback(use_case, first, "back", "test")
    switch.rollback(use_case, first, "back", "test")  # a retry
    assert recorded() == (first, second)
    used = in_use.read(NAME)
    assert used is not None and used.previous is not None
    assert [(each.view, each.name, each.type) for each in used.previous.features] == [
        ("observation", "temp", "Float64"),
        ("station_history", "temp_mean", "Float64"),
    ]


def test_a_switch_that_is_taken_back_takes_its_record_back(use_case: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(use_case: str, version: int) -> None:
        raise switch.SwitchError("replica down")

    first, second = registered("temp"), registered("temp", "temp_mean")
    switch.promote(use_case, first, "first", ())
    monkeypatch.setattr(switch, "verify_replicas", refuse)
    with pytest.raises(switch.SwitchError):
        switch.promote(use_case, second, "second", ())
    assert recorded() == (first, None)


def test_no_alias_moves_to_a_version_whose_features_are_not_there(use_case: Folder) -> None:
    with pytest.raises(DefinitionError, match="reads gust, which the feature service"):
        switch.promote(use_case, registered("temp", "gust"), "run", ())
    assert models.by_alias(NAME, models.CHAMPION) is None
