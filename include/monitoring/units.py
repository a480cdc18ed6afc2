"""Is a column the same quantity in another unit?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from include.monitoring.distributions import NumericProfile

LEVELS = np.linspace(0.05, 0.95, 19)
ALIKE = 0.15  # mean distance of the quantiles after the conversion, in standard deviations of the current values
BETTER = 0.25  # ... as a share of what it is without
FEWEST = 30


@dataclass(frozen=True)
class Conversion:
    """``now = factor * before + offset``."""

    factor: float
    offset: float
    words: str


def _both(factor: float, words: str, back: str) -> tuple[Conversion, Conversion]:
    return Conversion(factor, 0.0, words), Conversion(1 / factor, 0.0, back)


CONVERSIONS = (
    *_both(10, "10 times as large", "a tenth"),
    *_both(100, "100 times as large, as from shares to per cent", "a hundredth, as from per cent to shares"),
    *_both(1000, "1000 times as large, as from kilo", "a thousandth, as to kilo"),
    *_both(60, "60 times as large, as from hours to minutes", "a 60th, as from minutes to hours"),
    *_both(3600, "3600 times as large, as from hours to seconds", "a 3600th, as from seconds to hours"),
    *_both(1.609344, "1.609 times as large, as from miles to kilometres", "a 1.609th, as from kilometres to miles"),
    *_both(3.28084, "3.281 times as large, as from metres to feet", "a 3.281th, as from feet to metres"),
    *_both(2.54, "2.54 times as large, as from inches to centimetres", "a 2.54th, as from centimetres to inches"),
    *_both(2.204623, "2.205 times as large, as from kilograms to pounds", "a 2.205th, as from pounds to kilograms"),
    Conversion(1.8, 32.0, "as from degrees Celsius to Fahrenheit"),
    Conversion(1 / 1.8, -32 / 1.8, "as from degrees Fahrenheit to Celsius"),
    Conversion(1.0, 273.15, "as from degrees Celsius to kelvins"),
    Conversion(1.0, -273.15, "as from kelvins to degrees Celsius"),
)


def conversion(reference: NumericProfile, current: NumericProfile) -> Conversion | None:
    """The conversion that makes the reference's quantiles the current ones; None where none does, or values are few."""
    if min(reference.n, current.n) < FEWEST or not reference.sd or not current.sd:
        return None
    before, now = (np.quantile(side.array, LEVELS) for side in (reference, current))

    def apart(found: Conversion) -> float:
        return float(np.mean(np.abs(now - (found.factor * before + found.offset)))) / current.sd

    best = min(CONVERSIONS, key=apart)
    return best if apart(best) <= min(ALIKE, BETTER * apart(Conversion(1.0, 0.0, ""))) else None
