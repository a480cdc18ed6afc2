"""One question of the gate and its answer, and the answers together."""

from __future__ import annotations

import math
from dataclasses import dataclass

from include.records import Record

FIRST, GAIN = "champion", "gain"
DECISIVE = (FIRST, GAIN)  # the checks that say what there is to gain, by their names


@dataclass(frozen=True)
class Check(Record):
    """One question of the gate and its answer. ``value`` and ``limit`` are numbers of one unit; None: there is none."""

    name: str
    passed: bool
    value: float | None
    limit: float | None
    reason: str


@dataclass(frozen=True)
class Verdict(Record):
    """The gate's answer. ``reasons`` are those of the failed checks, or of an approval what there is to gain."""

    candidate: str
    champion: str | None
    approved: bool
    checks: tuple[Check, ...]
    reasons: tuple[str, ...]


def not_computed(name: str, limit: float | None, what: str) -> Check:
    """A check that could not be computed has failed; ``what`` says what is missing."""
    return Check(name, False, None, limit, f"{what} could not be computed")


def at_least(name: str, value: float | None, limit: float, what: str, *, unit: str = "", why: str = "") -> Check:
    """Passes from ``limit`` on, that included. ``what`` is measured in ``unit``; ``why`` is said where it fails."""
    return _bounded(name, value, limit, what, unit=unit, why=why, least=True)


def at_most(name: str, value: float | None, limit: float, what: str, *, unit: str = "", why: str = "") -> Check:
    """Passes up to ``limit``, that included. ``what`` is measured in ``unit``; ``why`` is said where it fails."""
    return _bounded(name, value, limit, what, unit=unit, why=why, least=False)


def number(value: float, digits: int = 4) -> str:
    """So many significant digits, or all digits before the point where those are more."""
    return f"{value:.{digits}g}" if abs(value) < 10**digits - 0.5 else f"{value:.0f}"


def number_or_none(value: float) -> float | None:
    """What a check can carry: None for NaN and the infinities."""
    return value if math.isfinite(value) else None


def _bounded(name: str, value: float | None, limit: float, what: str, *, unit: str, why: str, least: bool) -> Check:
    if value is None or not math.isfinite(value):
        return not_computed(name, limit, what)
    passed = value >= limit if least else value <= limit
    side = {True: ("below", "at least"), False: ("above", "at most")}[least][passed]
    shown, bound = _told_apart(value, limit)
    unit = f" {unit}" if unit else ""
    reason = f"{what} is {shown}{unit}, {side} {bound}{unit}"
    return Check(name, passed, value, limit, f"{reason}: {why}" if why and not passed else reason)


def _told_apart(value: float, limit: float) -> tuple[str, str]:
    """Both as ``number`` writes them, with more digits where a failed check would read "0.6 is above 0.6"."""
    digits = next((d for d in range(4, 17) if number(value, d) != number(limit, d)), 4)
    return number(value, digits), number(limit, digits)
