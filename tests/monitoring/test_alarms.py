"""A look of the monitor tells of what is wrong once, and says when it is over."""

from __future__ import annotations

from typing import Any

from include import alerts
from include.contract.loading import Folder
from include.files import write_json
from include.monitoring import alarms
from include.monitoring.observation import Observation, record_file
from tests.pages import observations

NAME = "station_temperature"
WORSE = {"worse_than_promised": True, "reasons": ["mae 0.6 is 0.14 worse than the promised 0.46"]}


def look(partition: str, version: int = 1, *, worse: bool = False, moved: bool = False, asked: bool = False) -> None:
    more: dict[str, Any] = {"quality": WORSE} if worse else {}
    if moved:
        more["drift"] = {"prediction": observations.feature("prediction", drifted=True)}
    if asked:
        more["decision"] = {"action": "retrain", "trigger": "prediction_drift"}
    content = observations.record(NAME, partition, model_version=version, **more)
    write_json(record_file(NAME, partition), content)
    alarms.tell(Observation.from_dict(content))


def found() -> list[tuple[str, str, str]]:
    return [(each.kind, each.key, each.message) for each in alerts.open_alerts(NAME)]


def test_what_is_wrong_is_told_once_and_resolved_when_it_is_over(stations: Folder) -> None:
    look("2013-01-07")
    assert found() == []
    look("2013-01-14", worse=True)
    told = ("quality loss", "version 1", "since 2013-01-14: mae 0.6 is 0.14 worse than the promised 0.46")
    assert found() == [told]
    look("2013-01-21", worse=True, moved=True)
    assert found() == [told]  # it has not lasted
    look("2013-01-22", worse=True, moved=True, asked=True)
    assert found()[0] == told and [kind for kind, _, _ in found()] == ["quality loss", "prediction drift"]
    look("2013-01-28", moved=True)
    assert [kind for kind, _, _ in found()] == ["prediction drift"]
    look("2013-02-04")
    assert found() == []


def test_another_champion_is_judged_by_itself(stations: Folder) -> None:
    look("2013-01-14", worse=True)
    look("2013-01-21", version=2, worse=True)
    assert [key for _, key, _ in found()] == ["version 2"]


def test_an_older_partition_says_nothing_of_now(stations: Folder) -> None:
    look("2013-01-21")
    look("2013-01-14", worse=True)
    assert found() == []


def test_looking_again_changes_nothing(stations: Folder) -> None:
    for _ in range(2):
        look("2013-01-14", worse=True)
    assert len(alerts.changes(NAME)) == 1


def test_alerts_of_others_stay(stations: Folder) -> None:
    alerts.raise_alert(NAME, "late data", "2013-01-21", "late")
    look("2013-01-14")
    assert [kind for kind, _, _ in found()] == ["late data"]
