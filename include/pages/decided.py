"""The newest decisions about a use case, reading no more of the log than is asked for."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

from include.history.chained_file import NO_ENTRY, ChainedFile
from include.history.log import CHAMPIONS, Entry
from include.settings import get_settings

WINDOW = 400  # decisions that a page looks back on
CURE = "the history of decisions tells what is wrong with it"


def newest_first(use_case: str, count: int | None = WINDOW) -> Iterator[Entry]:
    """The decisions from the end on; ``HistoryError`` where a line is none."""
    file = _file(use_case)
    return (_entry(file, back, content) for back, content in enumerate(islice(file.newest_first(), count)))


def champion(use_case: str) -> Entry | None:
    """The decision that brought the champion into production, wherever in the log it is; None where none has."""
    file = _file(use_case)
    found = ((back, each) for back, each in enumerate(file.newest_first()) if each.get("outcome") in CHAMPIONS)
    return next((_entry(file, back, content) for back, content in found), None)


def _file(use_case: str) -> ChainedFile:
    return ChainedFile(get_settings().decisions / f"{use_case}.jsonl", CURE)


def _entry(file: ChainedFile, back: int, content: dict[str, Any]) -> Entry:
    try:
        return Entry.from_dict(content)
    except ValueError as error:
        raise file.broken(-back, f"{NO_ENTRY} of a log of decisions") from error
