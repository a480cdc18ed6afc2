from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pytest

from include.features import catalogue, store
from include.features.catalogue import Catalogue, DefinitionError, Entity, Field, Service, View
from include.features.plan import Plan, compare
from tests.features.written_use_case import TEMP_MEAN, edit, write_use_case

OTHER = "harbour_temperature"
WITHOUT_HISTORY = (
    ("station_history = FeatureView(", "_unused = dict("),
    ("features=[observation, station_history]", "features=[observation]"),
)
WITHOUT_HOUR = ('        Field(name="hour", dtype=Int64, description="Hour of the day, UTC.", tags=DERIVED),\n', "")
NOON = datetime(2013, 5, 1, 12, tzinfo=UTC)


def view(**changed: object) -> View:
    kept = {
        "name": "trips", "kind": "batch", "entities": ("trip",), "join_keys": ("trip_id",), "ttl_seconds": 60.0,
        "source": "/trips", "owner": "us", "description": "Trips.", "tags": {"a": "b"},
        "fields": (Field("far", "Bool", "Whether.", {}), Field("long", "Int64", "How long.", {})),
    }  # fmt: skip
    return View(**(kept | changed))  # type: ignore[arg-type]


def made(*views: View, members: tuple[tuple[str, str], ...] = (("trips", "far"),), digest: str = "1") -> Catalogue:
    entity = Entity("trip", "trip_id", "INT64", "us", "A trip.", {})
    return Catalogue("late", digest, (entity,), views, (Service("late", "us", "", {}, members),))


def changes(before: Catalogue, after: Catalogue) -> list[str]:
    return [str(change) for change in compare(before, after)]


def test_the_order_of_fields_and_members_is_no_change() -> None:
    both = (("trips", "far"), ("trips", "long"))
    turned = made(view(fields=tuple(reversed(view().fields))), members=both[::-1])
    assert changes(made(view(), members=both), turned) == []


@pytest.mark.parametrize(
    ("changed", "line"),
    [
        ({"kind": "push"}, "~ view trips: kind 'batch' -> 'push'"),
        ({"ttl_seconds": None}, "~ view trips: ttl_seconds 60.0 -> None"),
        ({"entities": ("trip", "day")}, "~ view trips: entities (trip) -> (day, trip)"),
        ({"source": "/other"}, "~ view trips: source '/trips' -> '/other'"),
        ({"description": "New."}, "~ view trips: description 'Trips.' -> 'New.'"),
        ({"owner": "them"}, "~ view trips: owner 'us' -> 'them'"),
        ({"tags": {}}, "~ view trips: tags {a: b} -> {}"),
        ({"fields": view().fields[:1]}, "- field trips:long: Int64"),
        ({"fields": (*view().fields, Field("new", "String", "", {}))}, "+ field trips:new: String"),
        ({"fields": (view().fields[0], Field("long", "Float64", "How long.", {}))}, "'Int64' -> 'Float64'"),
    ],
)
def test_each_change_of_a_view_is_a_line(changed: dict[str, object], line: str) -> None:
    (found,) = changes(made(view()), made(view(**changed)))
    assert line in found


def test_views_members_and_code_that_come_and_go_are_lines() -> None:
    found = changes(made(view()), made(view(name="tours"), members=(("tours", "far"),), digest="2"))
    assert found == [
        "+ view tours: batch by trip, with far, long",
        "- view trips: batch by trip, with far, long",
        "+ service late: tours:far",
        "- service late: trips:far",
        "~ definition hash: 1 -> 2",
    ]


def test_a_plan_without_changes_says_so() -> None:
    assert Plan("late").lines() == ["late: nothing to change"]


@pytest.fixture
def cases(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for use cases, the only one."""
    folder = home / "use cases"
    folder.mkdir()
    monkeypatch.setattr("include.settings.Settings.use_case_folders", (folder,))
    return folder


def planned() -> list[str]:
    return [line.strip() for plan in store.plans() for line in plan.lines()]


def test_a_plan_before_anything_was_applied_writes_nothing(cases: Path, home: Path) -> None:
    write_use_case(cases)
    assert "+ view observation: batch by station, with dewp, hour, pressure, season, temp" in planned()
    assert [path.name for path in home.iterdir()] == ["use cases"]


def test_what_is_planned_is_done_and_then_there_is_nothing_to_change(cases: Path) -> None:
    use_case = write_use_case(cases)
    store.apply()
    edit(use_case, *WITHOUT_HISTORY, ("timedelta(days=14)", "timedelta(days=7)"), WITHOUT_HOUR)
    found = planned()
    for line in (
        "~ view observation: ttl_seconds 1209600.0 -> 604800.0",
        "- field observation:hour: Int64",
        "- view station_history: batch by station, with temp_mean",
        "- service station_temperature: observation:hour",
    ):
        assert line in found
    store.ensure_applied(use_case)
    assert planned() == ["station_temperature: nothing to change"]
    opened = store.open_store()
    assert [each.name for each in opened.list_all_feature_views()] == ["observation"]
    assert [each.name for each in opened.list_data_sources()] == ["station_temperature_observation"]
    assert [each.name for each in opened.list_entities() if each.name != "__dummy"] == ["station"]


def test_a_removed_view_leaves_nothing_in_the_online_store(cases: Path) -> None:
    use_case = write_use_case(cases)
    store.apply()
    row = pd.DataFrame(
        {"station": ["JFK"], "temp_mean": [12.5], "event_timestamp": [NOON], "created_timestamp": [NOON]}
    )

    def online() -> float | None:
        found = store.open_store().get_online_features(["station_history:temp_mean"], [{"station": "JFK"}]).to_dict()
        return found["temp_mean"][0]  # type: ignore[no-any-return]

    edit(use_case, ("ttl=timedelta(days=30)", "ttl=timedelta(days=36500)"))
    store.apply()
    store.open_store().write_to_online_store("station_history", row)
    assert online() == 12.5
    edit(use_case, *WITHOUT_HISTORY)
    store.apply()
    edit(use_case, *((new, old) for old, new in WITHOUT_HISTORY))
    store.apply()
    assert online() is None


def test_what_only_the_registry_lacks_is_applied_again(cases: Path) -> None:
    use_case = write_use_case(cases)
    store.apply()
    opened = store.open_store()
    opened.registry.delete_feature_view("station_history", opened.project)
    store.ensure_applied(use_case)
    assert {each.name for each in opened.list_all_feature_views()} == {"observation", "station_history"}


def test_a_view_that_becomes_another_kind_is_replaced(cases: Path) -> None:
    use_case = write_use_case(cases)
    store.apply()
    text = (use_case.path / "feature_definitions.py").read_text()
    begin, end = text.index("station_history = FeatureView("), text.index("service = ")
    on_demand = f"""from feast.on_demand_feature_view import on_demand_feature_view


@on_demand_feature_view(
    sources=[observation], schema=[{TEMP_MEAN}], mode="python", description="The same.", tags=DERIVED, owner=OWNER
)
def station_history(inputs):
    return {{"temp_mean": inputs["temp"]}}


"""
    edit(use_case, (text[begin:end], on_demand))
    store.apply()
    opened = store.open_store()
    assert [each.name for each in opened.list_on_demand_feature_views()] == ["station_history"]
    assert [each.name for each in opened.list_batch_feature_views()] == ["observation"]
    assert planned() == ["station_temperature: nothing to change"]


def test_removing_from_one_use_case_leaves_another_as_it_is(cases: Path) -> None:
    use_case = write_use_case(cases)
    write_use_case(cases, OTHER)
    store.apply()
    assert planned() == [f"{OTHER}: nothing to change", "station_temperature: nothing to change"]
    edit(use_case, *WITHOUT_HISTORY)
    store.ensure_applied(use_case)
    names = {each.name for each in store.open_store().list_all_feature_views()}
    assert names == {"observation", f"{OTHER}_observation", f"{OTHER}_station_history"}
    assert planned() == [f"{OTHER}: nothing to change", "station_temperature: nothing to change"]


def test_a_use_case_whose_folder_is_gone_stays_and_the_plan_says_so(cases: Path) -> None:
    write_use_case(cases)
    other = write_use_case(cases, OTHER)
    store.apply()
    shutil.rmtree(other.path)
    store.apply()
    (line,) = [line for line in planned() if line.startswith(OTHER)]
    assert "its folder is gone" in line
    assert f"view {OTHER}_station_history" in line
    assert len(store.open_store().list_all_feature_views()) == 4


def test_an_entity_of_two_use_cases_must_be_the_same(cases: Path) -> None:
    write_use_case(cases)
    write_use_case(cases, OTHER, ("ValueType.STRING", "ValueType.INT64"))
    with pytest.raises(DefinitionError, match=r"entity 'station'.*INT64.*make them equal, or rename") as error:
        store.apply()
    assert OTHER in str(error.value) and "station_temperature" in str(error.value)
    assert catalogue.read(OTHER) is None


def test_also_where_only_one_of_them_is_applied(cases: Path) -> None:
    use_case = write_use_case(cases)
    other = write_use_case(cases, OTHER)
    store.apply()
    for each in (use_case, other):
        edit(each, ("ValueType.STRING", "ValueType.INT64"))
        with pytest.raises(DefinitionError, match="entity 'station' has join key and type station"):
            store.ensure_applied(each)
        edit(each, ("ValueType.INT64", "ValueType.STRING"))


def test_two_use_cases_cannot_define_a_view_of_the_same_name(cases: Path) -> None:
    write_use_case(cases)
    other = write_use_case(cases, OTHER)
    edit(other, (f'name="{OTHER}_observation"', 'name="observation"'))
    with pytest.raises(DefinitionError, match=r"'view observation' is also that of .*rename"):
        store.apply()
