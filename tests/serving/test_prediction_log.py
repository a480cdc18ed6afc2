from __future__ import annotations

import json
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from include.serving import segments as files
from include.serving.log_lines import DEFINES
from include.serving.prediction_log import PredictionLog, online_lines, read_online, scan_online
from tests.serving.segments import DAY, NOON, answer, is_complete, line, segments, wait_for

pytestmark = pytest.mark.usefixtures("home")


def test_what_is_written_is_read(home: Path) -> None:
    log = PredictionLog(home / "predictions", "trips")
    log.append(NOON, line(1, distance=5, carrier="AA"))
    log.append(NOON, line(2, distance=5.5, carrier=None))
    log.append(NOON + DAY, {**line(3, distance=None, carrier="UA", wind=1), "entity": None, "event_timestamp": None})
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


def test_names_are_given_once_in_a_file(home: Path) -> None:
    log = PredictionLog(home / "predictions", "trips", segment_bytes=2500)
    rows = [line(1, distance=5, carrier="AA"), line(2, distance=None, carrier="UA")]
    for number in range(20):
        log.append(NOON, *answer(f"both {number}", *rows))
        log.append(NOON, *answer(f"one {number}", line(3, wind=number)))
    log.append(NOON + DAY, *answer("later", rows[1]))
    log.close()
    paths = segments(home)
    assert len(paths) > 3
    for path in paths:
        given = [text for text in path.read_bytes().splitlines() if text.startswith(DEFINES)]
        assert len(set(given)) == len(given) <= 2
    found = list(online_lines("trips", NOON.date(), (NOON + DAY).date()))
    assert [each["features"] for each in found[:3]] == [*(row["features"] for row in rows), {"wind": 0}]
    assert (found[-1]["request_id"], found[-1]["features"]) == ("later", rows[1]["features"])
    assert len(found) == 61


def test_names_are_given_again_where_their_line_was_cut_off(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = PredictionLog(home / "predictions", "trips")
    written, asked = os.write, answer("first", line(1, distance=5))
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", lambda descriptor, content: written(descriptor, content[:40]))
        with pytest.raises(OSError, match="only 40 of"):
            log.append(NOON, *asked)
    log.append(NOON, *asked)
    log.close()
    frame, torn = scan_online("trips", NOON, NOON + DAY)
    assert (frame["distance"].to_list(), torn) == ([5], 0)


def test_a_time_span_starts_with_its_start_and_ends_before_its_end(home: Path) -> None:
    log = PredictionLog(home / "predictions", "trips")
    for hours in range(30):
        log.append(NOON + timedelta(hours=hours), line(hours))
    frame = read_online("trips", NOON + timedelta(hours=3), NOON + timedelta(hours=20))
    assert frame["trip_id"].to_list() == list(range(3, 20))
    assert read_online("trips", NOON - 9 * DAY, NOON - 8 * DAY).height == 0
    assert read_online("other", NOON, NOON + DAY).schema["prediction"] == pl.Float64


def test_segments_are_of_one_day_and_limited(home: Path) -> None:
    log = PredictionLog(home / "predictions", "trips", segment_bytes=1000)
    for number in range(20):
        log.append(NOON + timedelta(hours=number), line(number))
    assert {path.parent.name for path in segments(home)} == {"2013-05-01", "2013-05-02"}
    assert len(segments(home)) > 4
    assert all(path.stat().st_size <= 1000 for path in segments(home))
    assert read_online("trips", NOON, NOON + DAY)["trip_id"].to_list() == list(range(20))


def test_each_answer_is_in_the_folder_of_its_day_though_threads_cross_midnight(home: Path) -> None:
    """A thread that took the time before midnight may write after one that took it later."""
    midnight = datetime(2013, 5, 2, tzinfo=UTC)
    logs = [PredictionLog(home / "predictions", "trips") for _ in range(2)]

    def write(worker: int) -> None:
        for number in range(50):
            moment = midnight + timedelta(microseconds=(-1) ** (worker + number // 7))
            logs[worker % 2].append(moment, line(worker * 50 + number))

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
    log.append(datetime.now(UTC) - DAY, line(1))
    [path] = segments(home)
    with files.complete(path) as stream:
        assert stream is None
    wait_for(lambda: is_complete(path))
    log.append(datetime.now(UTC), line(2))
    assert [is_complete(each) for each in segments(home)] == [True, False]
    log.close()


def test_threads_and_processes_share_a_folder(home: Path) -> None:
    logs = [PredictionLog(home / "predictions", "trips", segment_bytes=5000) for _ in range(2)]

    def write(log: PredictionLog, first: int) -> None:
        for number in range(first, first + 200):
            log.append(NOON, line(number))

    threads = [threading.Thread(target=write, args=(logs[each % 2], each * 200)) for each in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    frame, torn = scan_online("trips", NOON, NOON + DAY)
    assert (sorted(frame["trip_id"].to_list()), torn) == (list(range(800)), 0)
