"""What the drift benchmarks draw, and what Evidently says of it."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

LEVELS = (2, 3, 4, 5, 8, 12, 20, 30, 50, 100)
SHAPES = ("normal", "lognormal", "uniform", "counts", "bimodal")
NUMERIC = 20
REPORT = Path(__file__).resolve().parent / "peers" / "evidently_report.py"


def frame(generator: np.random.Generator, rows: int, *, columns: int = 30) -> pl.DataFrame:
    """``rows`` without any drift: numbers of five shapes in turn, and every third column of 2 to 100 categories."""
    found: dict[str, pl.Series] = {}
    for number in range(columns * 2 // 3):
        shape = SHAPES[number % len(SHAPES)]
        found[f"{shape}_{number}"] = pl.Series(_numbers(generator, shape, rows))
    for levels in LEVELS[: columns - len(found)]:
        weights = 1 / np.arange(1, levels + 1)
        codes = np.searchsorted(np.cumsum(weights / weights.sum())[:-1], generator.random(rows), "right")
        names = pl.Enum([f"c{level:03}" for level in range(levels)])
        found[f"categories_{levels}"] = pl.Series(codes.astype(np.uint32)).cat.to(names)
    return pl.DataFrame(found)


def _numbers(generator: np.random.Generator, shape: str, rows: int) -> np.ndarray:
    if shape == "normal":
        return generator.normal(size=rows)
    if shape == "lognormal":
        return generator.lognormal(size=rows)
    if shape == "uniform":
        return generator.uniform(size=rows)
    if shape == "counts":
        return generator.poisson(4, size=rows).astype(np.float64)
    return generator.normal(size=rows) + 4 * (generator.random(rows) < 0.5)


def evidently(environment: Path, files: Sequence[Path]) -> list[dict[str, Any]]:
    """What Evidently's default report says of pairs of Parquet files, and what it costs."""
    command = [str(environment / "bin" / "python"), str(REPORT), *map(str, files)]
    quiet = {**os.environ, "DO_NOT_TRACK": "1", "PYTHONPATH": "", "PYTHONWARNINGS": "ignore"}
    answer = subprocess.run(command, capture_output=True, text=True, check=False, env=quiet)
    if answer.returncode:
        raise RuntimeError(f"Evidently failed:\n{answer.stderr[-2000:]}")
    return [json.loads(line) for line in answer.stdout.splitlines() if line.startswith("{")]
