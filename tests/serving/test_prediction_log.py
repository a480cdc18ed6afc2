from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from include.serving import prediction_log
from include.serving.prediction_log import PredictionLog, read_batch, read_online, scan_online, write_batch
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


def test_a_line_that_is_not_written_whole_is_an_error_and_the_last_of_its_file(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = PredictionLog(home / "predictions", "trips")
    real = os.write
    with monkeypatch.context() as patch:
        patch.setattr(prediction_log.os, "write", lambda descriptor, content: real(descriptor, content[:30]))
        with pytest.raises(OSError, match="only 30 of"):
            log.append(NOON, [line(1)])
    log.append(NOON, [line(2)])
    frame, torn = scan_online("trips", NOON, NOON + DAY)
    assert (frame["trip_id"].to_list(), torn) == ([2], 1)


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


def batch(rows: int = 2, **columns: Any) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "request_id": [f"r{number}" for number in range(rows)],
            "trip_id": list(range(rows)),
            "event_timestamp": pl.Series([NOON] * rows, dtype=pl.Datetime("us", "UTC")),
            "prediction": [0.5] * rows,
            "model_version": [1] * rows,
            "run_id": ["run"] * rows,
            **columns,
        }
    )


def test_a_batch_is_replaced_whole(home: Path) -> None:
    path = write_batch("trips", "2013-05-01", batch(2, distance=[1.0, 2.0]))
    write_batch("trips", "2013-05-01", batch(1, distance=[3.0]))
    write_batch("trips", "2013-05-02T03", batch(1, wind=[3]))
    assert [each.name for each in path.parent.iterdir() if each.name.startswith(".")] == []
    frame = read_batch("trips", ["2013-05-01", "2013-05-02T03", "2013-05-09"])
    assert frame.columns == [*batch().columns, "distance", "wind"]
    assert frame["distance"].to_list() == [3.0, None]
    assert frame["wind"].to_list() == [None, 3]
    assert read_batch("trips", ["2013-05-09"]).columns == list(prediction_log.REQUIRED)


@pytest.mark.parametrize("key", ["2013-05-01/2013-05-03", "", "../elsewhere"])
def test_a_batch_is_of_one_partition(key: str) -> None:
    with pytest.raises(ValueError, match="not the key of one partition"):
        write_batch("trips", key, batch())


def test_a_batch_with_wrong_columns_is_refused(home: Path) -> None:
    with pytest.raises(ValueError, match="column run_id"):
        write_batch("trips", "2013-05-01", batch().drop("run_id"))
    with pytest.raises(ValueError, match="column event_timestamp"):
        write_batch(
            "trips",
            "2013-05-01",
            batch().with_columns(pl.lit(NOON).dt.replace_time_zone(None).alias("event_timestamp")),
        )
    assert read_batch("trips", ["2013-05-01"]).height == 0
