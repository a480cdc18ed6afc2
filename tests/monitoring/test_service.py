"""The online service in a span of time, from its log's lines."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from include.monitoring.service import measure, serving_processes

START = datetime(2013, 3, 1, tzinfo=UTC)
END = START + timedelta(days=1)


def line(request, minute, *, seconds=None, features_from="store"):
    found = {"request_id": request, "time": (START + timedelta(minutes=minute)).isoformat()}
    return found | {"features_from": features_from} | ({} if seconds is None else {"seconds": seconds})


def test_requests_rows_and_latency_of_the_span(tmp_path: Path) -> None:
    lines = [line(f"r{number}", number, seconds=number / 1000) for number in range(100)]
    lines += [line("r99", 99, seconds=0.099), line("before", -1), line("after", 24 * 60)]
    found = measure(lines, START, END, tmp_path)
    assert (found.requests, found.predictions) == (100, 101)
    assert found.latency["p50"] == pytest.approx(0.0495)
    assert found.latency["p99"] == pytest.approx(0.099, abs=0.001)
    assert found.busiest == pytest.approx(5 / 300)
    assert 0 < found.disk_free < 1


def test_what_is_not_known_is_left_out_with_the_reason(tmp_path: Path) -> None:
    found = measure([line("a", 1, features_from="defaults")], START, END, tmp_path)
    assert found.latency == {}
    assert "latency: the lines of the prediction log have no seconds" in found.notes
    assert found.from_defaults == 1
    assert "no online request in these partitions" in measure([], START, END, tmp_path).notes


def test_a_serving_process_is_found_by_its_command() -> None:
    before = serving_processes()[0]
    command = [sys.executable, "-c", "import time; time.sleep(60)", "-m", "include.serving"]
    process = subprocess.Popen(command)
    try:
        found, why = serving_processes()
        assert found is not None and not why
        assert found.processes == (before.processes if before else 0) + 1
        assert found.memory_mib > (before.memory_mib if before else 0) * 0.5
    finally:
        process.kill()
        process.wait()
