"""Processes in the background: started once, found again, ended with all their children, and nobody else's."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from include.local.processes import ProcessError, Processes

SLEEP = "import time; print('started', flush=True); time.sleep(60)"
PARENT = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], start_new_session={session})
print(child.pid, flush=True)
time.sleep(60)
"""
STUBBORN = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(60)"
)


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Processes]:
    known = Processes(run=tmp_path / "a home" / "run", logs=tmp_path / "a home" / "logs")
    yield known
    known.stop([file.stem for file in known.run.glob("[!.]*.json")], grace=0.1)


def start(processes: Processes, name: str, code: str) -> int:
    record = processes.start(name, [sys.executable, "-c", code], env=dict(os.environ), cwd=Path.cwd())
    return record.pid


def first_line(processes: Processes, name: str) -> str:
    for _ in range(200):
        if text := processes.tail(name):
            return text.splitlines()[0]
        time.sleep(0.05)
    raise AssertionError(f"{name} has printed nothing")


def ended(pid: int) -> bool:
    """Ended, though perhaps nobody has asked for its exit status yet."""
    return not psutil.pid_exists(pid) or bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)


def test_a_started_process_is_found_and_has_a_log(processes: Processes) -> None:
    pid = start(processes, "sleeper", SLEEP)

    assert first_line(processes, "sleeper") == "started"
    assert processes.find("sleeper").pid == pid  # type: ignore[union-attr]
    assert os.getsid(pid) == pid  # closing the terminal does not end it


def test_starting_what_runs_changes_nothing(processes: Processes) -> None:
    assert start(processes, "sleeper", SLEEP) == start(processes, "sleeper", SLEEP)


def test_stop_ends_the_process_and_its_record(processes: Processes) -> None:
    pid = start(processes, "sleeper", SLEEP)

    assert processes.stop(["sleeper", "unknown"]) == ["sleeper"]
    assert processes.find("sleeper") is None
    assert ended(pid)
    assert processes.stop(["sleeper"]) == []


@pytest.mark.parametrize("session", [False, True], ids=["same session", "session of its own"])
def test_stop_ends_children(processes: Processes, session: bool) -> None:
    start(processes, "parent", PARENT.format(session=session))
    child = int(first_line(processes, "parent"))

    processes.stop(["parent"], grace=0.2)

    assert ended(child)


def test_children_whose_parent_was_killed_are_ended(processes: Processes) -> None:
    parent = start(processes, "parent", PARENT.format(session=False))
    child = int(first_line(processes, "parent"))
    os.kill(parent, signal.SIGKILL)
    os.waitpid(parent, 0)
    assert processes.find("parent") is None
    assert not ended(child)

    assert processes.stop(["parent"], grace=0.2) == ["parent"]

    assert ended(child)


def test_a_process_that_ignores_the_request_is_killed(processes: Processes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("include.local.processes.TERMINATED_WITHIN", 0.2)
    pid = start(processes, "stubborn", STUBBORN)
    assert first_line(processes, "stubborn") == "deaf"

    assert processes.stop(["stubborn"], grace=0.2) == ["stubborn"]

    assert processes.find("stubborn") is None
    assert ended(pid)


def test_another_process_with_a_reused_id_is_left_alone(processes: Processes) -> None:
    start(processes, "sleeper", SLEEP)
    record = processes.record("sleeper")
    assert record is not None
    processes.stop(["sleeper"])
    stranger = subprocess.Popen([sys.executable, "-c", SLEEP], stdout=subprocess.DEVNULL, start_new_session=True)
    try:
        reused = dataclasses.replace(record, pid=stranger.pid, create_time=record.create_time - 1000)
        (processes.run / "sleeper.json").write_text(json.dumps(dataclasses.asdict(reused)))

        assert processes.find("sleeper") is None
        assert processes.stop(["sleeper"]) == []
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_waiting_ends_at_once_with_the_log_when_a_process_dies(processes: Processes) -> None:
    start(processes, "sleeper", SLEEP)
    start(processes, "broken", "print('line one'); raise SystemExit('the reason')")
    began = time.monotonic()

    with pytest.raises(ProcessError, match=r"broken has ended(.|\n)*the reason"):
        processes.wait_until({"sleeper": lambda: False, "broken": lambda: False}, timeout=30)

    assert time.monotonic() - began < 10


def test_waiting_ends_with_the_log_when_the_time_is_over(processes: Processes) -> None:
    start(processes, "sleeper", SLEEP)
    assert first_line(processes, "sleeper") == "started"

    with pytest.raises(ProcessError, match=r"not ready after 0 s: sleeper(.|\n)*started"):
        processes.wait_until({"sleeper": lambda: False}, timeout=0.1)


def test_waiting_returns_when_all_are_healthy(processes: Processes) -> None:
    start(processes, "sleeper", SLEEP)

    processes.wait_until({"sleeper": lambda: "started" in processes.tail("sleeper")}, timeout=10)


def test_the_log_of_the_start_before_is_kept(processes: Processes) -> None:
    start(processes, "once", "print('first')")
    assert first_line(processes, "once") == "first"
    while processes.find("once"):
        time.sleep(0.05)
    start(processes, "once", "print('second')")

    assert first_line(processes, "once") == "second"
    assert "first" in (processes.logs / "once.log.1").read_text()
