"""Values as the reference hardly had them: how many there are, whether by chance, and whether they matter.

Drift asks whether the bulk of a distribution has moved; an error of a source, or a storm, shows in few rows far out.
Numbers are outliers beyond the fences of the reference profile (the .1 % and 99.9 % quantiles, each moved outward by
half of its distance from the median, so that skewed features keep their long side); categories where the reference
never had them; rows as a whole where their numbers go together as in fewer than .1 % of other reference rows. The share
expected is that among the reference's own rows.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from include.contract.monitoring import DriftConfig
from include.monitoring import distance, wording
from include.monitoring.dependence import Blocks, unsure
from include.monitoring.distance import Draws
from include.monitoring.distributions import CategoricalProfile, NumericProfile, Profile, profile_of
from include.monitoring.multivariate import Vector, encoded
from include.monitoring.reference import EmptyWindowError, ReferenceProfile
from include.records import Record

ROWS = "rows as a whole"
TAIL = 0.001  # of the reference rows count as outliers as a whole
LEAST = 2_000  # reference rows that a share of .1 % can be told from, half of which are learned from


@dataclass(frozen=True)
class Outliers(Record):
    """The outliers of one column. What could not be computed is None, and counts as an alarm."""

    name: str
    computed: bool
    alarm: bool
    reasons: tuple[str, ...]
    expected: float | None = None  # share among the reference's values
    share: float | None = None  # among the current values
    p_value: float | None = None
    q_value: float | None = None
    fences: tuple[float, float] | None = None
    extremes: tuple[float, float] | None = None  # the least and the largest current value
    unseen: tuple[str, ...] = ()  # categories, at most 20


@dataclass(frozen=True)
class OutlierReport(Record):
    features: tuple[Outliers, ...]
    prediction: Outliers | None

    @property
    def alarms(self) -> tuple[str, ...]:
        return tuple(each.name for each in self.features if each.alarm)


def find(
    profile: ReferenceProfile, current: pl.DataFrame, config: DriftConfig, *, blocks: str | None = None
) -> OutlierReport:
    """Count the outliers of every feature and of the prediction.

    An alarm is a share that rose by at least ``config.outliers`` and by more than chance (false discovery rate over the
    features). ``blocks`` as in ``drift.compare``. Raises ``EmptyWindowError`` for no rows.
    """
    if current.height == 0:
        raise EmptyWindowError("the current data has no rows: outliers cannot be counted")
    size = Blocks.of(current[blocks]).size if blocks else None
    features = _decide([_count(name, side, current, size) for name, side in profile.features.items()], config)
    prediction = None
    if profile.prediction is not None and profile.prediction_name is not None:
        (prediction,) = _decide([_count(profile.prediction_name, profile.prediction, current, size)], config)
    return OutlierReport(tuple(features), prediction)


def whole_rows(reference: pl.DataFrame, current: pl.DataFrame, config: DriftConfig, *, seed: int) -> Outliers:
    """Rows whose numbers do not go together as the reference's do, though each may be common.

    The score is the Mahalanobis distance of normal scores: of each number's rank among a half of the reference rows, as
    a quantile of the normal distribution (a Gaussian copula), so that long tails do not count. The other half says
    which distance 99.9 % stay below. Rows count as independent draws. ``EmptyWindowError`` for fewer than 2,000
    reference rows or no current ones; without numbers that vary it could not be computed.
    """
    if reference.height < LEAST or current.height == 0:
        raise EmptyWindowError(
            f"{reference.height} reference and {current.height} current rows: a score needs {LEAST} and 1"
        )
    order = np.random.default_rng(seed).permutation(reference.height)
    half = reference.height // 2
    matrix, coded = encoded(reference, current)
    learned = matrix[order[:half]]
    ranges = [np.ptp(column[~np.isnan(column)]) if not np.isnan(column).all() else 0 for column in learned.T]
    used = ~coded & (np.array(ranges) > 0)
    if not used.any():
        return Outliers(ROWS, False, True, ("could not be computed: there is no column of numbers that vary",))
    normal = _normal_scores(learned[:, used], matrix[:, used])
    inverse = np.linalg.pinv(np.atleast_2d(np.cov(normal[order[:half]], rowvar=False)), rcond=1e-6, hermitian=True)
    scores = np.einsum("rc,cd,rd->r", normal, inverse, normal)
    kept, found = scores[order[half:]], scores[reference.height :]
    limit = float(np.quantile(kept, 1 - TAIL))
    expected, share = float((kept > limit).mean()), float((found > limit).mean())
    p_value = distance.proportions(expected, share, len(kept), len(found))
    (decided,) = _decide([Outliers(ROWS, True, False, (), expected, share, p_value)], config)
    return decided


def _normal_scores(learned: Vector, values: Vector) -> Vector:
    """(rows, columns) by the ranks among the learned rows; a missing value is 0, the middle."""
    from scipy.stats import norm

    columns = []
    for known, column in zip(learned.T, values.T, strict=True):
        ordered = np.sort(known[~np.isnan(known)])
        ranks = np.searchsorted(ordered, column, "left") + np.searchsorted(ordered, column, "right")
        scores = norm.ppf((ranks / 2 + 0.5) / (len(ordered) + 1))
        columns.append(np.where(np.isnan(column), 0.0, scores))
    return np.column_stack(columns)


def _count(name: str, reference: Profile, frame: pl.DataFrame, size: float | None) -> Outliers:
    empty = Outliers(name, False, True, ())
    if name not in frame.columns:
        return replace(empty, reasons=("could not be computed: the column is missing from the current data",))
    try:
        current = profile_of(frame[name], reference.kind, keep=None)
    except (ValueError, pl.exceptions.PolarsError) as error:
        return replace(empty, reasons=(f"could not be computed: {error}",))
    if reference.n == 0 or current.n == 0:
        return replace(empty, computed=True, alarm=False, reasons=("no values to look at",))
    if isinstance(reference, NumericProfile):
        found = _numbers(empty, reference, frame[name])
    elif isinstance(current, CategoricalProfile):
        found = _categories(empty, reference, current)
    if found.expected is None or found.share is None:
        return found
    rho = reference.dependence.outliers if reference.dependence else 0.0
    worth = Draws.of_rows(reference, current, rho, size)
    p_value = distance.proportions(found.expected, found.share, *worth.level)
    return replace(found, computed=True, alarm=False, p_value=unsure(p_value, worth.freedom))


def _numbers(empty: Outliers, reference: NumericProfile, column: pl.Series) -> Outliers:
    if reference.fences is None:
        return replace(empty, reasons=("could not be computed: the reference profile was made without fences",))
    values = column.cast(pl.Float64).to_numpy()
    values = values[np.isfinite(values)]
    low, high = reference.fences
    return replace(
        empty,
        expected=reference.outside / reference.n,
        share=float(((values < low) | (values > high)).mean()),
        fences=reference.fences,
        extremes=(float(values.min()), float(values.max())),
        reasons=(f"values from {values.min():.4g} to {values.max():.4g}, fences {low:.4g} and {high:.4g}",),
    )


def _categories(empty: Outliers, reference: CategoricalProfile, current: CategoricalProfile) -> Outliers:
    """Categories beyond those that the reference keeps are expected as often as it had them."""
    unseen = [name for name in current.counts if name not in reference.counts]
    return replace(
        empty,
        expected=reference.other / reference.n,
        share=sum(current.counts[name] for name in unseen) / current.n,
        unseen=tuple(unseen[:20]),
        reasons=(f"unseen categories: {wording.listed(unseen)}",) if unseen else (),
    )


def _decide(columns: list[Outliers], config: DriftConfig) -> list[Outliers]:
    q_values = distance.adjusted({each.name: each.p_value for each in columns if each.p_value is not None})
    return [_decided(each, q_values[each.name], config) if each.name in q_values else each for each in columns]


def _decided(column: Outliers, q_value: float, config: DriftConfig) -> Outliers:
    rise = (column.share or 0.0) - (column.expected or 0.0)
    alarm = q_value < config.alpha and rise >= config.outliers
    words = wording.change("the share of outliers rose by", rise, q_value, config.alpha, config.outliers)
    return replace(column, q_value=q_value, alarm=alarm, reasons=(words, *column.reasons))
