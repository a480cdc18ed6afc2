"""The rows of a version's test stretch, as its training run logged them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import polars as pl

from include.registry.models import ModelVersion
from include.registry.runs import TEST_FILE, logged_file


def test_rows(version: ModelVersion) -> pl.DataFrame:
    """Features, label, block and the version's predictions as made at training."""
    return pl.read_parquet(logged_file(version, TEST_FILE))


def json_rows(rows: pl.DataFrame, features: Sequence[str]) -> list[dict[str, Any]]:
    """The features of each row as a client sends them."""
    return [{name: _json_value(row[name]) for name in features} for row in rows.iter_rows(named=True)]


def _json_value(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
