"""Rolling-origin folds: a model learns from the past of an instant and is judged on the stretch after it, repeatedly.

Tashman (2000), "Out-of-sample tests of forecasting accuracy: an analysis and review", International Journal of
Forecasting 16(4): an expanding window of the past, and origins that roll forward by the length of a judged window.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import polars as pl

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Rows = NDArray[np.int64]

MINIMUM_ROWS = 20
CURE = "ask for fewer folds (training.search.folds), a shorter training.test or a longer training.window"


class FoldError(ValueError):
    """A fold that cannot be learned from or judged on; the message says which, why, and the cure."""


@dataclass(frozen=True)
class Fold:
    """Row numbers, ascending: what is learned from, and what is judged. ``number`` counts from 1, the oldest."""

    number: int
    begins: datetime
    ends: datetime
    learn: Rows
    judge: Rows

    def __str__(self) -> str:
        return f"fold {self.number} ({self.begins:%Y-%m-%d %H:%M} to {self.ends:%Y-%m-%d %H:%M} UTC)"


def rolling_origin(
    times: pl.Series, known_at: pl.Series, count: int, length: timedelta, *, classes: pl.Series | None = None
) -> list[Fold]:
    """``count`` folds, the oldest first, whose judged windows follow each other and end with the last event.

    ``times`` (rows,) are the instants of the events and ``known_at`` (rows,) those at which their labels became known,
    in any order. The window of fold k holds the events after ``last - (count - k + 1) * length``, until
    ``last - (count - k) * length``; it begins with the first of them. Learned from is every earlier event whose label
    was known by then: the gap is as long as the labels take. ``classes`` (rows,), of a classification, must occur all
    in every part. ``FoldError`` names a fold that has too few rows, or one class.
    """
    if count < 1 or length <= timedelta(0):
        raise FoldError(f"expected at least one fold of a positive length, got {count} of {length}")
    _check(times, known_at, classes)
    when, known = (column.dt.epoch("us").to_numpy() for column in (times, known_at))
    step = length // timedelta(microseconds=1)
    edges = [int(when.max()) - step * (count - k) for k in range(count + 1)]
    return [_fold(number, when, known, edges[number - 1 : number + 1], classes) for number in range(1, count + 1)]


def _fold(number: int, when: Rows, known: Rows, edges: list[int], classes: pl.Series | None) -> Fold:
    import numpy as np

    after, ends = edges
    judge = np.flatnonzero((when > after) & (when <= ends))
    begins = int(when[judge].min()) if len(judge) else after
    learn = np.flatnonzero((when < begins) & (known <= begins))
    fold = Fold(number, _instant(begins), _instant(ends), learn, judge)
    for rows, what in ((learn, "to learn from"), (judge, "to judge on")):
        if len(rows) < MINIMUM_ROWS:
            raise FoldError(f"{fold}: {len(rows)} labelled rows {what}, at least {MINIMUM_ROWS} are needed; {CURE}")
        if classes is not None and (found := classes.gather(rows).n_unique()) < max(2, classes.n_unique()):
            raise FoldError(f"{fold}: only {found} of {max(2, classes.n_unique())} classes {what}; {CURE}")
    return fold


def _check(times: pl.Series, known_at: pl.Series, classes: pl.Series | None) -> None:
    if not len(times):
        raise FoldError(f"no labelled rows to make folds of; {CURE}")
    lengths = {len(column) for column in (times, known_at, classes) if column is not None}
    if len(lengths) > 1:
        raise FoldError(f"times ({len(times)}), known_at ({len(known_at)}) and classes must be of one length")
    for name, column in (("times", times), ("known_at", known_at)):
        if column.dtype != pl.Datetime("us", "UTC"):
            raise FoldError(f"{name}: expected instants in UTC with microseconds, got {column.dtype}")
        if column.null_count():
            raise FoldError(f"{name}: {column.null_count()} rows have none; each labelled row needs one")
    if early := int((known_at < times).sum()):
        raise FoldError(f"known_at: {early} labels were known before their event; the label's known_at is wrong")


def _instant(microseconds: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=microseconds)
