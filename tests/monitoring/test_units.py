"""A column in another unit is told from one that moved."""

import numpy as np
import polars as pl
import pytest

from include.monitoring.distributions import NumericProfile
from include.monitoring.units import CONVERSIONS, conversion


def profile(values):
    return NumericProfile.of(pl.Series(values))


def drawn(seed, count=3000):
    return np.random.default_rng(seed).gamma(4, 10, count)


@pytest.mark.parametrize("unit", CONVERSIONS, ids=lambda unit: unit.words)
def test_every_known_conversion_is_named(unit):
    assert conversion(profile(drawn(1)), profile(unit.factor * drawn(2) + unit.offset)) == unit


@pytest.mark.parametrize(
    "values", [drawn(2), drawn(2) * 1.3, drawn(2) + 30, np.sqrt(drawn(2)) * 1000, drawn(2, 20) * 10, np.full(50, 3.0)]
)
def test_what_only_moved_is_no_conversion(values):
    assert conversion(profile(drawn(1)), profile(values)) is None
