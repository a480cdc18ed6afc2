"""The log keeps every decision once and whole, whoever writes beside it and whenever a writer is killed."""

from __future__ import annotations

import dataclasses
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from include.history import chain
from include.history import log as history
from include.history.chain import START, Head
from include.history.chained_file import HistoryError
from include.history.log import Decision, Entry
from include.settings import REPOSITORY
from tests.history.made import SHOP, appended, decision, file

WRITER = """
import sys
from include.history import log as history
from include.history.log import Decision

name, count = sys.argv[1], int(sys.argv[2])
for number in range(count):
    history.append(Decision("shop", "promotion", f"{name} {number}", "promoted", number, None, ("better" * 200,)))
    print(number, flush=True)
"""


def written(entry: Entry) -> Decision:
    return Decision(**{each.name: getattr(entry, each.name) for each in dataclasses.fields(Decision)})


def writer(name: str, count: int) -> subprocess.Popen[str]:
    """A process that appends decisions and prints the number of each that is kept."""
    command = [sys.executable, "-c", WRITER, name, str(count)]
    return subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True)


def test_decisions_are_kept_in_their_order(home: Path) -> None:
    appended(3)
    assert [each.version for each in history.read(SHOP)] == [1, 2, 3]
    assert [each.sequence for each in history.read(SHOP)] == [1, 2, 3]


def test_a_decision_is_read_as_it_was_written(home: Path) -> None:
    told = decision(
        "run", actor="airflow user admin", note="Über <b>\u2028two\nlines", evidence=("a1", "b2"),
        details={"checks": [{"value": 0.1 + 0.2, "limit": None, "large": 2**60, "small": 1e-300}]},
    )  # fmt: skip
    entry = history.append(told)
    assert [written(each) for each in history.read(SHOP)] == [told]
    assert history.read(SHOP) == [entry]
    assert history.verify(SHOP) == ()


def test_what_json_cannot_hold_is_kept_as_null(home: Path) -> None:
    history.append(decision("run", details={"value": float("nan")}))
    assert history.read(SHOP)[0].details == {"value": None}
    assert history.verify(SHOP) == ()


def test_each_entry_carries_the_hash_of_the_one_before(home: Path) -> None:
    appended(3)
    first, second, third = history.read(SHOP)
    assert (first.parent, second.parent, third.parent) == ("0" * 64, first.hash, second.hash)
    assert history.head(SHOP) == Head(3, third.hash)


def test_a_log_without_a_decision_has_no_head(home: Path) -> None:
    assert history.read(SHOP) == []
    assert history.head(SHOP) is None
    assert history.verify(SHOP) == ()


def test_use_cases_have_logs_of_their_own(home: Path) -> None:
    appended(1)
    assert history.read("other") == []


def test_an_attempt_that_is_tried_again_is_kept_once(home: Path) -> None:
    first = history.append(decision("run"))
    assert history.append(decision("run", reasons=("said otherwise",), hours=1)) == first
    assert history.read(SHOP) == [first]


@pytest.mark.parametrize(
    "other",
    [
        decision("run", version=2), decision("another run"), decision("run", "taken back"),
        decision("run", "promoted", kind="rollback"),
    ],
)  # fmt: skip
def test_another_attempt_or_outcome_is_another_decision(home: Path, other: Decision) -> None:
    history.append(decision("run"))
    history.append(other)
    assert len(history.read(SHOP)) == 2


def test_a_decision_long_ago_is_known_again(home: Path) -> None:
    for number in range(300):
        history.append(decision(f"run {number}", "refused", version=1, reasons=("x" * 500,)))
    history.append(decision("run 0", "refused", version=1))
    assert len(history.read(SHOP)) == 300


def test_a_run_that_is_cleared_after_a_rollback_promotes_again(home: Path) -> None:
    for each in (decision("a", version=2), decision("b", "rolled back", version=1), decision("a", version=2)):
        history.append(each)
    assert [each.version for each in history.read(SHOP)] == [2, 1, 2]


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ({"at": "2026-11-21T10:00:00"}, "has no time zone"),
        ({"at": "yesterday"}, "isoformat"),
        ({"version": None}, "version: missing"),
    ],
)
def test_a_decision_that_says_too_little_cannot_be_made(content: dict[str, object], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        dataclasses.replace(decision("run"), **content)  # type: ignore[arg-type]


@pytest.mark.parametrize("torn", [b"{", b'{"actor":"","at":"2026', "ü".encode()[:1]])
def test_a_torn_last_line_is_moved_aside(home: Path, torn: bytes, caplog: pytest.LogCaptureFixture) -> None:
    path = appended(2)
    with path.open("ab") as stream:
        stream.write(torn)
    assert len(history.read(SHOP)) == 2
    assert [problem for problem in history.verify(SHOP) if "line 3: is torn" in problem]
    with caplog.at_level(logging.WARNING):
        history.append(decision("run 3", version=3))
    assert path.with_name("shop.jsonl.torn").read_bytes() == torn + b"\n"
    assert "shop.jsonl.torn" in caplog.text
    assert [each.version for each in history.read(SHOP)] == [1, 2, 3]
    assert history.verify(SHOP) == ()


def test_a_whole_entry_without_its_line_break_was_never_kept(home: Path) -> None:
    path = appended(2)
    content = path.read_bytes()
    path.write_bytes(content[:-1])
    assert history.head(SHOP) == Head(1, history.read(SHOP)[0].hash)
    history.append(decision("run 2", version=2, hours=2))
    assert path.read_bytes() == content


def test_a_torn_first_line_is_moved_aside(home: Path) -> None:
    file().parent.mkdir(parents=True)
    file().write_bytes(b"{")
    assert history.append(decision("run")).parent == START.hash
    assert history.verify(SHOP) == ()


def test_a_write_that_is_cut_short_is_told_and_repaired_by_the_next(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = appended(1)
    whole = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, content: whole(descriptor, content[:20]))
    with pytest.raises(OSError, match="only 20 of"):
        history.append(decision("run 2", version=2))
    monkeypatch.undo()
    assert len(path.read_bytes().split(b"\n")[-1]) == 20


@pytest.mark.parametrize(
    ("spoil", "line"),
    [
        (lambda lines: [*lines[:-1], lines[-1].replace(b"better", b"worse!")], 3),
        (lambda lines: [lines[0], lines[2]], 2),
        (lambda lines: [*lines[:-1], b"not json"], 3),
        (lambda lines: [lines[0], lines[1].replace(b"better", b"worse!"), lines[2]], 2),
        (lambda lines: [lines[1]], 1),
    ],
)
def test_nothing_is_appended_to_a_broken_end(home: Path, spoil: object, line: int) -> None:
    path = appended(3)
    path.write_bytes(b"".join(each + b"\n" for each in spoil(path.read_bytes().split(b"\n")[:-1])))  # type: ignore[operator]
    before = path.read_bytes()
    with pytest.raises(HistoryError, match=rf"shop\.jsonl: line {line}: .*nothing is added.*put the file back"):
        history.append(decision("run 4", version=4))
    assert path.read_bytes() == before


@pytest.mark.parametrize("line", [b"", b"[]", b"{}", b"null", b'{"use_case":"shop"}', b"\xff", b"[" * 100_000])
def test_a_line_that_is_no_entry_names_file_line_and_cure(home: Path, line: bytes) -> None:
    path = appended(1)
    path.write_bytes(line + b"\n" + path.read_bytes())
    with pytest.raises(HistoryError, match=r"shop\.jsonl: line 1: .*include\.history shop --verify"):
        history.read(SHOP)
    assert history.verify(SHOP)[0] == "line 1: is no entry"


def test_processes_that_append_at_once_lose_nothing(home: Path) -> None:
    writers = [writer(name, 25) for name in ("a", "b", "c", "d")]
    assert [each.wait(120) for each in writers] == [0] * 4
    for each in writers:
        assert each.stdout is not None
        each.stdout.close()
    entries = history.read(SHOP)
    assert {each.origin for each in entries} == {f"{name} {number}" for name in "abcd" for number in range(25)}
    assert len(entries) == 100
    assert history.verify(SHOP) == ()


def test_threads_that_append_at_once_lose_nothing_and_a_reader_sees_a_whole_log(home: Path) -> None:
    seen: list[tuple[str, ...]] = []
    names = [f"thread {number}" for number in range(4)]

    def write(name: str) -> None:
        for number in range(25):
            history.append(decision(f"{name} {number}"))

    threads = [threading.Thread(target=write, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        seen.append(history.verify(SHOP))
    assert {problem for problems in seen for problem in problems} == set()
    assert len(history.read(SHOP)) == 100


def test_a_killed_writer_leaves_a_log_that_goes_on(home: Path) -> None:
    acknowledged = 0
    for turn in range(3):
        process = writer(f"turn {turn}", 100_000)
        assert process.stdout is not None
        seen = [process.stdout.readline() for _ in range(5 + turn)]
        time.sleep(0.01 * turn)
        process.send_signal(signal.SIGKILL)
        rest = process.stdout.read().splitlines()
        process.wait(30)
        process.stdout.close()
        acknowledged += len(seen) + len([line for line in rest if line])
    history.append(decision("after", version=1))
    assert len(history.read(SHOP)) >= acknowledged + 1
    assert history.verify(SHOP) == ()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cut=st.integers(min_value=0), more=st.integers(min_value=1, max_value=3))
def test_a_writer_killed_at_any_byte_costs_at_most_its_own_entry(home: Path, cut: int, more: int) -> None:
    file().unlink(missing_ok=True)
    path = appended(3)
    content = path.read_bytes()
    begin = content.rindex(b"\n", 0, len(content) - 1) + 1
    path.write_bytes(content[: begin + cut % (len(content) - begin)])
    for number in range(more):
        history.append(decision(f"later {number}", version=9))
    assert [each.origin for each in history.read(SHOP)][:2] == ["run 1", "run 2"]
    assert len(history.read(SHOP)) == 2 + more
    assert history.verify(SHOP) == ()


def test_the_cost_of_appending_does_not_grow_with_the_log(home: Path) -> None:
    """The entries since the last change of what is in production are read, and no more."""
    path = appended(1)
    entry = path.read_bytes()
    before = Head(1, history.read(SHOP)[0].hash)
    with path.open("ab") as stream:
        for number in range(2, 5002):
            content = chain.seal(decision(f"run {number}", version=number).to_dict(), before)
            before = Head(content["sequence"], content["hash"])
            stream.write(chain.canonical(content) + b"\n")
    assert path.stat().st_size > 4000 * len(entry)
    path.write_bytes(b"spoilt" + path.read_bytes())  # at the far end: who reads it fails
    history.append(decision("new", "refused", version=1))
    assert history.head(SHOP) is not None
    assert history.head(SHOP).sequence == 5002  # type: ignore[union-attr]
