"""What Prometheus reads of the models, from real stores and over HTTP."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import psutil
import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from include import alerts
from include.contract.loading import Folder
from include.deployment import ledger
from include.exporter.collector import ModelState
from include.settings import REPOSITORY, get_settings
from tests.pages import observations

NAME = "station_temperature"


def read(text: str | None = None) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """The values by name and labels, the use case's left out."""
    registry = CollectorRegistry()
    registry.register(ModelState())
    families = text_string_to_metric_families(text or generate_latest(registry).decode())
    return {
        (sample.name, tuple(sorted((k, v) for k, v in sample.labels.items() if k != "use_case"))): sample.value
        for family in families
        for sample in family.samples
    }


def test_without_anything_the_alerts_are_zero_and_the_rest_is_left_out(stations: Folder) -> None:
    found = read()
    assert found["evergreen_alerts_open", (("kind", "late data"), ("severity", "warning"))] == 0
    assert found["evergreen_unreadable", ()] == found["evergreen_broken_use_cases", ()] == 0
    assert {name for name, _ in found} == {
        "evergreen_alerts_open", "evergreen_unreadable", "evergreen_broken_use_cases", "evergreen_export_seconds",
    }  # fmt: skip


def test_what_is_in_production_is_told_since_it_came_there(stations: Folder) -> None:
    first = ledger.append(NAME, None, champion=1, previous=None, kind="promotion")
    second = ledger.append(NAME, first, champion=2, previous=1, kind="promotion")
    ledger.append(NAME, second, champion=2, previous=1, kind="rollout", challenger=3, mode="canary", weight=0.25)
    found = read()
    assert found["evergreen_champion_info", (("version", "2"),)] == 1
    since = found["evergreen_champion_since_timestamp_seconds", ()]
    assert since == pytest.approx(time.time(), abs=60)
    assert found["evergreen_generation", ()] == 3
    assert found["evergreen_rollout_weight", (("mode", "canary"), ("version", "3"))] == 0.25


def test_the_newest_look_of_the_monitor_is_told(stations: Folder) -> None:
    *_, last = observations.keep(NAME, 3, quality={"worse_than_promised": True}, quarantined=7)
    found = read()
    assert ("evergreen_observed_timestamp_seconds", (("partition", last),)) in found
    metric = (("metric", "mae"),)
    low, high = found["evergreen_quality_low", metric], found["evergreen_quality_high", metric]
    assert low < found["evergreen_quality", metric] < high
    assert found["evergreen_quality_promised", metric] == 0.46
    assert found["evergreen_quality_worse_than_promised", ()] == 1
    assert found["evergreen_label_coverage_ratio", ()] == 0.95
    assert (found["evergreen_drifted_features", ()], found["evergreen_watched_features", ()]) == (1, 5)
    assert found["evergreen_prediction_drift", ()] < found["evergreen_prediction_drift_limit", ()]
    assert (found["evergreen_rows_landed", ()], found["evergreen_rows_quarantined", ()]) == (1000, 7)


def test_open_alerts_are_counted_by_kind(stations: Folder) -> None:
    for key in ("1", "2"):
        alerts.raise_alert(NAME, "refused batch", key, "empty")
    alerts.resolve(NAME, "refused batch", "1")
    assert read()["evergreen_alerts_open", (("kind", "refused batch"), ("severity", "critical"))] == 1


def test_a_broken_store_is_counted_and_hides_no_other(stations: Folder) -> None:
    alerts.raise_alert(NAME, "late data", "1", "late")
    ledger.append(NAME, None, champion=1, previous=None, kind="promotion")
    path = get_settings().deployments / f"{NAME}.jsonl"
    path.write_bytes(path.read_bytes()[:-20] + b"\n")
    found = read()
    assert found["evergreen_unreadable", ()] == 1
    assert found["evergreen_alerts_open", (("kind", "late data"), ("severity", "warning"))] == 1


def test_the_process_answers_and_ends_when_it_is_asked(home: Path) -> None:
    alerts.raise_alert(NAME, "late data", "1", "late")
    command = [sys.executable, "-m", "include.exporter", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=REPOSITORY) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("exporter: http://127.0.0.1:")
        (listening,) = [each for each in psutil.Process(process.pid).net_connections() if each.status == "LISTEN"]
        answer = httpx.get(f"http://127.0.0.1:{listening.laddr.port}/metrics", timeout=60)
        found = read(answer.text)
        assert found["evergreen_alerts_open", (("kind", "late data"), ("severity", "warning"))] == 1
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == 0
