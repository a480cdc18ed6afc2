"""What is acknowledged is in the log, whatever tears, fills, fails or is killed."""

from __future__ import annotations

import errno
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest

from include.serving import segments as files
from include.serving.prediction_log import PredictionLog, read_online, scan_online
from include.settings import REPOSITORY
from tests.serving.segments import DAY, NOON, answer, line, segments, wait_for

pytestmark = pytest.mark.usefixtures("home")

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
    log.append(datetime(2013, 5, 1, 12, tzinfo=timezone.utc), line)
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
        log.append(noon, line)
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


def tear(patch: pytest.MonkeyPatch) -> None:
    real = os.write
    patch.setattr(files.os, "write", lambda descriptor, content: real(descriptor, content[:30]))


def failing(number: int) -> Callable[..., None]:
    def fail(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    return fail


def test_torn_lines_are_skipped_and_counted(home: Path, caplog: pytest.LogCaptureFixture) -> None:
    log = PredictionLog(home / "predictions", "trips")
    log.append(NOON, line(1))
    log.append(NOON, *answer("several", line(2), line(3)))
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
    log.append(NOON, line(1))
    with monkeypatch.context() as patch:
        tear(patch)
        with pytest.raises(OSError, match="only 30 of"):
            log.append(NOON, line(2))
    log.append(NOON, line(3))
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
            log.append(NOON, line(1))
    log.append(NOON, line(2))
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
                log.append(NOON, line(number))
                acknowledged.append(number)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert 10 < len(acknowledged) == 100 - log.failures < 100
    log.append(NOON, line(100))
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
        log.append(datetime.now(UTC), line(number))
    assert synced == []
    wait_for(lambda: bool(synced))
    assert 0.2 <= synced[0] - start < 5
    assert len(synced) == 1
    log.close()


def test_with_no_seconds_each_answer_is_on_the_disk_before_it_is_sent(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = PredictionLog(home / "predictions", "trips", sync=0)
    log.append(NOON, line(1))
    with monkeypatch.context() as patch:
        patch.setattr(files.os, "fdatasync", failing(errno.EIO))
        with pytest.raises(OSError, match="Input/output error"):
            log.append(NOON, line(2))
    log.append(NOON, line(3))
    assert read_online("trips", NOON, NOON + DAY)["trip_id"].to_list() == [1, 3]


def test_after_a_sync_that_failed_the_next_answers_wait_for_theirs(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = datetime.now(UTC)
    log = PredictionLog(home / "predictions", "trips", sync=0.01)
    with monkeypatch.context() as patch:
        patch.setattr(files.os, "fdatasync", failing(errno.EIO))
        log.append(now, line(1))
        wait_for(lambda: log.failures > 0)
        with pytest.raises(OSError, match="Input/output error"):
            log.append(now, line(2))
    log.append(now, line(3))
    log.close()
    frame, torn = scan_online("trips", now - DAY, now + DAY)
    assert (frame["trip_id"].to_list(), torn) == ([1, 3], 0)


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
