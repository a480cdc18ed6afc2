"""Whatever happens to compaction, a reader finds each line of the log once."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from include.contract.loading import read_config
from include.contract.serving import PredictionLogConfig
from include.contract.use_case import UseCase
from include.files import remove_older
from include.serving import compaction
from include.serving import segments as files
from include.serving.compaction import compact
from include.serving.prediction_log import PredictionLog, read_online, scan_online
from include.settings import get_settings
from tests.serving.compacted import FILE, NOON, TODAY, line, of, read, tear, write
from tests.serving.segments import answer

DAY = timedelta(days=1)


@pytest.fixture
def use_case(home: Path) -> UseCase:
    return read_config(FILE)


def test_lines_are_the_same_before_and_after(use_case: UseCase) -> None:
    write(use_case)
    write(use_case, moment=NOON + DAY, start=20)
    before, frame = read(use_case), read_online(use_case.name, NOON, NOON + 2 * DAY)
    count = len(of(use_case, ".jsonl"))
    done = compact(use_case, TODAY)
    assert count > 4
    assert (done.segments, done.lines, done.torn, done.open, done.removed) == (count, 40, 0, 0, ())
    assert of(use_case, ".jsonl") == []
    assert len(of(use_case, ".parquet")) == count
    assert read(use_case) == before
    assert read_online(use_case.name, NOON, NOON + 2 * DAY).equals(frame)
    assert compact(use_case, TODAY).segments == 0
    assert read(use_case) == before


values = st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | st.text()


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.fixed_dictionaries(
            {
                "entity": st.none() | st.dictionaries(st.text(), st.integers(-(2**63), 2**63 - 1) | st.text()),
                "features": st.dictionaries(st.text(), values),
                "prediction": st.none() | st.floats(allow_nan=False, allow_infinity=False),
                "model_version": st.integers(1, 2**31),
                "source": st.sampled_from(["online", "shadow"]),
                "anything": values,
            }
        ),
        min_size=1,
        max_size=5,
    ),
    st.datetimes(datetime(2013, 5, 1), datetime(2013, 5, 2), timezones=st.just(UTC)),  # noqa: DTZ001
)
def test_every_line_that_can_be_logged_is_kept_as_it_is(
    use_case: UseCase, lines: list[dict[str, Any]], moment: datetime
) -> None:
    remove_older(files.folder(use_case.name), -1)
    log = PredictionLog(get_settings().predictions, use_case.name)
    rows = [line(number, **each) for number, each in enumerate(lines)]
    for row in rows:
        log.append(moment, row)
    log.append(moment, *answer("several", rows[0], rows[0]))
    log.close()
    *before, first, second = read(use_case)
    assert len(before) == len(lines)
    assert first == second == {**before[0], "request_id": "several"}
    compact(use_case, TODAY)
    assert read(use_case) == [*before, first, second]
    assert [each["features"] for each in before] == [
        msgspec.json.decode(msgspec.json.encode(each["features"])) for each in lines
    ]


def test_what_a_server_writes_to_is_left_alone(use_case: UseCase) -> None:
    write(use_case, 3)
    log = PredictionLog(get_settings().predictions, use_case.name)
    log.append(NOON, line(3))
    done = compact(use_case, TODAY)
    assert (done.segments, done.open) == (1, 1)
    log.append(NOON, line(4))
    assert [each["request_id"] for each in read(use_case)] == [f"r{number}" for number in range(5)]
    log.close()
    assert compact(use_case, TODAY).lines == 2
    assert [each["request_id"] for each in read(use_case)] == [f"r{number}" for number in range(5)]


def test_a_line_that_comes_late_to_a_day_follows_with_the_next_run(use_case: UseCase) -> None:
    write(use_case, 3)
    compact(use_case, TODAY)
    write(use_case, 2, start=3)
    write(use_case, 1, start=5, moment=NOON - DAY)
    assert len(read(use_case)) == 6
    assert compact(use_case, TODAY).lines == 3
    assert sorted(each["request_id"] for each in read(use_case)) == [f"r{number}" for number in range(6)]


def test_torn_lines_are_counted_and_kept(use_case: UseCase, caplog: pytest.LogCaptureFixture) -> None:
    write(use_case, 2, size=10**6)
    (path,) = of(use_case, ".jsonl")
    tear(path, b'{"use_case": "broken in the mid\n\x00\x00\n{"time": "2013-05-01T12:00:00Z"}\n{"torn')
    names = [each["request_id"] for each in read(use_case)]
    assert compact(use_case, TODAY).torn == 4
    assert "4 torn lines" in caplog.text
    assert [each["request_id"] for each in read(use_case)] == names == ["r0", "r1"]
    assert scan_online(use_case.name, NOON, NOON + DAY)[1] == 4
    assert path.with_suffix(".torn").read_bytes().endswith(b'Z"}\n{"torn\n')


def test_a_segment_without_a_line_leaves_nothing(use_case: UseCase) -> None:
    folder = files.folder(use_case.name) / "2013-05-01"
    files.Segment(folder).close()
    assert compact(use_case, TODAY).lines == 0
    assert list(folder.iterdir()) == []


def keeping(use_case: UseCase, keep: timedelta | None) -> UseCase:
    serving = use_case.serving.model_copy(update={"log": PredictionLogConfig(keep=keep)})
    return use_case.model_copy(update={"serving": serving})


def test_days_are_removed_when_they_were_kept_long_enough(use_case: UseCase) -> None:
    for days in (0, 1, 2):
        write(use_case, 1, moment=NOON + days * DAY, start=days)
    (path, *_) = of(use_case, ".jsonl")
    tear(path, b"torn")
    open_still = PredictionLog(get_settings().predictions, use_case.name)
    open_still.append(NOON - 2 * DAY, line(9))
    assert compact(use_case, date(2013, 5, 9)).removed == ()
    assert compact(keeping(use_case, 7 * DAY), date(2013, 5, 9)).removed == ("2013-05-01",)
    assert {each["request_id"] for each in read(use_case)} == {"r9", "r1", "r2"}
    open_still.close()
    assert compact(keeping(use_case, 7 * DAY), date(2013, 5, 9)).removed == ("2013-04-29",)
    assert {each["request_id"] for each in read(use_case)} == {"r1", "r2"}


def test_what_is_often_asked_for_is_a_column_of_its_own(use_case: UseCase) -> None:
    write(use_case, 3, size=10**6)
    compact(use_case, TODAY)
    (path,) = of(use_case, ".parquet")
    table = pq.read_table(path)
    assert table.schema.equals(compaction.SCHEMA)
    assert table["prediction"].to_pylist() == [0.0, 0.1, 0.2]
    assert table["time"].to_pylist() == [NOON] * 3
