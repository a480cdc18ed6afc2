"""How often does the drift check cry wolf, and does it still see a wolf?

30 features, 20 numeric of five shapes and 10 categorical with 2 to 100 levels, drawn anew for reference and current.
A false alarm is any material feature where nothing has changed. Then one numeric feature in turn is shifted. The peers
see the same draws: the rule of most tutorials, and Evidently's default report (any drifted column), which is asked
about fewer of them since a report of 30 small columns costs it two CPU seconds.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from scipy.stats import chi2_contingency, ks_2samp

from benchmarks.drift_samples import NUMERIC, evidently, frame
from benchmarks.peers.environments import NotInstalledError, install
from include.contract.monitoring import DriftConfig
from include.monitoring.drift import compare, decide
from include.monitoring.reference import ReferenceProfile
from include.settings import Settings

LIBRARIES = ("numpy", "polars", "scipy")
REPEATS = 200
ALPHA = 0.05  # of the tutorial
SIZES = (1_000, 10_000, 100_000)
EVIDENTLY = {1_000: 20, 10_000: 10}  # repeats by size
ALARMS = 0.01
SHIFTS = (0.02, 0.1, 0.25)
LEAST = {(1_000, 0.25): 0.9, (10_000, 0.25): 0.99, (10_000, 0.1): 0.9, (100_000, 0.25): 0.99}
MOST = {(100_000, 0.02): 0.01}


def drawn(rows: int, repeat: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    generator = np.random.default_rng([rows, repeat])
    return frame(generator, rows), frame(generator, rows)


def tutorial(reference: pl.DataFrame, current: pl.DataFrame) -> bool:
    """Any feature with p < .05 of a Kolmogorov-Smirnov or chi-square test, as most tutorials have it."""
    for name in reference.columns:
        sides = [each[name].drop_nulls() for each in (reference, current)]
        if sides[0].dtype.is_numeric():
            p_value = ks_2samp(*(side.to_numpy() for side in sides), method="asymp").pvalue
        else:
            both = pl.concat([side.cast(pl.String) for side in sides]).rank("dense").to_numpy().astype(np.int64)
            parts = np.split(both, [len(sides[0])])
            p_value = chi2_contingency([np.bincount(part, minlength=both.max() + 1)[1:] for part in parts]).pvalue
        if p_value < ALPHA:
            return True
    return False


def one(rows: int, repeat: int) -> dict[Any, bool]:
    """Of one draw: false alarms of both rules, and whether each shift is seen."""
    config = DriftConfig()
    reference, current = drawn(rows, repeat)
    profile = ReferenceProfile.of(reference)
    still = compare(profile, current, config)
    found: dict[Any, bool] = {"ours": bool(still.drifted), "tutorial": tutorial(reference, current)}
    moved = reference.columns[repeat % NUMERIC]
    alone = ReferenceProfile(rows, {moved: profile.features[moved]})
    spread = float(np.std(reference[moved].to_numpy()))
    for shift in SHIFTS:
        shifted = compare(alone, current.select(pl.col(moved) + shift * spread), config).features
        columns = [*shifted, *(each for each in still.features if each.name != moved)]
        found[shift] = decide(columns, config.alpha, config.effect)[0].drifted
    return found


def reports(environment: Path, rows: int, repeats: int) -> float:
    """The share of draws in which Evidently's report has a drifted column."""
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder) / f"{repeat}_{side}.parquet" for repeat in range(repeats) for side in (0, 1)]
        for repeat in range(repeats):
            for file, side in zip(files[2 * repeat :], drawn(rows, repeat), strict=False):
                side.with_columns(pl.selectors.enum().cast(pl.String)).write_parquet(file)
        return float(np.mean([each["drifted"] > 0 for each in evidently(environment, files)]))


def shares(found: Sequence[dict[Any, bool]]) -> dict[Any, float]:
    names = {name for each in found for name in each}
    return {name: float(np.mean([each[name] for each in found if name in each])) for name in names}


def entries(rows: int, measured: dict[Any, float], evident: float | None) -> Iterator[dict[str, Any]]:
    what = f"{rows:,} rows a side, {REPEATS} repeats"
    alarms = measured["ours"]
    peers = {f"tutorial rule, {REPEATS} repeats": measured["tutorial"]}
    if rows in EVIDENTLY and evident is not None:
        peers[f"Evidently's defaults, {EVIDENTLY[rows]} repeats"] = evident
    for peer, rate in peers.items():
        yield {
            "name": f"drift: false alarms of any of 30 features, {what}; peer: {peer}",
            "ours": alarms, "peer": rate, "ratio": alarms / rate if rate else None,
            "goal": f"below {ALARMS}", "met": alarms < ALARMS, "unit": "share of comparisons without drift",
        }  # fmt: skip
    for shift in SHIFTS:
        limit = LEAST.get((rows, shift), MOST.get((rows, shift)))
        if limit is None:
            continue
        least, power = (rows, shift) in LEAST, measured[shift]
        yield {
            "name": f"drift: a shift of {shift} sd in 1 of 30 features is seen, {what}",
            "ours": power, "limit": limit, "goal": f"at {'least' if least else 'most'} {limit}",
            "met": power >= limit if least else power <= limit, "unit": "share of comparisons with it",
        }  # fmt: skip


def run() -> list[dict[str, Any]]:
    try:
        environment: Path | None = install("evidently", Settings().home.resolve())
    except NotInstalledError as error:
        print(f"  without {error}", file=sys.stderr, flush=True)
        environment = None
    found: list[dict[str, Any]] = []
    with ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("spawn")) as pool:
        for rows in SIZES:
            measured = shares(list(pool.map(one, [rows] * REPEATS, range(REPEATS), chunksize=4)))
            asked = environment is not None and rows in EVIDENTLY
            evident = reports(environment, rows, EVIDENTLY[rows]) if asked and environment else None
            found += entries(rows, measured, evident)
            print(f"  {rows:,} rows done", file=sys.stderr, flush=True)
    return found
