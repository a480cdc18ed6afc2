"""Predictions that nobody has looked at are an alert, until somebody has."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from include import alerts
from include.contract.loading import Folder
from include.files import write_json
from include.monitoring import observation
from include.notifications import overdue
from include.serving import batch_log

NOW = datetime(2013, 2, 1, 12, tzinfo=UTC)


def predicted(use_case: Folder, key: str, ago: timedelta) -> None:
    path = batch_log.file(use_case.config.name, key)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"")
    os.utime(path, ((NOW - ago).timestamp(),) * 2)


def watched(use_case: Folder, key: str) -> None:
    write_json(observation.record_file(use_case.config.name, key), {})


def found(use_case: Folder) -> list[str]:
    overdue.check(use_case, NOW)
    return [each.key for each in alerts.open_alerts(use_case.config.name) if each.kind == "late monitor"]


def test_without_predictions_nobody_has_to_look(stations: Folder, home: Path) -> None:
    assert found(stations) == []


def test_predictions_may_wait_for_a_while(stations: Folder) -> None:
    predicted(stations, "2013-01-21", timedelta(hours=2))
    assert found(stations) == []


def test_predictions_that_nobody_has_watched_are_an_alert_until_somebody_has(stations: Folder) -> None:
    predicted(stations, "2013-01-14", timedelta(days=8))
    predicted(stations, "2013-01-21", timedelta(hours=3))
    watched(stations, "2013-01-14")
    assert found(stations) == ["2013-01-21"] == found(stations)
    assert len(alerts.changes(stations.config.name)) == 1
    watched(stations, "2013-01-21")
    assert found(stations) == []


def test_the_alert_goes_on_with_newer_predictions(stations: Folder) -> None:
    predicted(stations, "2013-01-14", timedelta(days=8))
    assert found(stations) == ["2013-01-14"]
    predicted(stations, "2013-01-21", timedelta(hours=1))
    assert found(stations) == []
    predicted(stations, "2013-01-21", timedelta(hours=3))
    assert found(stations) == ["2013-01-21"]


def test_it_says_when_and_where_to_look() -> None:
    assert overdue.lateness(NOW, NOW + timedelta(hours=1), timedelta(hours=1)) is None
    told = overdue.lateness(NOW, NOW + timedelta(hours=2), timedelta(hours=1))
    assert told is not None and "2013-02-01T12:00+00:00" in told and "runs of the monitor" in told


@pytest.fixture(autouse=True)
def _home(home: Path) -> None:
    """Every test has its own stores."""
