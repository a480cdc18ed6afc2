from __future__ import annotations

import errno
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from include.serving import segments as files
from include.serving.prediction_log import PredictionLog, read_online, scan_online
from include.settings import REPOSITORY

pytestmark = pytest.mark.usefixtures("home")

NOON = datetime(2013, 5, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)

WRITER = """
import sys
from datetime import datetime, timezone
from pathlib import Path
from include.serving.prediction_log import PredictionLog

log = PredictionLog(Path(sys.argv[1]), "trips")
number = 0
while True:
    line = {"request_id": str(number), "entity": {"trip_id": number}, "event_timestamp": None, "features": {"a": 1.0},
            "prediction": 0.5, "model_version": 1, "run_id": "r"}
    log.append(datetime(2013, 5, 1, 12, tzinfo=timezone.utc), [line])
    sys.stdout.write(f"{number}\\n")
    sys.stdout.flush()
    number += 1
"""


FILLER = """
import json, os
from datetime import datetime, timezone
from pathlib import Path
from include.serving.prediction_log import PredictionLog, scan_online
from include.settings import get_settings

noon = datetime(2013, 5, 1, 12, tzinfo=timezone.utc)
root = get_settings().predictions
log, acknowledged, refused, before = PredictionLog(root, "trips"), [], 0, 0
(root / "ballast").write_bytes(b"x" * 20_000)
for number in range(200):
    line = {"request_id": str(number), "entity": {"trip_id": number}, "event_timestamp": None,
            "features": {"a": "b" * (number * 37 % 400)}, "prediction": 0.5, "model_version": 1, "run_id": "r"}
    if number == 150:
        before = len(acknowledged)
        (root / "ballast").unlink()
    try:
        log.append(noon, [line])
        acknowledged.append(str(number))
    except OSError:
        refused += 1
frame, torn = scan_online("trips", noon, noon.replace(hour=13))
print(json.dumps({"acknowledged": acknowledged, "refused": refused, "failures": log.failures, "before": before,
                  "logged": frame["request_id"].to_list(), "torn": torn}))
"""
MOUNTS = (
    shutil.which("unshare") is not None
    and not subprocess.run(
        ["unshare", "-rm", "sh", "-c", "mount -t tmpfs -o size=8k none /tmp"], capture_output=True, check=False
    ).returncode
)


def line(number: int, **features: Any) -> dict[str, Any]:
    return {
        "request_id": f"r{number}",
        "model_version": 3,
        "run_id": "run",
        "entity": {"trip_id": number},
        "event_timestamp": NOON,
        "features": features,
        "prediction": number / 10,
    }


def tear(patch: pytest.MonkeyPatch) -> None:
    real = os.write
    patch.setattr(files.os, "write", lambda descriptor, content: real(descriptor, content[:30]))


def failing(number: int) -> Callable[..., None]:
    def fail(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    return fail


def wait_for(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def is_complete(path: Path) -> bool:
    with files.complete(path) as stream:
        return stream is not None


def segments(home: Path) -> list[Path]:
    return sorted((home / "predictions" / "trips" / "online").rglob("*.jsonl"))


def test_what_is_written_is_read(home: Path) -> None:
    log = PredictionLog(home / "predictions", "trips")
    log.append(NOON, [line(1, distance=5, carrier="AA"), line(2, distance=5.5, carrier=None)])
    log.append(NOON + DAY, [{**line(3, distance=None, carrier="UA", wind=1), "entity": None, "event_timestamp": None}])
    log.close()
    frame = read_online("trips", NOON, NOON + 2 * DAY)
    assert frame.schema == {
        "request_id": pl.String,
        "trip_id": pl.Int64,
        "event_timestamp": pl.Datetime("us", "UTC"),
        "prediction": pl.Float64,
        "model_version": pl.Int64,
        "run_id": pl.String,
        "time": pl.Datetime("us", "UTC"),
        "distance": pl.Float64,
        "carrier": pl.String,
        "wind": pl.Int64,
    }
    assert frame["trip_id"].to_list() == [1, 2, None]
    assert frame["distance"].to_list() == [5.0, 5.5, None]
    assert frame["time"].to_list() == [NOON, NOON, NOON + DAY]


def test_a_time_span_starts_with_its_start_and_ends_before_its_end(home: Path) -> None:
    log = PredictionLog(home / "predictions", "trips")
    for hours in range(30):
        log.append(NOON + timedelta(hours=hours), [line(hours)])
    frame = read_online("trips", NOON + timedelta(hours=3), NOON + timedelta(hours=20))
    assert frame["trip_id"].to_list() == list(range(3, 20))
    assert read_online("trips", NOON - 9 * DAY, NOON - 8 * DAY).height == 0
    assert read_online("other", NOON, NOON + DAY).schema["prediction"] == pl.Float64


def test_segments_are_of_one_day_and_limited(home: Path) -> None:
    log = PredictionLog(home / "predictions", "trips", segment_bytes=1000)
    for number in range(20):
        log.append(NOON + timedelta(hours=number), [line(number)])
    assert {path.parent.name for path in segments(home)} == {"2013-05-01", "2013-05-02"}
    assert len(segments(home)) > 4
    assert all(path.stat().st_size <= 1000 for path in segments(home))
    assert read_online("trips", NOON, NOON + DAY)["trip_id"].to_list() == list(range(20))


def test_torn_lines_are_skipped_and_counted(home: Path, caplog: pytest.LogCaptureFixture) -> None:
    log = PredictionLog(home / "predictions", "trips")
    log.append(NOON, [line(1), line(2)])
    [path] = segments(home)
    path.write_bytes(path.read_bytes()[:-20])
    frame, torn = scan_online("trips", NOON, NOON + DAY)
    assert (frame["trip_id"].to_list(), torn) == ([1], 1)
    assert read_online("trips", NOON, NOON + DAY).height == 1
    assert "skipped 1 torn lines" in caplog.text


def test_a_line_that_is_not_written_whole_is_an_error_and_is_cut_off(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = PredictionLog(home / "predictions", "trips")
    log.append(NOON, [line(1)])
    with monkeypatch.context() as patch:
        tear(patch)
        with pytest.raises(OSError, match="only 30 of"):
            log.append(NOON, [line(2)])
    log.append(NOON, [line(3)])
    frame, torn = scan_online("trips", NOON, NOON + DAY)
    assert (frame["trip_id"].to_list(), torn, log.failures, len(segments(home))) == ([1, 3], 0, 1, 1)


def test_a_torn_line_that_cannot_be_cut_off_is_the_last_of_its_file(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = PredictionLog(home / "predictions", "trips")
    with monkeypatch.context() as patch:
        tear(patch)
        patch.setattr(files.os, "ftruncate", failing(errno.EIO))
        with pytest.raises(OSError, match="only 30 of"):
            log.append(NOON, [line(1)])
    log.append(NOON, [line(2)])
    frame, torn = scan_online("trips", NOON, NOON + DAY)
    assert (frame["trip_id"].to_list(), torn, log.failures) == ([2], 1, 1)


def test_a_limit_of_the_system_stops_the_log_until_it_is_lifted(home: Path) -> None:
    log = PredictionLog(home / "predictions", "trips")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    acknowledged = []
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, hard))
    try:
        for number in range(100):
            with suppress(OSError):
                log.append(NOON, [line(number)])
                acknowledged.append(number)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert 10 < len(acknowledged) == 100 - log.failures < 100
    log.append(NOON, [line(100)])
    frame, torn = scan_online("trips", NOON, NOON + DAY)
    assert (frame["trip_id"].to_list(), torn) == ([*acknowledged, 100], 0)


@pytest.mark.skipif(not MOUNTS, reason="a file system of a few kilobytes cannot be mounted here")
def test_a_full_disk_stops_the_log_until_there_is_space(tmp_path: Path) -> None:
    """Every answer is acknowledged and in the log, or neither, though the disk is full twice."""
    (tmp_path / "predictions").mkdir()
    script = f'mount -t tmpfs -o size=40k none "{tmp_path}/predictions" && exec "{sys.executable}" -c "$FILLER"'
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", script],
        cwd=REPOSITORY,
        env={**os.environ, "FILLER": FILLER, "EVERGREEN_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    found = json.loads(done.stdout)
    assert found["refused"] == found["failures"] > 0
    assert 0 < found["before"] < len(found["acknowledged"]) - 10
    assert (found["logged"], found["torn"]) == (found["acknowledged"], 0)


def test_what_was_written_is_on_the_disk_within_the_bound(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[float] = []
    real = os.fdatasync

    def fdatasync(descriptor: int) -> None:
        real(descriptor)
        if Path(f"/proc/self/fd/{descriptor}").readlink().is_relative_to(home):  # others may still be at work
            synced.append(time.monotonic())

    monkeypatch.setattr(files.os, "fdatasync", fdatasync)
    log = PredictionLog(home / "predictions", "trips", sync=0.2)
    start = time.monotonic()
    for number in range(50):
        log.append(datetime.now(UTC), [line(number)])
    assert synced == []
    wait_for(lambda: bool(synced))
    assert 0.2 <= synced[0] - start < 5
    assert len(synced) == 1
    log.close()


def test_with_no_seconds_each_answer_is_on_the_disk_before_it_is_sent(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = PredictionLog(home / "predictions", "trips", sync=0)
    log.append(NOON, [line(1)])
    with monkeypatch.context() as patch:
        patch.setattr(files.os, "fdatasync", failing(errno.EIO))
        with pytest.raises(OSError, match="Input/output error"):
            log.append(NOON, [line(2)])
    log.append(NOON, [line(3)])
    assert read_online("trips", NOON, NOON + DAY)["trip_id"].to_list() == [1, 3]


def test_after_a_sync_that_failed_the_next_answers_wait_for_theirs(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = datetime.now(UTC)
    log = PredictionLog(home / "predictions", "trips", sync=0.01)
    with monkeypatch.context() as patch:
        patch.setattr(files.os, "fdatasync", failing(errno.EIO))
        log.append(now, [line(1)])
        wait_for(lambda: log.failures > 0)
        with pytest.raises(OSError, match="Input/output error"):
            log.append(now, [line(2)])
    log.append(now, [line(3)])
    log.close()
    frame, torn = scan_online("trips", now - DAY, now + DAY)
    assert (frame["trip_id"].to_list(), torn) == ([1, 3], 0)


def test_each_answer_is_in_the_folder_of_its_day_though_threads_cross_midnight(home: Path) -> None:
    """A thread that took the time before midnight may write after one that took it later."""
    midnight = datetime(2013, 5, 2, tzinfo=UTC)
    logs = [PredictionLog(home / "predictions", "trips") for _ in range(2)]

    def write(worker: int) -> None:
        for number in range(50):
            moment = midnight + timedelta(microseconds=(-1) ** (worker + number // 7))
            logs[worker % 2].append(moment, [line(worker * 50 + number)])

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(4)))
    before, after = (read_online("trips", midnight + DAY * back, midnight + DAY * (back + 1)) for back in (-1, 0))
    assert min(before.height, after.height) > 50
    assert sorted([*before["trip_id"].to_list(), *after["trip_id"].to_list()]) == list(range(200))
    for path in segments(home):
        times = [json.loads(text)["time"][:10] for text in path.read_text().splitlines()]
        assert set(times) <= {path.parent.name}


def test_a_server_that_is_asked_nothing_lets_go_of_yesterdays_segment(home: Path) -> None:
    log = PredictionLog(home / "predictions", "trips", sync=0.05)
    log.append(datetime.now(UTC) - DAY, [line(1)])
    [path] = segments(home)
    with files.complete(path) as stream:
        assert stream is None
    wait_for(lambda: is_complete(path))
    log.append(datetime.now(UTC), [line(2)])
    assert [is_complete(each) for each in segments(home)] == [True, False]
    log.close()


def test_threads_and_processes_share_a_folder(home: Path) -> None:
    logs = [PredictionLog(home / "predictions", "trips", segment_bytes=5000) for _ in range(2)]

    def write(log: PredictionLog, first: int) -> None:
        for number in range(first, first + 200):
            log.append(NOON, [line(number)])

    threads = [threading.Thread(target=write, args=(logs[each % 2], each * 200)) for each in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    frame, torn = scan_online("trips", NOON, NOON + DAY)
    assert (sorted(frame["trip_id"].to_list()), torn) == (list(range(800)), 0)


@pytest.mark.parametrize("pause", [50, 400, 3000])
def test_a_killed_writer_loses_nothing_that_it_acknowledged(home: Path, pause: int) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(home / "predictions")], cwd=REPOSITORY, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    acknowledged = [process.stdout.readline() for _ in range(pause)]
    os.kill(process.pid, signal.SIGKILL)
    acknowledged += process.stdout.readlines()
    process.wait()
    whole = {text.strip() for text in acknowledged if text.endswith("\n")}
    frame, _ = scan_online("trips", NOON, NOON + DAY)
    assert len(whole) >= pause
    assert whole <= set(frame["request_id"].to_list())
