"""A promotion whose run has failed is told, once, until the next promotion."""

from __future__ import annotations

from include import alerts
from include.contract.loading import Folder
from include.deployment import broken_off, rollout
from tests.deployment.conftest import NAME


def test_it_names_the_version_and_what_is_still_being_tried(use_case: Folder, three: tuple[int, int, int]) -> None:
    third = three[2]
    run = f"gate {third}"
    rollout.start(use_case, third, "canary", 0.1, origin=run)
    broken_off.report(NAME, origin=run, why="task_failure")
    (alert,) = alerts.open_alerts(NAME)
    assert (alert.kind, alert.key) == ("failed promotion", str(third))
    assert alert.message.startswith(f"the run {run} has failed: task_failure; version {third} is still being tried")
    broken_off.resolve(NAME)
    assert not alerts.open_alerts(NAME)


def test_what_is_told_already_is_left_as_it_was_said(use_case: Folder, three: tuple[int, int, int]) -> None:
    alerts.raise_alert(NAME, "failed promotion", str(three[2]), "taken back")
    broken_off.report(NAME, origin=f"gate {three[2]}", why="task_failure")
    (alert,) = alerts.open_alerts(NAME)
    assert alert.message == "taken back"


def test_before_the_gate_has_judged_it_names_the_run(use_case: Folder) -> None:
    broken_off.report(NAME, origin="manual 7", why="task_failure")
    (alert,) = alerts.open_alerts(NAME)
    assert (alert.key, alert.message) == ("manual 7", "the run manual 7 has failed: task_failure")


def test_other_alerts_stay_open(home: object) -> None:
    alerts.raise_alert(NAME, "late data", "2013-01-07", "no data")
    broken_off.report(NAME, origin="run", why="task_failure")
    broken_off.resolve(NAME)
    assert [each.kind for each in alerts.open_alerts(NAME)] == ["late data"]
