"""What the benchmarks of scale compute, and that a DAG file reads no more use cases than it must."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml
from airflow.sdk.definitions.context import _AIRFLOW_PARSING_CONTEXT_DAG_ID as PARSED_FOR
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.airflow_system import Look, Used, copy_use_case, quantile
from benchmarks.parsed_dags import crossing
from benchmarks.thousand import Costs, of_rows, together
from benchmarks.worker_slots import Measured, Worked
from include.contract.loading import FILE, YAML, discover_use_cases
from include.features import ownership
from include.features.store import definitions
from include.orchestration import stage
from include.settings import get_settings

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


@pytest.fixture
def three(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with ``flight_delay`` and two copies, where the settings look for use cases."""
    for number in (1, 2, 3):
        copy_use_case(tmp_path / "use_cases", number)
    monkeypatch.setenv("EVERGREEN_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("EVERGREEN_USE_CASE_PATHS", str(tmp_path / "use_cases"))
    get_settings.cache_clear()
    return tmp_path / "use_cases"


@pytest.fixture(autouse=True)
def _settings_are_read_again() -> Iterator[None]:
    yield
    get_settings.cache_clear()


def test_copies_are_use_cases_whose_features_are_their_own(three: Path) -> None:
    found = discover_use_cases()
    assert found.errors == ()
    assert list(found.found) == ["flight_delay", "flight_delay_2", "flight_delay_3"]
    defined = {name: definitions(use_case) for name, use_case in found.found.items()}
    ownership.require_own_names(defined, ownership.claims(defined, [], found.found))
    names = {name: {each.name for each in objects if ownership.is_view(each)} for name, objects in defined.items()}
    assert names["flight_delay_2"] == {f"{view}_2" for view in names["flight_delay"]}
    assert found.found["flight_delay_2"].config.entity.view in names["flight_delay_2"]


@pytest.mark.parametrize(
    ("task_of", "built"),
    [
        (None, ["flight_delay", "flight_delay_2"]),
        ("flight_delay.ingest", ["flight_delay"]),
        ("flight_delay_2.ingest", ["flight_delay_2"]),
        ("flight_delay_3.ingest", []),
        ("gone.ingest", []),
    ],
)
def test_in_a_task_a_dag_file_builds_the_dag_of_its_own_use_case(
    three: Path, monkeypatch: pytest.MonkeyPatch, task_of: str | None, built: list[str]
) -> None:
    (three / "flight_delay_3" / FILE).write_text("no use case", encoding="utf-8")
    if task_of is not None:
        monkeypatch.setenv(PARSED_FOR, task_of)
    assert [use_case.config.name for use_case in stage.use_cases()] == built


def test_one_use_case_is_found_without_a_look_at_the_others(three: Path) -> None:
    shutil.rmtree(three / "flight_delay_2")
    (three / "flight_delay_3" / FILE).write_text("no use case", encoding="utf-8")
    found = discover_use_cases(name="flight_delay")
    assert (list(found.found), found.errors) == (["flight_delay"], ())
    assert discover_use_cases(name="flight_delay_2").found == {}
    (error,) = discover_use_cases(name="flight_delay_3").errors
    assert "flight_delay_3" in str(error)


def test_the_configuration_is_read_as_yaml_says(three: Path) -> None:
    text = (three / "flight_delay" / FILE).read_text(encoding="utf-8")
    assert yaml.load(text, YAML) == yaml.safe_load(text)
    with pytest.raises(yaml.YAMLError):
        yaml.load("!!python/object/apply:os.getcwd []", YAML)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1), st.floats(0.01, 1.0))
def test_a_quantile_is_the_smallest_value_that_the_share_does_not_exceed(values: list[float], share: float) -> None:
    found = quantile(values, share)
    assert sum(value <= found for value in values) >= share * len(values)
    assert sum(value < found for value in values) < share * len(values)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (lambda: quantile([], 0.5), "no values"),
        (lambda: crossing([1, 50], [2.0, 2.0], 30.0), "does not grow"),
        (lambda: Costs({}).entry("pages", "overview"), "make bench ONLY=pages"),
        (lambda: Costs({"a": {"entries": [{"name": "x1"}, {"name": "x2"}]}}).entry("a", "x"), "2 entries 'x'"),
        (lambda: Costs({"a": {"entries": [{"name": "x", "note": "fast"}]}}).noted("a", "x"), "tells no CPU s"),
    ],
)
def test_what_cannot_be_computed_is_an_error_that_says_so(wrong: Callable[[], object], said: str) -> None:
    with pytest.raises((ValueError, LookupError), match=said):
        wrong()


def test_a_straight_line_crosses_its_limit() -> None:
    assert crossing([1, 10, 50], [1.5, 99.0, 26.0], 30.0) == pytest.approx(58.0)


def test_slots_are_busy_for_the_share_in_which_tasks_work() -> None:
    def task(stage: str, queued: float, start: float, end: float) -> Worked:
        at = [NOON + timedelta(seconds=seconds) for seconds in (queued, start, end, 0.0, 40.0)]
        return Worked(f"flight_delay.{stage}", *at)

    measured = Measured(2, (task("ingest", 0, 1, 21), task("score", 20, 25, 35)), Used(40.0, {}, 0.0), 0)
    assert measured.wall == 40.0
    assert measured.a_minute == 3.0
    assert measured.busy == pytest.approx(30 / 80)
    assert measured.by_stage() == {"ingest": 20.0, "score": 10.0}
    assert [each.waited for each in measured.tasks] == [1.0, 5.0]


def test_what_was_used_is_counted_from_the_first_look_and_the_rest_is_that_of_others() -> None:
    used = Used.between(Look(100.0, {"scheduler": 2.0}, 50.0), Look(110.0, {"scheduler": 5.0, "tasks": 1.0}, 70.0))
    assert used == Used(10.0, {"scheduler": 3.0, "tasks": 1.0}, 1.6)
    alone = Used.between(Look(0.0, {}, 0.0), Look(10.0, {"scheduler": 5.0}, 4.9))
    assert alone.others == 0.0  # the two clocks tick at different moments


def test_a_product_says_how_it_came_about() -> None:
    named = {
        "data_validation": ("data validation: 41 expectations on 10,000,000 x 20", 24.0),
        "compiled_models": ("boosted trees: predict 100,000 rows of columns", 1.0),
        "drift_speed": ("drift: 10,000,000 x 10, both samples, with the stored profile", 1.5),
        "online_store": ("Redis: bring 100,000 keys online, 10 features", 1.0),
        "point_in_time": ("point in time: peak memory of to_arrow, 10,000,000 rows to 3 views of 10,000,000", 3.5),
    }
    results = {
        benchmark: {"entries": [{"name": name, "ours": ours, "note": "all of it; 42.0 CPU s"}]}
        for benchmark, (name, ours) in named.items()
    }
    found = of_rows(Costs(results))
    lines = {line.name: line for line in found}
    checked = lines["validation, 41 expectations on 20 columns"]
    assert checked.value == pytest.approx(2400.0)
    assert checked.how == "1,000,000,000 rows x 2.4 µs"
    assert lines["joins of the trainings to 3 views"].value == pytest.approx(1e10 / 7 * 4.2e-6)
    assert together(found).value == pytest.approx(sum(line.value for line in found) / 21_600)
