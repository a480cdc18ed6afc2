"""Rows whose numbers do not go together as the reference's do, though each of them may be common.

The score is the Mahalanobis distance of normal scores: of each number's rank among the learned rows, as a quantile of
the normal distribution (a Gaussian copula), so that long tails do not count. Each is taken from the mean of its day: of
what all rows of a day share, a fortnight has a handful of draws, too few to say what goes together. Half of the
reference's days are learned from; the other half says which distance 99.9 % of the rows of new days stay below.

What is left of a day's rows still hangs together: a stormy day is one event, however many rows it has. The difference
of the shares beyond that distance therefore has the variance of a ratio of sums over clusters (Cochran 1977, "Sampling
Techniques", chapter 9), by the days of both sides, and Student's t for as many as there are.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import polars as pl
from numpy.typing import NDArray

from include.contract.monitoring import DriftConfig
from include.monitoring.distributions import kind_of
from include.monitoring.multivariate import Codes, Vector, encoded
from include.monitoring.outliers import Outliers, decide
from include.monitoring.reference import EmptyWindowError

NAME = "rows as a whole"
TAIL = 0.001  # of the reference rows count as outliers
LEAST = 2_000  # reference rows that such a share can be told from
FEWEST = 4  # days of the reference, and half as many current ones
LITTLE = 0.1  # a number whose normal scores vary by less within a day (standard deviation) is one of the day
RIDGE = 0.01  # of each variance is added to it, or numbers that say nearly the same would decide alone
NOT_COMPUTED = Outliers(NAME, False, True, ("could not be computed: there is no column of numbers that vary",))


def whole_rows(
    reference: pl.DataFrame,
    current: pl.DataFrame,
    config: DriftConfig,
    *,
    seed: int,
    blocks: str | None = None,
    categorical: Collection[str] = (),
) -> Outliers:
    """Hold the current rows against those of the reference, on the reference's columns of numbers.

    ``blocks`` names the column of days in both; without it rows count as independent. ``categorical``: numbers that are
    codes. Raises ``EmptyWindowError`` for fewer than 2,000 reference rows, 4 reference or 2 current days; without
    numbers that vary it could not be computed.
    """
    days = [_codes(side, blocks) for side in (reference, current)]
    known, now = (len(np.unique(side)) for side in days)
    if reference.height < LEAST or known < FEWEST or now < FEWEST // 2:
        raise EmptyWindowError(
            f"{reference.height} reference rows of {known} days and {current.height} current rows of {now}: a score "
            f"needs {LEAST} of {FEWEST} and 2 of 2"
        )
    names = [
        name
        for name in reference.columns
        if name != blocks and name not in categorical and kind_of(reference[name]) == "numeric"
    ]
    learned = _half(days[0], seed)
    if not names:
        return NOT_COMPUTED
    matrix = encoded(reference.select(names), current)[0]
    normal = np.column_stack([_normal_scores(column[: reference.height][learned], column) for column in matrix.T])
    before, after = normal[: reference.height], normal[reference.height :]
    if blocks is not None:
        before, after = _within(before, days[0]), _within(after, days[1])
    varying = before[learned].std(axis=0) > LITTLE
    if not varying.any():
        return NOT_COMPUTED
    before, after = before[:, varying], after[:, varying]
    covariance = np.atleast_2d(np.cov(before[learned], rowvar=False))
    inverse = np.linalg.inv(covariance + RIDGE * np.diag(np.diag(covariance)))
    kept, found = (np.einsum("rc,cd,rd->r", side, inverse, side) for side in (before[~learned], after))
    limit = float(np.quantile(kept, 1 - TAIL))
    expected, share, p_value = _rise(kept > limit, days[0][~learned], found > limit, days[1])
    (decided,) = decide([Outliers(NAME, True, False, (), expected, share, p_value)], config)
    return decided


def _codes(side: pl.DataFrame, blocks: str | None) -> Codes:
    """The day of each row as a number from 0 on; its own where rows are independent."""
    if blocks is None:
        return np.arange(side.height)
    return np.unique(side[blocks].cast(pl.String).to_numpy(), return_inverse=True)[1].astype(np.int64)


def _half(days: Codes, seed: int) -> NDArray[np.bool_]:
    """Rows of every other day, drawn by chance."""
    drawn = np.random.default_rng(seed).permutation(int(days.max()) + 1)
    return np.isin(days, drawn[::2])


def _present(values: Vector) -> Vector:
    """Those that are there; a 0 where none is, which does not vary."""
    present = values[~np.isnan(values)]
    return present if len(present) else np.zeros(1)


def _normal_scores(learned: Vector, values: Vector) -> Vector:
    """Of values (rows,) by their ranks among the learned ones; a missing value is 0, the middle."""
    from scipy.stats import norm

    ordered = np.sort(_present(learned))
    ranks = np.searchsorted(ordered, values, "left") + np.searchsorted(ordered, values, "right")
    return np.where(np.isnan(values), 0.0, norm.ppf((ranks / 2 + 0.5) / (len(ordered) + 1)))


def _within(scores: Vector, days: Codes) -> Vector:
    """Scores (rows, columns) less the mean of their day."""
    rows = np.bincount(days)
    means = np.column_stack([np.bincount(days, weights=column) / rows for column in scores.T])
    return np.asarray(scores - means[days], dtype=np.float64)


def _rise(
    kept: NDArray[np.bool_], kept_days: Codes, found: NDArray[np.bool_], found_days: Codes
) -> tuple[float, float, float]:
    """The shares of marked rows, kept and found, and the one-sided p value of the found one's being no higher."""
    from scipy.stats import t

    variance, shares, clusters = 0.0, [], []
    for marked, days in ((kept, kept_days), (found, found_days)):
        codes = np.unique(days, return_inverse=True)[1]
        share = float(marked.mean())
        sums = np.bincount(codes, weights=marked - share)
        variance += len(sums) / (len(sums) - 1) * float((sums**2).sum()) / len(marked) ** 2
        shares.append(share)
        clusters.append(len(sums))
    expected, share = shares
    if variance == 0:
        return expected, share, 0.0 if share > expected else 1.0
    return expected, share, float(t.sf((share - expected) / np.sqrt(variance), min(clusters) - 1))
