from __future__ import annotations

from pathlib import Path

import pytest

from include.contract.loading import Folder
from include.features import catalogue, in_use, store
from include.features.catalogue import DefinitionError
from tests.features.test_plan import WITHOUT_HISTORY, WITHOUT_HOUR
from tests.features.written_use_case import edit, version, write_use_case

NAME = "station_temperature"
FEATURES = ("temp", "hour", "temp_mean")
RETYPED = ('Field(name="hour", dtype=Int64', 'Field(name="hour", dtype=Float64')
OUT_OF_THE_SERVICE = (
    "features=[observation, station_history]",
    'features=[observation[["temp", "dewp"]], station_history]',
)
OF_THE_CODE = (('"Hour of the day, UTC."', '"Hour of the day in UTC."'), ("days=14", "days=7"))


@pytest.fixture
def use_case(home: Path, monkeypatch: pytest.MonkeyPatch) -> Folder:
    """The stations, applied; no version is in production."""
    folder = home / "use cases"
    folder.mkdir()
    monkeypatch.setattr("include.settings.Settings.use_case_folders", (folder,))
    written = write_use_case(folder)
    store.apply()
    return written


@pytest.mark.parametrize(
    ("changes", "lost"),
    [
        ((WITHOUT_HOUR,), "feature 'hour' of view 'observation' would be removed,"),
        ((RETYPED,), "feature 'hour' of view 'observation' would change from Int64 to Float64"),
        ((OUT_OF_THE_SERVICE,), "feature 'hour' of view 'observation' would leave the feature service"),
        (WITHOUT_HISTORY, "feature 'temp_mean' of view 'station_history' would be removed with its view"),
    ],
)
def test_what_the_champion_reads_cannot_be_taken_away(
    use_case: Folder, changes: tuple[tuple[str, str], ...], lost: str
) -> None:
    in_use.record(version(7, *FEATURES), None)
    before = catalogue.read(NAME)
    edit(use_case, *changes)
    for apply in (store.apply, lambda: store.ensure_applied(use_case)):
        with pytest.raises(DefinitionError) as error:
            apply()
        assert f"{NAME}: {lost}" in str(error.value)
        assert "the champion, version 7, reads it: promote a version without it first, or keep it" in str(error.value)
    assert catalogue.read(NAME) == before
    assert {each.name for each in store.open_store().list_all_feature_views()} == {"observation", "station_history"}
    (plan,) = store.plans()
    assert any("refused: " in line for line in plan.lines())


def test_what_no_version_in_use_reads_may_go(use_case: Folder) -> None:
    in_use.record(version(7, "temp"), None)
    edit(use_case, *WITHOUT_HISTORY, WITHOUT_HOUR)
    store.apply()
    assert [each.name for each in store.open_store().list_all_feature_views()] == ["observation"]


def test_a_change_of_the_code_alone_is_applied(use_case: Folder) -> None:
    in_use.record(version(7, *FEATURES), None)
    before = store.definition_hash(use_case)
    edit(use_case, *OF_THE_CODE)
    assert store.ensure_applied(use_case) != before


def test_what_a_rollback_would_return_to_is_kept_too(use_case: Folder) -> None:
    in_use.record(version(7, *FEATURES), None)
    in_use.record(version(8, "temp"), version(7, *FEATURES))
    edit(use_case, WITHOUT_HOUR)
    with pytest.raises(DefinitionError, match="the previous champion, version 7, reads it: a rollback would return"):
        store.apply()
    in_use.record(version(9, "temp"), version(8, "temp"))
    store.apply()


def test_recording_twice_changes_nothing(use_case: Folder) -> None:
    in_use.record(version(7, *FEATURES), version(6, "temp"))
    before = in_use.file(NAME).stat().st_ino
    in_use.record(version(7, *FEATURES), version(6, "temp"))
    assert in_use.file(NAME).stat().st_ino == before


def test_a_change_that_is_taken_back_leaves_the_record_as_it_was(use_case: Folder) -> None:
    in_use.record(version(7, *FEATURES), None)
    first = in_use.read(NAME)
    in_use.record(version(8, "temp"), version(7, *FEATURES))
    in_use.record(version(7, *FEATURES), None)
    assert in_use.read(NAME) == first
    in_use.forget(NAME)
    in_use.forget(NAME)
    assert in_use.read(NAME) is None
