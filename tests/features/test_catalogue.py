from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from include.features import catalogue, store
from include.features.catalogue import Catalogue, DefinitionError
from include.settings import REPOSITORY
from tests.features.written_use_case import TEMP_MEAN, edit, write_use_case

MORE_KINDS = """
from typing import Any

from feast import PushSource, RequestSource
from feast.on_demand_feature_view import on_demand_feature_view

last_report = FeatureView(
    name="last_report",
    entities=[station],
    ttl=timedelta(hours=3),
    schema=[Field(name="gust", dtype=Float64, description="Knots.", tags=MEASURED)],
    source=PushSource(name="reports", batch_source=_source("last_report")),
    description="What a station reported last.",
    tags={"cadence": "stream"},
    owner=OWNER,
)


@on_demand_feature_view(
    sources=[observation, RequestSource(name="asked", schema=[Field(name="limit", dtype=Float64)])],
    schema=[Field(name="above", dtype=Float64, description="Degrees above the limit.", tags=DERIVED)],
    mode="python",
    description="How far the temperature is above what is asked.",
    tags={"cadence": "request"},
    owner=OWNER,
)
def excess(inputs: dict[str, Any]) -> dict[str, Any]:
    return {"above": [temp - limit for temp, limit in zip(inputs["temp"], inputs["limit"])]}


"""
SERVICE = 'service = FeatureService(name="station_temperature", features=[observation, station_history])'
WITH_MORE_KINDS = (SERVICE, MORE_KINDS + SERVICE.replace("station_history]", "station_history, last_report, excess]"))


@pytest.fixture
def cases(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for use cases, the only one."""
    folder = home / "use cases"
    folder.mkdir()
    monkeypatch.setattr("include.settings.Settings.use_case_folders", (folder,))
    return folder


def applied(name: str = "station_temperature") -> Catalogue:
    found = catalogue.read(name)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("change", "problem", "cure"),
    [
        (("owner=OWNER,\n)\n\n\ndef", ")\n\n\ndef"), "entity 'station': has no owner", "owner="),
        (('description="A weather station.",', ""), "entity 'station': has no description", "description="),
        (('tags={"kind": "place"},', ""), "entity 'station': has no tags", "tags="),
        (("value_type=ValueType.STRING,", ""), "entity 'station': has no value_type", "ValueType.STRING"),
        (('description="What a station measured, each hour.",', ""), "'observation': has no description", "desc"),
        (('"hourly"},\n    owner=OWNER,', '"hourly"},'), "view 'observation': has no owner", "owner="),
        (('tags={"cadence": "hourly"},', ""), "view 'observation': has no tags", "tags="),
        ((f"schema=[{TEMP_MEAN}],", ""), "view 'station_history': declares no field", "schema=[Field"),
        (('"Mean temperature of two weeks."', '""'), "view 'station_history', field 'temp_mean': has no desc", "unit"),
        (('two weeks.", tags=DERIVED', 'two weeks."'), "'station_history', field 'temp_mean': has no tags", "tags="),
    ],
)  # fmt: skip
def test_what_lacks_a_description_an_owner_or_tags_is_refused_by_name(
    cases: Path, change: tuple[str, str], problem: str, cure: str
) -> None:
    use_case = write_use_case(cases, "station_temperature", change)
    with pytest.raises(DefinitionError, match=re.escape(problem)) as error:
        store.apply()
    assert str(use_case.path / "feature_definitions.py") in str(error.value)
    assert cure in str(error.value)
    assert catalogue.read("station_temperature") is None


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (('"Knots."', '""'), "view 'last_report', field 'gust': has no description"),
        (('"What a station reported last."', '""'), "view 'last_report': has no description"),
        (('"Degrees above the limit."', '""'), "view 'excess', field 'above': has no description"),
        (('tags={"cadence": "request"},', ""), "view 'excess': has no tags"),
    ],
)
def test_so_is_a_pushed_or_on_demand_view(cases: Path, change: tuple[str, str], problem: str) -> None:
    write_use_case(cases, "station_temperature", WITH_MORE_KINDS, change)
    with pytest.raises(DefinitionError, match=problem):
        store.apply()


def test_the_catalogue_is_written_when_definitions_are_applied(cases: Path) -> None:
    use_case = write_use_case(cases, "station_temperature", WITH_MORE_KINDS)
    store.apply()
    found = applied()
    views = {view.name: view for view in found.views}
    assert {name: view.kind for name, view in views.items()} == {
        "observation": "batch", "station_history": "batch", "last_report": "push", "excess": "on demand",
    }  # fmt: skip
    assert views["observation"].ttl_seconds == 14 * 86400
    assert views["observation"].join_keys == ("station",)
    assert views["observation"].source.endswith("offline/station_temperature/observation")
    assert views["last_report"].source == "reports"
    assert views["excess"].source == "asked, observation"
    assert {field.name: field.type for field in views["observation"].fields}["season"] == "String"
    assert ("excess", "above") in found.members()
    assert found.definition_hash == store.definition_hash(use_case)
    assert found.applied_at
    assert Catalogue.from_dict(found.to_dict()) == found


def test_applying_again_changes_nothing_whatever_the_kind(cases: Path) -> None:
    write_use_case(cases, "station_temperature", WITH_MORE_KINDS)
    store.apply()
    before = catalogue.file("station_temperature").stat()
    store.apply()
    assert [plan.changes for plan in store.plans()] == [()]
    assert catalogue.file("station_temperature").stat().st_ino == before.st_ino


def test_a_catalogue_that_was_not_written_is_written_the_next_time(cases: Path) -> None:
    use_case = write_use_case(cases)
    store.apply()
    catalogue.file("station_temperature").unlink()
    store.ensure_applied(use_case)
    assert applied().views


def test_every_object_of_the_registry_says_whose_it_is_beside_its_own_tags(cases: Path) -> None:
    write_use_case(cases, "station_temperature", WITH_MORE_KINDS)
    store.apply()
    opened = store.open_store()
    found = [
        *opened.list_all_feature_views(), *opened.list_feature_services(), *opened.list_data_sources(),
        opened.get_entity("station"),
    ]  # fmt: skip
    assert len(found) == 4 + 1 + 5 + 1
    assert {each.tags["use_case"] for each in found} == {"station_temperature"}
    assert opened.get_feature_view("observation").tags["cadence"] == "hourly"


def test_two_processes_may_apply_at_once(cases: Path, home: Path) -> None:
    write_use_case(cases)
    code = "from include.features import store; store.apply()"
    env = {**os.environ, "EVERGREEN_USE_CASE_PATHS": str(cases), "PYTHONPATH": str(REPOSITORY)}
    running = [subprocess.Popen([sys.executable, "-c", code], env=env, cwd=REPOSITORY) for _ in range(2)]
    assert [process.wait(timeout=120) for process in running] == [0, 0]
    assert [plan.changes for plan in store.plans()] == [()]


def test_reading_the_catalogue_does_not_import_feast() -> None:
    code = "import sys, include.features.catalogue, include.features.in_use; print('feast' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "False"


def test_an_edit_is_seen_in_the_catalogue(cases: Path) -> None:
    use_case = write_use_case(cases)
    store.apply()
    edit(use_case, ('"Millibar at sea level."', '"Pressure at sea level, millibar."'))
    store.ensure_applied(use_case)
    view = applied().view("observation")
    assert view is not None
    assert "Pressure at sea level, millibar." in {field.description for field in view.fields}
