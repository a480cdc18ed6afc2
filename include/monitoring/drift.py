"""Has the data moved away from what the model was trained on?

A column has drifted if its distance from the reference is both more than chance (false discovery rate over all
features) and large enough to matter (effect size). Either alone raises false alarms: tests find every difference in
large samples, distances are never zero in small ones.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from include.contract.use_case import DriftConfig
from include.monitoring import distance
from include.monitoring.distributions import (
    CategoricalProfile,
    Histogram,
    Kind,
    NumericProfile,
    Profile,
    WrongTypeError,
    categorical_histogram,
    kind_of,
    numeric_histogram,
    profile_of,
)
from include.records import Record

NAMED = 20  # categories that a result lists


class EmptyWindowError(ValueError):
    """There is nothing to compare."""


@dataclass(frozen=True)
class ReferenceProfile(Record):
    """The distribution of every feature, and of the prediction, in the rows that a model version learned from."""

    rows: int
    features: Mapping[str, Profile]
    prediction_name: str | None = None
    prediction: Profile | None = None

    @classmethod
    def of(
        cls, frame: pl.DataFrame, *, prediction: str | None = None, categorical: Collection[str] = ()
    ) -> ReferenceProfile:
        """Profile every column of the reference rows.

        Strings and booleans are categorical, numbers numeric unless named in ``categorical``. Raises
        ``EmptyWindowError`` for no rows, ``WrongTypeError`` for other types, ``ValueError`` for a name that is no
        column.
        """
        if frame.height == 0:
            raise EmptyWindowError("the reference has no rows: a profile needs the data that the model was trained on")
        if unknown := {*categorical, *([prediction] if prediction else [])} - {*frame.columns}:
            raise ValueError(f"not among the reference's columns: {', '.join(sorted(unknown))}")
        profiles = {
            name: profile_of(frame[name], "categorical" if name in categorical else kind_of(frame[name]))
            for name in frame.columns
        }
        predicted = profiles.pop(prediction) if prediction else None
        return cls(frame.height, profiles, prediction, predicted)


@dataclass(frozen=True)
class FeatureDrift(Record):
    """One column, reference against current. What could not be computed is None, and counts as drifted."""

    name: str
    kind: Kind
    computed: bool
    drifted: bool
    reasons: tuple[str, ...]
    n_reference: int  # values that are not missing
    n_current: int
    effect: float | None = None  # W1 / sd, or total variation distance; share of changed values of a constant
    statistic: float | None = None  # Kolmogorov-Smirnov D, or chi-square (two categories: difference of the shares)
    p_value: float | None = None
    q_value: float | None = None
    psi: float | None = None
    missing_reference: float | None = None  # shares of the rows
    missing_current: float | None = None
    missing_p_value: float | None = None  # None where neither sample has missing values
    missing_q_value: float | None = None
    new_categories: tuple[str, ...] = ()  # at most 20, the most frequent first
    gone_categories: tuple[str, ...] = ()
    histogram: Histogram | None = None


@dataclass(frozen=True)
class DriftReport(Record):
    """All features, in the order of the reference, and the prediction."""

    features: tuple[FeatureDrift, ...]
    prediction: FeatureDrift | None
    rows_reference: int
    rows_current: int
    alpha: float
    effect: float
    prediction_effect: float

    @property
    def drifted(self) -> tuple[str, ...]:
        """The names of the features that have drifted."""
        return tuple(feature.name for feature in self.features if feature.drifted)


def compare(profile: ReferenceProfile, current: pl.DataFrame, config: DriftConfig) -> DriftReport:
    """Hold the current rows against the reference; columns that the reference does not know are ignored.

    The false discovery rate is controlled over the value and missingness tests of all features together; the prediction
    is a question of its own. Raises ``EmptyWindowError`` where the current data has no rows.
    """
    if current.height == 0:
        raise EmptyWindowError("the current data has no rows: drift cannot be computed")
    measured = [_measure(name, reference, current) for name, reference in profile.features.items()]
    prediction = None
    if profile.prediction is not None and profile.prediction_name is not None:
        own = _measure(profile.prediction_name, profile.prediction, current)
        (prediction,) = _decide([own], config.alpha, config.prediction_effect)
    return DriftReport(
        features=tuple(_decide(measured, config.alpha, config.effect)),
        prediction=prediction,
        rows_reference=profile.rows,
        rows_current=current.height,
        alpha=config.alpha,
        effect=config.effect,
        prediction_effect=config.prediction_effect,
    )


def _measure(name: str, reference: Profile, frame: pl.DataFrame) -> FeatureDrift:
    """Effects and p values of one column, undecided."""
    empty = FeatureDrift(name, reference.kind, False, False, (), reference.n, 0, missing_reference=_missing(reference))
    if name not in frame.columns:
        return replace(empty, reasons=("could not be computed: the column is missing from the current data",))
    try:
        current = profile_of(frame[name], reference.kind, keep=None)
    except (WrongTypeError, pl.exceptions.PolarsError) as error:
        return replace(empty, reasons=(f"could not be computed: {error}",))
    base = replace(
        empty,
        n_current=current.n,
        missing_current=_missing(current),
        missing_p_value=_missing_p_value(reference, current),
    )
    return _values(base, reference, current)


def _values(base: FeatureDrift, reference: Profile, current: Profile) -> FeatureDrift:
    """The same with the distance of the values that are not missing."""
    if reference.n == current.n == 0:
        return replace(base, computed=True, reasons=("no values in the reference, and none in the current data",))
    if reference.n == 0 or current.n == 0:
        side = "the reference" if reference.n == 0 else "the current data"
        return replace(base, reasons=(f"could not be computed: all values are missing in {side}",))
    if isinstance(reference, NumericProfile) and isinstance(current, NumericProfile):
        found = distance.numeric(reference, current)
        if not np.isfinite([found.effect, found.p_value]).all():
            return replace(base, reasons=("could not be computed: the values are too large for a distance",))
        return _with(replace(base, histogram=numeric_histogram(reference, current)), found)
    if isinstance(reference, CategoricalProfile) and isinstance(current, CategoricalProfile):
        return _categorical(base, reference, current)
    raise AssertionError(f"{base.name}: profiles of two kinds")


def _categorical(base: FeatureDrift, reference: CategoricalProfile, current: CategoricalProfile) -> FeatureDrift:
    labels, first, second, new, gone = distance.aligned(reference, current)
    reasons = []
    for word, names in (("new", new), ("gone", gone)):
        if names:
            reasons.append(f"{len(names)} {word} categor{'y' if len(names) == 1 else 'ies'}: {_listed(names)}")
    base = replace(
        base,
        new_categories=new[:NAMED],
        gone_categories=gone[:NAMED],
        histogram=categorical_histogram(labels, first, second),
        reasons=tuple(reasons),
    )
    return _with(base, distance.categorical(first, second))


def _with(base: FeatureDrift, found: distance.Distance) -> FeatureDrift:
    return replace(
        base, computed=True, effect=found.effect, statistic=found.statistic, p_value=found.p_value, psi=found.psi
    )


def _decide(columns: list[FeatureDrift], alpha: float, effect: float) -> list[FeatureDrift]:
    """Adjust the p values of all columns together, and decide each column."""
    tests = {(column.name, "values"): column.p_value for column in columns}
    tests |= {(column.name, "missing"): column.missing_p_value for column in columns}
    q_values = distance.adjusted({test: p_value for test, p_value in tests.items() if p_value is not None})
    return [
        _decided(column, q_values.get((column.name, "values")), q_values.get((column.name, "missing")), alpha, effect)
        for column in columns
    ]


def _decided(
    column: FeatureDrift, q_value: float | None, missing_q_value: float | None, alpha: float, least: float
) -> FeatureDrift:
    drifted, reasons = not column.computed, []
    if column.effect is not None and q_value is not None:
        moved = q_value < alpha and column.effect >= least
        drifted |= moved
        reasons.append(_in_words("the distribution moved by", column.effect, q_value, alpha, least))
    if missing_q_value is not None and column.missing_reference is not None and column.missing_current is not None:
        change = column.missing_current - column.missing_reference
        drifted |= missing_q_value < alpha and abs(change) >= least
        reasons.append(_in_words("the share of missing values changed by", change, missing_q_value, alpha, least))
    return replace(
        column,
        q_value=q_value,
        missing_q_value=missing_q_value,
        drifted=drifted,
        reasons=(*reasons, *column.reasons),
    )


def _in_words(what: str, change: float, q_value: float, alpha: float, least: float) -> str:
    size = "enough to matter" if abs(change) >= least else "too little to matter"
    chance = "more than chance" if q_value < alpha else "may be chance"
    return f"{what} {change:.3g} (limit {least:g}: {size}), q {_rounded(q_value)} (limit {alpha:g}: {chance})"


def _rounded(q_value: float) -> str:
    return "< 0.0001" if q_value < 1e-4 else f"{q_value:.2g}"


def _missing(side: Profile) -> float:
    return side.missing / (side.n + side.missing)


def _missing_p_value(reference: Profile, current: Profile) -> float | None:
    if reference.missing == current.missing == 0:
        return None
    rows = reference.n + reference.missing, current.n + current.missing
    return distance.proportions(reference.missing, rows[0], current.missing, rows[1])


def _listed(names: tuple[str, ...]) -> str:
    shown = ", ".join(repr(name[:40]) for name in names[:5])
    return f"{shown} and {len(names) - 5} more" if len(names) > 5 else shown
