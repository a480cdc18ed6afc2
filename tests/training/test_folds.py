"""A fold learns only from what was known before the stretch it is judged on."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import numpy as np
import polars as pl
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from include.training.folds import FoldError, rolling_origin

START = datetime(2013, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


def instants(offsets: list[int] | np.ndarray, unit: timedelta = HOUR) -> pl.Series:
    return pl.Series([START + int(offset) * unit for offset in offsets], dtype=pl.Datetime("us", "UTC"))


def daily(days: int, rows: int = 30, delay: timedelta = DAY) -> tuple[pl.Series, pl.Series]:
    times = instants(np.repeat(np.arange(days), rows), DAY)
    return times, times + delay


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    count=st.integers(1, 5),
    length=st.integers(5, 40),
    delay=st.integers(0, 60),
    spread=st.integers(1, 12),
)
def test_folds_are_honest_in_time(seed: int, count: int, length: int, delay: int, spread: int) -> None:
    generator = np.random.default_rng(seed)
    hours = generator.integers(0, 400, 1500) // spread * spread
    times, known = instants(hours), instants(hours + delay + generator.integers(0, 30, len(hours)))
    try:
        folds = rolling_origin(times, known, count, length * HOUR)
    except FoldError:
        assume(False)
    assert [fold.number for fold in folds] == list(range(1, count + 1))
    for fold in folds:
        assert known.gather(fold.learn).max() <= fold.begins  # type: ignore[operator]
        assert times.gather(fold.learn).max() < fold.begins  # type: ignore[operator]
        assert times.gather(fold.judge).min() == fold.begins
        assert times.gather(fold.judge).max() <= fold.ends  # type: ignore[operator]
        # Nothing that may be learned from is left out.
        assert len(fold.learn) == ((known <= fold.begins) & (times < fold.begins)).sum()
    for earlier, later in pairwise(folds):
        assert earlier.ends < later.begins
        assert later.ends - earlier.ends == length * HOUR
        assert set(earlier.learn) <= set(later.learn)
    assert folds[-1].ends == times.max()
    judged = np.concatenate([fold.judge for fold in folds])
    assert len(judged) == len(set(judged)) == (times > times.max() - count * length * HOUR).sum()


def test_windows_of_whole_days_hold_whole_days() -> None:
    times, known = daily(40)
    folds = rolling_origin(times, known, 2, 7 * DAY)
    assert [len(fold.judge) for fold in folds] == [7 * 30, 7 * 30]
    # Labels take a day: of the day before the window they are known when it begins.
    assert [len(fold.learn) for fold in folds] == [(40 - 14) * 30, (40 - 7) * 30]


def test_a_label_that_takes_long_makes_the_gap_long() -> None:
    (fold,) = rolling_origin(*daily(40, delay=5 * DAY), 1, 7 * DAY)
    assert len(fold.learn) == (40 - 7 - 4) * 30


def test_the_order_of_rows_does_not_matter() -> None:
    times, known = daily(40)
    order = np.random.default_rng(0).permutation(len(times))
    (sorted_,), (shuffled,) = (
        rolling_origin(times.gather(rows), known.gather(rows), 1, 7 * DAY) for rows in (np.arange(len(times)), order)
    )
    assert set(order[shuffled.learn]) == set(sorted_.learn)
    assert set(order[shuffled.judge]) == set(sorted_.judge)


def test_the_fold_with_too_little_to_learn_from_is_named_with_the_cure() -> None:
    with pytest.raises(FoldError, match=r"fold 1 .*0 labelled rows to learn from.*training\.search\.folds"):
        rolling_origin(*daily(20), 3, 7 * DAY)


def test_the_fold_with_too_little_to_judge_on_is_named() -> None:
    times = pl.concat([instants(np.arange(30 * 24)), instants([60 * 24])])
    with pytest.raises(FoldError, match=r"fold 2 .*1 labelled rows to judge on"):
        rolling_origin(times, times + HOUR, 2, 20 * DAY)
    gap = pl.concat([instants(np.arange(30 * 24)), instants(np.repeat(70 * 24, 30))])
    with pytest.raises(FoldError, match=r"fold 2 .*0 labelled rows to judge on"):
        rolling_origin(gap, gap, 3, 20 * DAY)


def test_the_fold_with_one_class_is_named() -> None:
    times, known = daily(40)
    late = (times > START + 36 * DAY).cast(pl.Int64)
    with pytest.raises(FoldError, match=r"fold 1 .*only 1 of 2 classes to learn from"):
        rolling_origin(times, known, 2, 7 * DAY, classes=late)
    early = (times < START + 3 * DAY).cast(pl.Int64)
    with pytest.raises(FoldError, match=r"fold 1 .*only 1 of 2 classes to judge on"):
        rolling_origin(times, known, 2, 7 * DAY, classes=early)
    with pytest.raises(FoldError, match="only 1 of 2 classes"):
        rolling_origin(times, known, 2, 7 * DAY, classes=pl.zeros(len(times), eager=True))


def test_times_that_cannot_be_right_are_refused() -> None:
    times, known = daily(40)
    with pytest.raises(FoldError, match="1200 labels were known before their event"):
        rolling_origin(known, times, 1, DAY)
    with pytest.raises(FoldError, match="known_at: 1 rows have none"):
        rolling_origin(times, known.scatter(3, None), 1, DAY)
    with pytest.raises(FoldError, match="times: expected instants in UTC"):
        rolling_origin(times.dt.replace_time_zone(None), known, 1, DAY)
    with pytest.raises(FoldError, match="one length"):
        rolling_origin(times, known.head(5), 1, DAY)
    with pytest.raises(FoldError, match="no labelled rows"):
        rolling_origin(times.head(0), known.head(0), 1, DAY)
    with pytest.raises(FoldError, match="at least one fold of a positive length"):
        rolling_origin(times, known, 0, DAY)
