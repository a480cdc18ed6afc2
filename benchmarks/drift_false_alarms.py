"""How often does the drift check cry wolf, and does it still see a wolf?

30 features, 20 numeric of five shapes and 10 categorical with 2 to 100 levels, drawn anew for reference and current.
The peer is the rule of most tutorials: a Kolmogorov-Smirnov or chi-square test per feature, any p < .05 is drift.

``run`` uses 200 repeats at 1,000 rows a side and 120 at 10,000 (to stay under 2 minutes on one core), each with and
without a shift of .25 standard deviations in one numeric feature.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
import polars as pl
from scipy.stats import chi2_contingency, ks_2samp

from include.contract.use_case import DriftConfig
from include.monitoring.drift import ReferenceProfile, compare

REPEATS = {1_000: 200, 10_000: 120}
LEVELS = (2, 3, 4, 5, 8, 12, 20, 30, 50, 100)
SHIFT = 0.25
NUMERIC = 20


def frame(generator: np.random.Generator, rows: int) -> pl.DataFrame:
    """``rows`` of 30 features without any drift."""
    columns: dict[str, np.ndarray] = {}
    for number in range(0, NUMERIC, 5):
        columns[f"normal_{number}"] = generator.normal(size=rows)
        columns[f"lognormal_{number}"] = generator.lognormal(size=rows)
        columns[f"uniform_{number}"] = generator.uniform(size=rows)
        columns[f"counts_{number}"] = generator.poisson(4, size=rows).astype(np.float64)
        late = generator.random(rows) < 0.5
        columns[f"bimodal_{number}"] = np.where(late, generator.normal(4, 1, rows), generator.normal(0, 1, rows))
    for levels in LEVELS:
        weights = 1 / np.arange(1, levels + 1)
        drawn = generator.choice(levels, size=rows, p=weights / weights.sum())
        columns[f"categories_{levels}"] = np.array([f"c{level:03}" for level in range(levels)])[drawn]
    return pl.DataFrame(columns)


def tutorial(reference: pl.DataFrame, current: pl.DataFrame) -> bool:
    """Any feature with p < .05."""
    for name in reference.columns:
        first, second = reference[name].to_numpy(), current[name].to_numpy()
        if reference[name].dtype.is_numeric():
            p_value = ks_2samp(first, second, method="asymp").pvalue
        else:
            names, codes = np.unique(np.concatenate([first, second]), return_inverse=True)
            table = [np.bincount(side, minlength=len(names)) for side in (codes[: len(first)], codes[len(first) :])]
            p_value = chi2_contingency(np.array(table)).pvalue
        if p_value < 0.05:
            return True
    return False


def rates(rows: int, repeats: int) -> dict[str, float]:
    """Shares of the repeats: false alarms of both rules, and ours flagging the shifted feature."""
    found = {"ours": 0, "peer": 0, "power": 0}
    for repeat in range(repeats):
        generator = np.random.default_rng([rows, repeat])
        reference, current = frame(generator, rows), frame(generator, rows)
        profile = ReferenceProfile.of(reference)
        found["ours"] += bool(compare(profile, current, DriftConfig()).drifted)
        found["peer"] += tutorial(reference, current)
        moved = reference.columns[repeat % NUMERIC]
        spread = float(np.std(reference[moved].to_numpy()))
        shifted = current.with_columns(pl.col(moved) + SHIFT * spread)
        found["power"] += moved in compare(profile, shifted, DriftConfig()).drifted
    return {name: count / repeats for name, count in found.items()}


def entries(rows: int, repeats: int) -> Iterator[dict[str, object]]:
    """False alarms against the tutorial's; power against what is asked of it (the peer finds it by alarming always)."""
    measured = rates(rows, repeats)
    alarms, peer, power = measured["ours"], measured["peer"], measured["power"]
    yield {
        "name": f"drift: false alarms of any of 30 features, {rows:,} rows a side, {repeats} repeats",
        "ours": alarms,
        "peer": peer,
        "ratio": alarms / peer if peer else None,
        "goal": "at most .03",
        "met": alarms <= 0.03,
        "unit": "share of comparisons without drift",
    }
    least = 0.7 if rows < 10_000 else 0.99
    yield {
        "name": f"drift: power for a shift of .25 sd in 1 of 30 features, {rows:,} rows a side, {repeats} repeats",
        "ours": power,
        "peer": None,
        "ratio": None,
        "goal": f"at least {least}",
        "met": power >= least,
        "unit": "share of comparisons with that drift",
    }


def run() -> list[dict[str, object]]:
    return [entry for rows, repeats in REPEATS.items() for entry in entries(rows, repeats)]


if __name__ == "__main__":
    print(json.dumps(run(), indent=2))
