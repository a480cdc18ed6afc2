"""Values as the reference hardly had them: how many there are, whether by chance, and whether they matter.

Drift asks whether the bulk of a distribution has moved; an error of a source, or a storm, shows in few rows far out.
Numbers are outliers beyond the fences of the reference profile (the .1 % and 99.9 % quantiles, each moved outward by
half of its distance from the median, so that skewed features keep their long side); categories where the reference
never had them; rows as a whole where their numbers do not go together as the reference's do
(``include.monitoring.whole_rows``). The share expected is that among the reference's own rows.
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
from include.monitoring.reference import EmptyWindowError, ReferenceProfile
from include.records import Record


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
    rows: Outliers | None = None  # as a whole; None where there are too few of them, or of days

    @property
    def alarms(self) -> tuple[str, ...]:
        """The names of the features that raise one."""
        return tuple(each.name for each in self.features if each.alarm)

    @property
    def raised(self) -> tuple[Outliers, ...]:
        """All that raise an alarm: the rows as a whole and the prediction first."""
        every = (self.rows, self.prediction, *self.features)
        return tuple(each for each in every if each is not None and each.alarm)


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
    features = decide([_count(name, side, current, size) for name, side in profile.features.items()], config)
    prediction = None
    if profile.prediction is not None and profile.prediction_name is not None:
        (prediction,) = decide([_count(profile.prediction_name, profile.prediction, current, size)], config)
    return OutlierReport(tuple(features), prediction)


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


def decide(columns: list[Outliers], config: DriftConfig) -> list[Outliers]:
    """Adjust the p values of all columns together, and decide each column."""
    q_values = distance.adjusted({each.name: each.p_value for each in columns if each.p_value is not None})
    return [_decided(each, q_values[each.name], config) if each.name in q_values else each for each in columns]


def _decided(column: Outliers, q_value: float, config: DriftConfig) -> Outliers:
    rise = (column.share or 0.0) - (column.expected or 0.0)
    alarm = q_value < config.alpha and rise >= config.outliers
    words = wording.change("the share of outliers rose by", rise, q_value, config.alpha, config.outliers)
    return replace(column, q_value=q_value, alarm=alarm, reasons=(words, *column.reasons))
