"""Files and folders that several processes replace and read at the same time are whole at any moment."""

from __future__ import annotations

import json
import os
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.files import (
    append_bytes,
    append_line,
    lines_backwards,
    link_tree,
    locked,
    read_json,
    remove_older,
    replacing,
    snapshot,
    write_json,
)

TIMES = 60


def put(folder: Path, content: str) -> None:
    with replacing(folder) as draft:
        draft.mkdir()
        for name in ("first", "second", "third"):
            (draft / name).write_text(content)


def at_once(*jobs: Callable[[], None]) -> None:
    failures: list[BaseException] = []

    def guarded(job: Callable[[], None]) -> None:
        try:
            job()
        except BaseException as error:  # noqa: BLE001 - raised again in the test's own thread
            failures.append(error)

    threads = [threading.Thread(target=guarded, args=(job,)) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


def test_a_folder_that_several_replace_is_that_of_one_of_them(tmp_path: Path) -> None:
    folder = tmp_path / "folder"

    def writer(name: str) -> Callable[[], None]:
        return lambda: [put(folder, f"{name}{turn}") for turn in range(TIMES)] and None

    at_once(writer("a"), writer("b"), writer("c"))
    assert len({(folder / name).read_text() for name in ("first", "second", "third")}) == 1
    assert list(tmp_path.iterdir()) == [folder]


def test_a_snapshot_of_a_folder_that_is_replaced_meanwhile_is_whole(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    put(folder, "begin")
    seen: set[str] = set()

    def reader() -> None:
        for turn in range(TIMES):
            copy = tmp_path / f"copy {turn}"
            while True:
                try:
                    snapshot(folder, copy)
                    break
                except FileNotFoundError:  # between the two renames of a replacement there is none
                    time.sleep(0)
            (content,) = {path.read_text() for path in copy.iterdir()}
            seen.add(content)

    at_once(reader, lambda: [put(folder, str(turn)) for turn in range(TIMES)] and None)
    assert seen


def test_a_failure_leaves_the_earlier_content(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    put(folder, "old")

    def fail() -> None:
        with replacing(folder) as draft:
            draft.mkdir()
            raise RuntimeError("full disk")

    with pytest.raises(RuntimeError, match="full disk"):
        fail()
    assert (folder / "first").read_text() == "old"
    assert list(tmp_path.iterdir()) == [folder]


def test_equal_contents_are_equal_bytes(tmp_path: Path) -> None:
    write_json(tmp_path / "record.json", {"b": 1, "a": 2})
    write_json(tmp_path / "record.json", {"a": 2, "b": 1})
    assert (tmp_path / "record.json").read_text() == '{\n "a": 2,\n "b": 1\n}\n'
    assert read_json(tmp_path / "record.json") == {"a": 2, "b": 1}


def test_lines_of_several_writers_are_whole(tmp_path: Path) -> None:
    log = tmp_path / "logs" / "log.jsonl"

    def writer(name: str) -> Callable[[], None]:
        return lambda: [append_line(log, {"who": name, "text": name * 2000}) for _ in range(20)] and None

    at_once(*(writer(name) for name in "abc"))
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert len(lines) == 60
    assert all(line["text"] == line["who"] * 2000 for line in lines)


def test_only_old_leftovers_are_removed(tmp_path: Path) -> None:
    for name in ("old", "new", ".hidden"):
        (tmp_path / name).mkdir()
    for name in ("old", ".hidden"):
        os.utime(tmp_path / name, (time.time() - 1000, time.time() - 1000))
    remove_older(tmp_path, 500, pattern=".*")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["new", "old"]
    remove_older(tmp_path, 500)
    remove_older(tmp_path / "not there", 500)
    assert [path.name for path in tmp_path.iterdir()] == ["new"]


def test_a_snapshot_that_cannot_be_made_says_why(tmp_path: Path) -> None:
    put(tmp_path / "folder", "text")
    (tmp_path / "copy").mkdir()
    with pytest.raises(FileExistsError):
        snapshot(tmp_path / "folder", tmp_path / "copy")
    with pytest.raises(FileNotFoundError):
        snapshot(tmp_path / "none", tmp_path / "other")


def test_a_linked_tree_shares_its_bytes(tmp_path: Path) -> None:
    put(tmp_path / "one", "text")
    link_tree(tmp_path / "one", tmp_path / "two")
    assert (tmp_path / "one" / "first").samefile(tmp_path / "two" / "first")


@given(st.binary(max_size=200).map(lambda content: content.replace(b"\x00", b"\n")), st.integers(1, 50))
def test_lines_backwards_are_the_lines_in_the_other_order(content: bytes, block: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "log.jsonl"
        path.write_bytes(content)
        assert list(lines_backwards(path, block)) == content.split(b"\n")[::-1]


def test_a_file_that_is_not_there_has_no_lines(tmp_path: Path) -> None:
    assert list(lines_backwards(tmp_path / "log.jsonl")) == []


def test_the_end_of_a_file_is_read_without_the_rest(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    log.write_bytes(b"early\n" * 100_000 + b"last\n")
    lines = lines_backwards(log, block=64)
    assert [next(lines), next(lines)] == [b"", b"last"]
    log.write_bytes(b"")
    assert len(list(lines)) < 20  # those of the block that was read


def test_what_was_not_all_written_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "write", lambda descriptor, content: len(content) - 1)
    with pytest.raises(OSError, match="only 5 of 6 bytes were written"):
        append_bytes(tmp_path / "log", b"line 1")


def test_a_lock_is_one_writer_s_or_the_readers(tmp_path: Path) -> None:
    path = tmp_path / "logs" / "log.jsonl"
    seen: list[str] = []
    ready = threading.Event()

    def writer() -> None:
        ready.set()
        with locked(path):
            seen.append("writer")

    with locked(path, shared=True), locked(path, shared=True):
        thread = threading.Thread(target=writer)
        thread.start()
        ready.wait()
        thread.join(0.1)
        seen.append("readers")
    thread.join()
    assert seen == ["readers", "writer"]
