"""Has the data moved away from what the model was trained on?

A column has drifted if its distance from the reference is both more than chance (false discovery rate over all
features) and large enough to matter (effect size). Either alone raises false alarms: tests find every difference in
large samples, distances are never zero in small ones. Where rows hang together by day, chance is counted in the
independent draws that they are worth (``dependence``).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace

import numpy as np
import polars as pl

from include.contract.monitoring import DriftConfig
from include.monitoring import distance, wording
from include.monitoring.dependence import unsure
from include.monitoring.distance import Draws
from include.monitoring.distributions import (
    CategoricalProfile,
    Histogram,
    Kind,
    NumericProfile,
    Profile,
    WrongTypeError,
    categorical_histogram,
    numeric_histogram,
    profile_of,
)
from include.monitoring.reference import EmptyWindowError, ReferenceProfile, blocks_of, height, series_of
from include.records import Record

NAMED = 20  # categories that a result lists


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
    superiority: float | None = None  # numeric: chance that a current value exceeds one of the reference, .5 if alike
    jensen_shannon: float | None = None  # categorical: distance, 0 to 1
    draws_reference: float | None = None  # independent draws that the values are worth
    draws_current: float | None = None
    seasonal: bool = False  # moved as it did at this time of earlier years: no drift
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
    season: str = ""  # the earlier years that what moved was held against, or why it was not

    @property
    def drifted(self) -> tuple[str, ...]:
        """The names of the features that have drifted."""
        return tuple(feature.name for feature in self.features if feature.drifted)

    @property
    def seasonal(self) -> tuple[str, ...]:
        """The names of the features whose move the season explains."""
        return tuple(feature.name for feature in self.features if feature.seasonal)


def compare(
    profile: ReferenceProfile,
    current: pl.DataFrame | pl.LazyFrame,
    config: DriftConfig,
    *,
    blocks: str | None = None,
) -> DriftReport:
    """Hold the current rows against the reference; columns that the reference does not know are ignored.

    The false discovery rate is controlled over the value and missingness tests of all features together; the prediction
    is a question of its own. ``blocks`` names the column of the blocks (days) whose rows hang together, as the
    reference was given it; without it rows count as independent draws. So do predictions in any case: they are to warn
    early, of a few unusual days, too, and not only of what will last. A lazy frame is read a column at a time.
    Raises ``EmptyWindowError`` where the current data has no rows, ``ValueError`` where it lacks the blocks.
    """
    lazy = current.lazy()
    if (rows := height(lazy)) == 0:
        raise EmptyWindowError("the current data has no rows: drift cannot be computed")
    within = blocks_of(lazy, blocks)
    size = within.size if within else None
    measured = [_measure(name, reference, lazy, size) for name, reference in profile.features.items()]
    prediction = None
    if profile.prediction is not None and profile.prediction_name is not None:
        own = _measure(profile.prediction_name, profile.prediction, lazy, None)
        (prediction,) = decide([own], config.alpha, config.prediction_effect)
    return DriftReport(
        features=tuple(decide(measured, config.alpha, config.effect)),
        prediction=prediction,
        rows_reference=profile.rows,
        rows_current=rows,
        alpha=config.alpha,
        effect=config.effect,
        prediction_effect=config.prediction_effect,
    )


def compare_labels(
    profile: ReferenceProfile, labels: pl.DataFrame, name: str, config: DriftConfig, *, blocks: str | None = None
) -> FeatureDrift:
    """Hold the labels that have come (column ``name``) against those that were learned from.

    Raises ``EmptyWindowError`` where none have come, ``ValueError`` where the reference keeps no labels.
    """
    if profile.label is None:
        raise ValueError(f"the reference keeps no labels: make it with ReferenceProfile.of(..., label={name!r})")
    if labels.height == 0:
        raise EmptyWindowError("no labels have come: their drift cannot be computed")
    within = blocks_of(labels.lazy(), blocks)
    own = _measure(name, profile.label, labels.lazy(), within.size if within else None)
    (found,) = decide([own], config.alpha, config.label_effect)
    return found


def _measure(name: str, reference: Profile, frame: pl.LazyFrame, size: float | None) -> FeatureDrift:
    """Effects and p values of one column, undecided. ``size``: rows of a current row's block on average."""
    empty = FeatureDrift(name, reference.kind, False, False, (), reference.n, 0, missing_reference=_missing(reference))
    if name not in frame.collect_schema().names():
        return replace(empty, reasons=("could not be computed: the column is missing from the current data",))
    try:
        current = profile_of(series_of(frame, name), reference.kind, keep=None)
    except (WrongTypeError, pl.exceptions.PolarsError) as error:
        return replace(empty, reasons=(f"could not be computed: {error}",))
    base = replace(
        empty,
        n_current=current.n,
        missing_current=_missing(current),
        missing_p_value=_missing_p_value(reference, current, size),
    )
    return _values(base, reference, current, Draws.of(reference, current, size))


def _values(base: FeatureDrift, reference: Profile, current: Profile, worth: Draws) -> FeatureDrift:
    """The same with the distance of the values that are not missing."""
    if reference.n == current.n == 0:
        return replace(base, computed=True, reasons=("no values in the reference, and none in the current data",))
    if reference.n == 0 or current.n == 0:
        side = "the reference" if reference.n == 0 else "the current data"
        return replace(base, reasons=(f"could not be computed: all values are missing in {side}",))
    base = replace(base, draws_reference=worth.level[0], draws_current=worth.level[1])
    if isinstance(reference, NumericProfile) and isinstance(current, NumericProfile):
        found = distance.numeric(reference, current, worth)
        if not np.isfinite([found.effect, found.p_value]).all():
            return replace(base, reasons=("could not be computed: the values are too large for a distance",))
        return _with(replace(base, histogram=numeric_histogram(reference, current)), found)
    if isinstance(reference, CategoricalProfile) and isinstance(current, CategoricalProfile):
        return _categorical(base, reference, current, worth)
    raise AssertionError(f"{base.name}: profiles of two kinds")


def _categorical(
    base: FeatureDrift, reference: CategoricalProfile, current: CategoricalProfile, worth: Draws
) -> FeatureDrift:
    labels, first, second, new, gone = distance.aligned(reference, current)
    reasons = []
    for word, names in (("new", new), ("gone", gone)):
        if names:
            reasons.append(f"{len(names)} {word} categor{'y' if len(names) == 1 else 'ies'}: {wording.listed(names)}")
    base = replace(
        base,
        new_categories=new[:NAMED],
        gone_categories=gone[:NAMED],
        histogram=categorical_histogram(labels, first, second),
        reasons=tuple(reasons),
    )
    return _with(base, distance.categorical(first, second, worth))


def _with(base: FeatureDrift, found: distance.Distance) -> FeatureDrift:
    return replace(base, computed=True, **asdict(found))


def decide(columns: list[FeatureDrift], alpha: float, effect: float) -> list[FeatureDrift]:
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
        reasons.append(wording.change("the distribution moved by", column.effect, q_value, alpha, least))
    if missing_q_value is not None and column.missing_reference is not None and column.missing_current is not None:
        change = column.missing_current - column.missing_reference
        drifted |= missing_q_value < alpha and abs(change) >= least
        reasons.append(wording.change("the share of missing values changed by", change, missing_q_value, alpha, least))
    return replace(
        column,
        q_value=q_value,
        missing_q_value=missing_q_value,
        drifted=drifted,
        reasons=(*reasons, *column.reasons),
    )


def _missing(side: Profile) -> float:
    return side.missing / (side.n + side.missing)


def _missing_p_value(reference: Profile, current: Profile, size: float | None) -> float | None:
    if reference.missing == current.missing == 0:
        return None
    rho = reference.dependence.missing if reference.dependence else 0.0
    worth = Draws.of_rows(reference, current, rho, size)
    p_value = distance.proportions(_missing(reference), _missing(current), *worth.level)
    return unsure(p_value, worth.freedom)
