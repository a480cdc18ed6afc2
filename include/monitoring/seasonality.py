"""Is it the season? What moved as it does at this time of every year has not drifted.

The calendar is known before the data comes: where a year of history is kept, the current window is also held against
the same weeks of the years before. Whole weeks lie between them, so that weekdays meet weekdays.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta

from include.monitoring.drift import DriftReport, FeatureDrift

MARGIN = timedelta(weeks=2)  # on each side: a single week of a year is too few days
DAYS = 21  # with rows that a season must have
EXPLAINED = 0.5  # at most this part of the distance may be left

Stretch = tuple[date, date]


def season(first: date, last: date, earliest: date, period: timedelta) -> tuple[Stretch, ...]:
    """The same weeks of earlier years with a margin, as first and last days, the latest year first.

    ``period``: the length of a year, in whole weeks. Years that begin before ``earliest`` (the first day of history)
    are left out; the margin never reaches the window's own year. ``ValueError`` where the window ends before it begins.
    """
    if last < first:
        raise ValueError(f"the window ends on {last}, before it begins on {first}")

    def earlier() -> Iterator[Stretch]:
        start, end = first - period, last - period
        while start - MARGIN >= earliest:
            yield start - MARGIN, min(end + MARGIN, first - timedelta(days=1))
            start, end = start - period, end - period

    return tuple(earlier())


def needed(period: timedelta) -> int:
    """Days of history before a window from which on it has a season."""
    return (period + MARGIN).days


def told_apart(drifted: DriftReport, of_season: DriftReport) -> DriftReport:
    """The report with its drifted features held against the same season: ``seasonal`` are those that it explains.

    ``of_season`` compares the same current rows with those of ``season``. A feature is explained where its distance
    from the season is at most half of that from the reference, and is not itself drift. The prediction and shares of
    missing values are explained alike; what could not be computed is not. ``ValueError`` where the reports are not of
    the same features.
    """
    known = {each.name: each for each in of_season.features}
    if unknown := [each.name for each in drifted.features if each.name not in known]:
        raise ValueError(f"the season's report lacks {', '.join(unknown)}: compare the same rows with both references")
    prediction = drifted.prediction
    if prediction is not None and of_season.prediction is not None:
        prediction = _told_apart(prediction, of_season.prediction)
    features = tuple(_told_apart(each, known[each.name]) for each in drifted.features)
    return replace(drifted, features=features, prediction=prediction)


def _told_apart(found: FeatureDrift, same_season: FeatureDrift) -> FeatureDrift:
    if not found.drifted or not found.computed or not same_season.computed:
        return found
    before, after = _distance(found), _distance(same_season)
    words = f"from the same season of earlier years it is {after:.3g} away, from the reference {before:.3g}"
    if same_season.drifted or after > EXPLAINED * before:
        return replace(found, reasons=(*found.reasons, f"no season: {words}"))
    return replace(found, drifted=False, seasonal=True, reasons=(*found.reasons, f"the season explains it: {words}"))


def _distance(found: FeatureDrift) -> float:
    """The larger of the distances of values and of missing shares."""
    return max(found.effect or 0.0, abs((found.missing_current or 0.0) - (found.missing_reference or 0.0)))
