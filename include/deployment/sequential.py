"""Is the challenger worse? A sequential test of the differences by day: looked at as often as one likes, it holds.

Rows of one day hang together (the weather, a strike, a holiday), so that a day is one observation: the challenger's
mean loss less the champion's. Nothing is assumed about rows within a day. Of days it is assumed that, given the days
before, the difference lies symmetrically about a centre; where it makes no difference which of two models is which, it
does so about 0. The spread may be another one every day, as it is for other shares of the requests.

The test is a bet (Waudby-Smith & Ramdas, "Estimating means of bounded random variables by betting", JRSS B 86, 2024):
who believes that the centre is above ``m`` stakes a share ``s`` of the capital on each day and holds ``1 + s x`` times
as much afterwards, where ``x`` in [-1, 1] is the difference less ``m`` in units of the median size of the days before,
cut at 1. Where the centre is at most ``m`` the bet is not favourable, so that the capital ever reaches ``1 / alpha``
times its beginning with a probability of at most ``alpha`` (Ville's inequality), over all days and looks together. The
capital is spread evenly over all shares (a mixture, as Robbins's).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from include.records import Record

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]

Verdict = Literal["worse", "not worse", "undecided"]

SHARES = (np.arange(50) + 0.5) / 50
HALVINGS = 20


@dataclass(frozen=True)
class Comparison(Record):
    """What days have shown of the challenger's loss less the champion's; positive: worse.

    ``interval``: each end holds with confidence ``1 - alpha`` at all looks together; an end that the days do not tell
    yet is as far out as the loss can be. ``mean``: of the days, None before the first.
    """

    verdict: Verdict
    mean: float | None
    interval: tuple[float, float]
    days: int


def compare(differences: Sequence[float], *, alpha: float, tolerance: float = 0.0, bound: float = 1.0) -> Comparison:
    """Hold the differences by day, in their order, against what is tolerated.

    ``worse``: the centre is above ``tolerance``; ``not worse``: it is not. Each is said wrongly with a probability of
    at most ``alpha`` however many days come, and once it is said, more days do not take it back; where both were
    reached, ``worse`` is what counts. No difference is beyond ``bound``.
    ``ValueError`` for one that is, or is no number.
    """
    days = np.asarray(differences, dtype=np.float64)
    if not np.all(np.abs(days) <= bound):
        raise ValueError(
            f"a difference of {days[~(np.abs(days) <= bound)][0]:g} is not within -{bound:g} and {bound:g}"
        )
    sizes = _sizes(days)

    def reached(excess: Vector) -> bool:
        return _reached(excess, sizes, alpha)

    verdict: Verdict = "undecided"
    if reached(days - tolerance):
        verdict = "worse"
    elif reached(tolerance - days):
        verdict = "not worse"
    interval = (
        _last_refuted(lambda centre: reached(days - centre), bound),
        -_last_refuted(lambda centre: reached(-days - centre), bound),
    )
    return Comparison(verdict, float(days.mean()) if days.size else None, interval, days.size)


def _last_refuted(refuted: Callable[[float], bool], bound: float) -> float:
    """The greatest centre that is too low; the capital falls as the centre that is bet against rises."""
    low, high = -bound, bound
    if not refuted(low):
        return low
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if refuted(middle) else (low, middle)
    return low


def _reached(excess: Vector, sizes: Vector, alpha: float) -> bool:
    """Whether a bet on an excess above 0 has ever had ``1 / alpha`` times its capital."""
    if not excess.size:
        return False
    by_share = np.cumsum(np.log1p(np.outer(_in_units(excess, sizes), SHARES)), axis=0)
    capital = np.logaddexp.reduce(by_share, axis=1) - math.log(len(SHARES))
    return bool(capital.max() >= -math.log(alpha))


def _in_units(excess: Vector, sizes: Vector) -> Vector:
    """The excess of each day in its unit, cut at 1; where that is 0 (the first day), the sign alone."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        cut: Vector = np.clip(np.where(sizes > 0, excess / sizes, np.sign(excess)), -1, 1)
    return cut


def _sizes(days: Vector) -> Vector:
    """The median size of the days before each; 0 before the first."""
    sizes = np.abs(days)
    return np.array([np.median(sizes[:number]) if number else 0.0 for number in range(len(days))])
