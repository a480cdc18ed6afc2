"""The files of the online prediction log: lines of JSON that one process appends to a file of its own.

A day has a folder. A segment, ``<start>-<process>-<random>.jsonl``, is locked by its writer as long as it is open; the
kernel frees the lock with the process, whatever ended it, and then the segment is complete. Compaction puts a Parquet
file of the same stem in its place.
"""

from __future__ import annotations

import fcntl
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import BinaryIO

from include.settings import get_settings

log = logging.getLogger(__name__)

OPEN = ".jsonl"
COMPACTED = ".parquet"


def folder(use_case: str) -> Path:
    """Where the days of a use case are."""
    return get_settings().predictions / use_case / "online"


def of_day(day: Path) -> list[Path]:
    """The day's segments in their order, each once, though one may be compacted at this moment."""
    # In this order: a segment that is gone from the first list has its Parquet file before the second is made.
    found = {path.stem: path for path in _named(day, OPEN)} | {path.stem: path for path in _named(day, COMPACTED)}
    return [found[stem] for stem in sorted(found)]


def paths(use_case: str, first: date, last: date) -> list[Path]:
    """The files of these days (UTC), both included, open and compacted ones; each line is in one of them."""
    days = [first + timedelta(days=number) for number in range((last - first).days + 1)]
    return [path for day in days for path in of_day(folder(use_case) / day.isoformat())]


def _named(day: Path, suffix: str) -> list[Path]:
    return list(day.glob(f"[!.]*{suffix}"))


@contextmanager
def complete(path: Path) -> Iterator[BinaryIO | None]:
    """A segment that nobody writes to any more, held so that nobody does; None for one that is open, or gone."""
    try:
        stream = path.open("r+b")  # what is not open for writing cannot be locked on NFS
    except FileNotFoundError:
        yield None
        return
    with stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield None
            return
        yield stream


class Segment:
    """An open segment. Its methods are called by one thread at a time, ``sync`` beside them by another."""

    def __init__(self, day: Path) -> None:
        """A new file in the day's folder; ``OSError`` where it cannot be made."""
        self.size = 0
        self._day = day
        self._descriptor = _create(day)
        self._entered = False

    def append(self, content: bytes | bytearray, sync: bool) -> None:
        """Write by one call; with ``sync`` it then is on the disk. After an ``OSError`` the segment must be ``cut``."""
        written = os.write(self._descriptor, content)
        if written != len(content):
            raise OSError(f"{self._day}: only {written} of {len(content)} bytes were written; is there space left?")
        if sync:
            self.sync()
        self.size += written

    def cut(self) -> bool:
        """Take back what the last append has written of its content; whether that could be done."""
        try:
            os.ftruncate(self._descriptor, self.size)
        except OSError:
            log.exception("%s: a torn line cannot be cut off, another segment is begun", self._day)
            return False
        return True

    def sync(self) -> None:
        """Put on the disk what was appended; ``OSError`` where that is in doubt."""
        os.fdatasync(self._descriptor)
        if not self._entered:
            for entered in (self._day, self._day.parent, self._day.parent.parent):
                sync_folder(entered)
            self._entered = True

    def close(self) -> None:
        os.close(self._descriptor)


def sync_folder(path: Path) -> None:
    """Put the names in a folder on the disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _create(day: Path) -> int:
    """A new file, locked; replicas in containers may have the same process id, and clocks may be set back."""
    while True:
        day.mkdir(parents=True, exist_ok=True)
        start = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%f")
        path = day / f"{start}-{os.getpid()}-{os.urandom(4).hex()}{OPEN}"
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND)
        except (FileExistsError, FileNotFoundError):  # the folder of an old day was just removed
            continue
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.fstat(descriptor).st_nlink:
                return descriptor
        except BlockingIOError:
            log.info("%s was taken for a segment that somebody left; another one is begun", path)
        os.close(descriptor)
