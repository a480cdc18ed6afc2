"""The newest decisions about a use case, reading no more of the log than is asked for."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from include.history import log
from include.history.log import CHAMPIONS, Entry

WINDOW = 400  # decisions that pages and forms look back on


def newest_first(use_case: str, count: int | None = WINDOW) -> Iterator[Entry]:
    """So many decisions from the end on; ``HistoryError`` where a line is none."""
    return islice(log.newest_first(use_case), count)


def champion(use_case: str) -> Entry | None:
    """The decision that brought the champion into production, wherever in the log it is; None where none has."""
    return next(log.newest_first(use_case, CHAMPIONS), None)
