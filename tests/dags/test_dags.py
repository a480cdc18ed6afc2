from __future__ import annotations

import ast
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, cast

import pytest
from airflow.sdk import ExceptionRetryPolicy, RetryAction

from include import alerts
from include.ingestion.validation import RefusedBatchError, Validation
from include.orchestration.stage import PERMANENT

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "dags").glob("*.py"))
STAGES = {
    "ingest", "replay", "features", "train", "promote", "rollout", "score", "monitor", "rollback", "reproduce",
    "compact",
}  # fmt: skip

Found = dict[str, Any]


def environment(home: Path, *use_cases: Path) -> dict[str, str]:
    return {
        **os.environ,
        "AIRFLOW_HOME": str(home / "airflow"),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home / 'airflow.db'}",
        "EVERGREEN_USE_CASE_PATHS": os.pathsep.join(str(folder) for folder in use_cases),
        "PYTHONPATH": str(ROOT),
    }


def describe(home: Path, *use_cases: Path) -> Found:
    """What Airflow finds in dags/ with the use cases of these folders."""
    command = [sys.executable, str(Path(__file__).with_name("describe_dags.py")), str(ROOT / "dags")]
    env = environment(home, *use_cases)
    answer = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
    return cast(Found, json.loads(answer.stdout.splitlines()[-1]))


ALERTS = "evergreen.alerts"  # the only DAG of all use cases together

EDGES = """
import json, sys
from airflow.dag_processing.dagbag import DagBag
dag = DagBag(sys.argv[1], bundle_name="test").dags[sys.argv[2]]
print(json.dumps({task.task_id: sorted(task.downstream_task_ids) for task in dag.tasks}))
"""


def describe_edges(home: Path, use_cases: Path, dag_id: str) -> dict[str, list[str]]:
    """The tasks that follow each task of a DAG."""
    command = [sys.executable, "-c", EDGES, str(ROOT / "dags"), dag_id]
    answer = subprocess.run(command, env=environment(home, use_cases), capture_output=True, text=True, check=True)
    return cast(dict[str, list[str]], json.loads(answer.stdout.splitlines()[-1]))


@pytest.fixture(scope="module")
def bag(tmp_path_factory: pytest.TempPathFactory) -> Found:
    return describe(tmp_path_factory.mktemp("bag"), ROOT / "include" / "use_cases", ROOT / "tests" / "use_cases")


def test_every_use_case_has_a_dag_for_every_stage(bag: Found) -> None:
    assert bag["errors"] == {}
    expected = {f"{name}.{stage}" for name in ("flight_delay", "station_temperature") for stage in STAGES}
    assert set(bag["dags"]) == expected | {ALERTS}


def test_parsing_imports_no_heavy_library(bag: Found) -> None:
    """A file is parsed every half minute, and again before each of its tasks."""
    assert bag["heavy"] == []


def test_every_dag_tells_what_it_does_and_whose_it_is(bag: Found) -> None:
    for dag_id, dag in bag["dags"].items():
        use_case, stage = dag_id.split(".")
        assert len(dag["doc"]) > 100, dag_id
        assert {"evergreen", use_case, stage} <= set(dag["tags"]), dag_id
        assert dag["owner"] not in ("", "airflow"), dag_id


def test_what_may_be_left_empty_is_null_at_first(bag: Found) -> None:
    """Airflow's forms ask for a text that is empty: the button that sends them stays grey."""
    for dag_id, dag in bag["dags"].items():
        assert [name for name, param in dag["params"].items() if param["default"] == ""] == [], dag_id


def test_runs_are_bounded_and_tasks_tried_again(bag: Found) -> None:
    for dag_id, dag in bag["dags"].items():
        assert dag["runs"] == (4 if dag_id.endswith(".ingest") else 1), dag_id
        assert dag["catchup"] is False, dag_id
        assert all(retries >= 1 and timeout for retries, timeout, _ in dag["tasks"].values()), dag_id


@pytest.mark.parametrize(
    ("error", "action"),
    [
        (ValueError("training.minimum_rows"), RetryAction.FAIL),
        (KeyError("column"), RetryAction.FAIL),
        (RefusedBatchError("shop", Validation("2013-01-01", (), {}, {})), RetryAction.FAIL),
        (OSError("disk"), RetryAction.DEFAULT),
        (ConnectionError("server"), RetryAction.DEFAULT),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else str(value),
)
def test_what_will_not_mend_itself_is_not_tried_again(error: Exception, action: RetryAction) -> None:
    policy = ExceptionRetryPolicy(rules=[PERMANENT])
    assert policy.evaluate(error, try_number=1, max_tries=2).action == action


def test_what_is_heavy_or_changes_production_has_a_pool(bag: Found) -> None:
    dags = bag["dags"]
    assert dags["flight_delay.train"]["tasks"]["fit"][2] == "training"
    assert dags["flight_delay.reproduce"]["tasks"]["reproduce"][2] == "training"
    assert dags["flight_delay.promote"]["tasks"]["switch"][2] == "registry"
    assert dags["flight_delay.rollback"]["tasks"]["switch"][2] == "registry"
    assert dags["flight_delay.rollout"]["tasks"]["change"][2] == "registry"


def test_every_parameter_has_a_type_a_title_and_a_description(bag: Found) -> None:
    for dag_id, dag in bag["dags"].items():
        for name, schema in dag["params"].items():
            assert all(schema.get(key) for key in ("type", "title", "description")), f"{dag_id}: {name}"


def test_a_broken_use_case_is_named_and_hides_no_other(tmp_path: Path) -> None:
    folder = tmp_path / "use_cases" / "broken"
    folder.mkdir(parents=True)
    (folder / "use_case.yaml").write_text("name: broken\ntask: divination\n")
    found = describe(tmp_path, folder.parent, ROOT / "tests" / "use_cases")
    (error,) = found["errors"].values()
    assert "broken/use_case.yaml" in error and "task: Input should be" in error
    assert {dag_id.split(".")[0] for dag_id in found["dags"] if dag_id != ALERTS} == {"station_temperature"}


def test_a_use_case_that_wants_a_person_s_approval_gets_that_step(tmp_path: Path) -> None:
    folder = tmp_path / "use_cases" / "station_temperature"
    shutil.copytree(ROOT / "tests" / "use_cases" / folder.name, folder)
    with (folder / "use_case.yaml").open("a") as file:
        file.write("approval: {required: true, deadline: 2h}\n")
    found = describe(tmp_path, folder.parent)
    assert found["errors"] == {}
    assert set(found["dags"]["station_temperature.promote"]["tasks"]) == {
        "stage", "judge", "approved", "approve", "answered", "switch",
    }  # fmt: skip
    note = found["dags"]["station_temperature.promote"]["forms"]["approve"]["note"]
    assert (note["type"], note["default"]) == (["null", "string"], None)  # see above: a note may be left out


def test_a_use_case_that_wants_a_rollout_tries_the_candidate_before_it_switches(tmp_path: Path) -> None:
    folder = tmp_path / "use_cases" / "station_temperature"
    shutil.copytree(ROOT / "tests" / "use_cases" / folder.name, folder)
    with (folder / "use_case.yaml").open("a") as file:
        file.write("approval: {required: true}\npromotion: {steps: [shadow, 0.05, 0.25], period: 2h}\n")
    found = describe(tmp_path, folder.parent)
    assert found["errors"] == {}
    tasks = found["dags"]["station_temperature.promote"]["tasks"]
    assert set(tasks) == {
        "stage", "judge", "approved", "approve", "answered", "begin_rollout", "walk_rollout", "judge_rollout",
        "switch",
    }  # fmt: skip
    assert {tasks[name][2] for name in ("begin_rollout", "walk_rollout", "judge_rollout")} == {"registry"}
    mode = found["dags"]["station_temperature.rollout"]["params"]["mode"]
    assert mode["enum"] == ["steps", "shadow", "canary", "end"]
    assert mode["values_display"]["steps"] == "steps: shadow → 5 % → 25 % → 100 %, each judged"
    edges = describe_edges(tmp_path, folder.parent, "station_temperature.promote")
    assert edges["answered"] == ["begin_rollout", "switch"]
    assert edges["begin_rollout"] == ["judge_rollout", "walk_rollout"]
    assert edges["walk_rollout"] == ["judge_rollout"]
    assert edges["judge_rollout"] == ["switch"]


def test_a_report_of_evidently_comes_after_the_look_where_it_is_switched_on(tmp_path: Path) -> None:
    """Beside what the look decides, so that its failure keeps nothing from being trained."""
    folder = tmp_path / "use_cases" / "station_temperature"
    shutil.copytree(ROOT / "tests" / "use_cases" / folder.name, folder)
    look = {"observe": ["retrain"], "retrain": [], "compare_features": []}
    assert describe_edges(tmp_path, folder.parent, "station_temperature.monitor") == look
    file = folder / "use_case.yaml"
    file.write_text(file.read_text().replace("monitoring:\n", "monitoring:\n  evidently: true\n"))
    look |= {"observe": ["evidently_report", "retrain"], "evidently_report": []}
    assert describe_edges(tmp_path, folder.parent, "station_temperature.monitor") == look


WAITING = """
import json, sys
from airflow.dag_processing.dagbag import DagBag
dag = DagBag(sys.argv[1], bundle_name="test").dags["station_temperature.promote"]
walk = dag.get_task("walk_rollout")
dag.on_failure_callback({"run_id": "manual 7", "reason": "task_failure"})
print(json.dumps([walk.reschedule, walk.poke_interval, walk.timeout, dag.has_on_failure_callback]))
"""


def test_the_walk_waits_without_a_slot_and_a_run_that_fails_is_told(home: Path, tmp_path: Path) -> None:
    folder = tmp_path / "use_cases" / "station_temperature"
    shutil.copytree(ROOT / "tests" / "use_cases" / folder.name, folder)
    with (folder / "use_case.yaml").open("a") as file:
        file.write("promotion: {steps: [shadow, 0.05, 0.25], period: 2h}\n")
    command = [sys.executable, "-c", WAITING, str(ROOT / "dags")]
    env = environment(tmp_path, folder.parent)
    answer = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
    assert json.loads(answer.stdout.splitlines()[-1]) == [True, 120.0, 7 * 3600.0, True]
    (alert,) = alerts.open_alerts("station_temperature")
    assert (alert.kind, alert.key) == ("failed promotion", "manual 7")


@pytest.mark.parametrize(("steps", "last"), [("", ["approved"]), ("shadow", ["judge_rollout"])])
def test_without_a_person_the_gate_or_the_rollout_leads_to_the_switch(
    tmp_path: Path, steps: str, last: list[str]
) -> None:
    folder = tmp_path / "use_cases" / "station_temperature"
    shutil.copytree(ROOT / "tests" / "use_cases" / folder.name, folder)
    with (folder / "use_case.yaml").open("a") as file:
        file.write(f"promotion: {{steps: [{steps}]}}\n")
    edges = describe_edges(tmp_path, folder.parent, "station_temperature.promote")
    assert [task for task, after in edges.items() if "switch" in after and task != "judge"] == last


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_the_top_of_a_dag_file_imports_only_light_modules(file: Path) -> None:
    imported = {
        (node.module if isinstance(node, ast.ImportFrom) else node.names[0].name) or ""
        for node in ast.parse(file.read_text()).body
        if isinstance(node, ast.Import | ast.ImportFrom)
    }
    light = ("airflow.", "include.contract", "include.orchestration", "datetime", "typing")
    assert all(name.startswith(light) for name in imported), imported


FIRST_RUNS = """
import json, sys
from unittest.mock import patch
import pendulum
from airflow.dag_processing.dagbag import DagBag
from airflow.serialization.serialized_objects import DagSerialization
now = pendulum.datetime(2026, 11, 23, 5, 20, tz="UTC")  # just after each of the daily and weekly schedules
first = {}
for dag_id, dag in DagBag(sys.argv[1], bundle_name="test").dags.items():
    timetable = DagSerialization.from_dict(DagSerialization.to_dict(dag)).timetable
    if hasattr(timetable, "_calc_first_run"):
        with patch("airflow.timetables.trigger.utcnow", return_value=now):
            first[dag_id] = (timetable._calc_first_run() - now).total_seconds()
print(json.dumps(first))
"""


def test_a_system_that_starts_just_after_a_schedule_waits_for_the_next(home: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-c", FIRST_RUNS, str(ROOT / "dags")]
    env = environment(tmp_path, ROOT / "include" / "use_cases")
    answer = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
    first = {
        dag_id: seconds
        for dag_id, seconds in json.loads(answer.stdout.splitlines()[-1]).items()
        if dag_id.endswith((".ingest", ".train"))
    }
    assert {"flight_delay.ingest", "flight_delay.train"} <= set(first)
    assert min(first.values()) > 0, first
