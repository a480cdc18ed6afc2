"""Columns of numbers and of days, for the tests of drift."""

import numpy as np
import polars as pl

from include.contract.monitoring import DriftConfig
from include.monitoring.drift import compare
from include.monitoring.reference import ReferenceProfile

CONFIG = DriftConfig(alpha=0.01, effect=0.08, prediction_effect=0.1)


def normal(rows, mean=0.0, seed=0):
    return np.random.default_rng(seed).normal(mean, 1, rows)


def one(reference, current, config=CONFIG):
    """The drift of a single column."""
    report = compare(ReferenceProfile.of(pl.DataFrame({"x": reference})), pl.DataFrame({"x": current}), config)
    return report.features[0]


def of_days(days, rows, seed, within=1.0, between=1.0, shift=0.0):
    """Rows that share a part with those of their day."""
    generator = np.random.default_rng(seed)
    day = np.repeat(np.arange(days), rows)
    value = generator.normal(0, between, days)[day] + generator.normal(shift, within, days * rows)
    share = 1 / (1 + np.exp(-generator.normal(0, between, days)))
    names = np.where(generator.random(days * rows) < share[day], "a", "b")
    names = np.where(generator.random(days * rows) < 0.3, "c", names)
    return pl.DataFrame({"x": value, "c": names, "day": day})
