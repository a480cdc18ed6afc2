"""A file of chained JSON lines: what is in it stays, and what is added follows from what was there."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from include.files import append_bytes, lines_backwards, locked
from include.history import chain
from include.history.chain import START, Head

log = logging.getLogger(__name__)

CHAINED = frozenset({"sequence", "parent", "hash"})  # what an entry has beside its content
NO_ENTRY = "is no entry"


class HistoryError(Exception):
    """A chained file that cannot be read or continued; the message names the file, the line and the cure."""


@dataclass(frozen=True)
class ChainedFile:
    """One file. ``cure`` is what to do about a broken one, in words."""

    path: Path
    cure: str

    def read(self) -> list[dict[str, Any]]:
        """All entries, the oldest first; ``HistoryError`` where a line is none. A torn last line is no entry yet."""
        *lines, _unfinished = self.path.read_bytes().split(b"\n") if self.path.is_file() else [b""]
        return [self._parse(line, number) for number, line in enumerate(lines, 1)]

    def newest_first(self) -> Iterator[dict[str, Any]]:
        """The entries from the end on, reading no more of the file than is asked for."""
        for back, line in enumerate(islice(lines_backwards(self.path), 1, None)):
            yield self._parse(line, -back)

    def head(self) -> Head | None:
        """Where the chain stands, None where it has no entry.

        ``HistoryError`` where the last entry is not whole or does not follow from the one before it.
        """
        newest = list(islice(lines_backwards(self.path), 1, 3))
        here: Head | None = None if len(newest) == 2 else START
        for back, line in reversed(list(enumerate(newest))):
            here, problem = chain.follow(line, here)
            if problem:
                raise self.broken(-back, f"{problem}; nothing is added to a broken file")
        return here if newest else None

    @contextmanager
    def appending(self) -> Iterator[None]:
        """Keep other writers away, and see that the end is whole. ``HistoryError`` where it is not."""
        with locked(self.path):
            self._put_torn_line_aside()
            self.head()
            yield

    def add(self, content: Mapping[str, Any]) -> dict[str, Any]:
        """Append the entry of a content, within ``appending``; ``OSError`` where it could not be written."""
        entry = chain.seal(content, self.head() or START)
        append_bytes(self.path, chain.canonical(entry) + b"\n")
        return entry

    def verify(self, anchor: Head | None = None) -> dict[int, str]:
        """What is wrong by line, in words; empty where every entry follows from the one before.

        ``anchor`` is a head that was kept elsewhere: without it, neither a file that was cut off at its end nor one
        that was written anew from some entry on can be told from a whole one.
        """
        content = b""
        if self.path.is_file():
            with locked(self.path, shared=True):
                content = self.path.read_bytes()
        *lines, unfinished = content.split(b"\n")
        problems: dict[int, str] = {}
        here: Head | None = START
        for number, line in enumerate(lines, 1):
            here, problem = chain.follow(line, here)
            if problem := problem or _unknown(here, anchor):
                problems[number] = problem
        end = ["is torn, its writer was killed: the next entry moves it aside"] if unfinished else []
        if anchor is not None and len(lines) < anchor.sequence:
            end.append(f"is missing, and the anchor knows entry {anchor.sequence}: the end was cut off")
        return problems | ({len(lines) + 1: "; ".join(end)} if end else {})

    def broken(self, number: int, problem: str) -> HistoryError:
        """The error about a line, counted from 1 on; from the last, which is 0, backwards where it is not positive."""
        line = number if number > 0 else self.path.read_bytes().count(b"\n") + number
        return HistoryError(f"{self.path}: line {line}: {problem}: {self.cure}")

    def _parse(self, line: bytes, number: int) -> dict[str, Any]:
        try:
            content = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise self.broken(number, NO_ENTRY) from error
        if not isinstance(content, dict):
            raise self.broken(number, NO_ENTRY)
        return content

    def _put_torn_line_aside(self) -> None:
        """Move what a killed writer left behind the last line break to a file beside this one."""
        torn = next(lines_backwards(self.path), b"")
        if not torn:
            return
        aside = self.path.with_name(f"{self.path.name}.torn")
        append_bytes(aside, torn + b"\n")
        with self.path.open("r+b") as stream:
            stream.truncate(self.path.stat().st_size - len(torn))
            os.fsync(stream.fileno())
        log.warning("%s: the last line was torn, its writer was killed; moved to %s", self.path, aside)


def _unknown(here: Head | None, anchor: Head | None) -> str:
    """What is wrong with the entry that has the anchor's number."""
    if here is None or anchor is None or here.sequence != anchor.sequence or here.hash == anchor.hash:
        return ""
    return "is not the entry that the anchor knows: the file was written anew"
