"""Broken off, killed, or beside readers and writers: compaction loses nothing and does nothing twice."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from include.contract.loading import read_config
from include.contract.use_case import UseCase
from include.serving import compaction
from include.serving import segments as files
from include.serving.compaction import compact
from include.serving.prediction_log import PredictionLog
from include.settings import REPOSITORY, get_settings
from tests.serving.compacted import FILE, NOON, TODAY, line, of, read, write


@pytest.fixture
def use_case(home: Path) -> UseCase:
    return read_config(FILE)


STEPS = {
    "before a row is written": (compaction, "_table"),
    "before the Parquet file is in place": (compaction, "_sync"),
    "before its name is on the disk": (files, "sync_folder"),
    "before the segment is removed": (Path, "unlink"),
}


@pytest.mark.parametrize("step", STEPS)
def test_it_goes_on_where_it_was_broken_off(use_case: UseCase, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    write(use_case)
    before = read(use_case)

    def broken(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(*STEPS[step], broken)
        with pytest.raises(KeyboardInterrupt):
            compact(use_case, TODAY)
        assert read(use_case) == before
    compact(use_case, TODAY)
    assert read(use_case) == before
    assert of(use_case, ".jsonl") == []


COMPACTOR = """
import sys
from datetime import date
from pathlib import Path
from include.contract.loading import read_config
from include.serving.compaction import compact
use_case = read_config(Path(sys.argv[1]))
print("ready", flush=True)
sys.stdin.readline()
compact(use_case, date(2013, 5, 3))
"""


def test_killed_at_any_moment_it_loses_nothing_and_does_nothing_twice(use_case: UseCase) -> None:
    write(use_case, 2000, size=5000)
    before = read(use_case)
    chance = random.Random(1)
    for compacted in (0, 1, 5, 20):
        process = subprocess.Popen(
            [sys.executable, "-c", COMPACTOR, str(FILE)],
            cwd=REPOSITORY,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdin is not None and process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.stdin.write("go\n")
        process.stdin.flush()
        end = time.monotonic() + 30
        while len(of(use_case, ".parquet")) < compacted and time.monotonic() < end:
            time.sleep(0.001)
        time.sleep(chance.uniform(0, 0.03))
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        assert read(use_case) == before
    assert of(use_case, ".parquet") and of(use_case, ".jsonl")
    compact(use_case, TODAY)
    assert read(use_case) == before
    assert list(files.folder(use_case.name).glob("*/.*")) == []


def test_readers_beside_it_see_every_line_once(use_case: UseCase) -> None:
    """Servers write, segments are compacted, and each reading has all that was acknowledged before it began."""
    acknowledged = [0]
    done = threading.Event()

    def serve() -> None:
        log = PredictionLog(get_settings().predictions, use_case.name, segment_bytes=3000, sync=0.01)
        while not done.is_set():
            log.append(NOON, line(acknowledged[0]))
            acknowledged[0] += 1
            time.sleep(0.0005)
        log.close()

    def compact_always() -> None:
        while not done.is_set():
            compact(use_case, TODAY)

    threads = [threading.Thread(target=serve), threading.Thread(target=compact_always)]
    for thread in threads:
        thread.start()
    try:
        end = time.monotonic() + 4
        while time.monotonic() < end:
            least = acknowledged[0]
            found = [int(each["request_id"][1:]) for each in read(use_case)]
            assert sorted(found) == list(range(len(found)))
            assert len(found) >= least
    finally:
        done.set()
        for thread in threads:
            thread.join()
    assert len(of(use_case, ".parquet")) > 3
    assert len(read(use_case)) == acknowledged[0] > 100
