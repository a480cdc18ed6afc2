"""Small searches: use cases, rows and models of the tests."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import yaml
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import Ridge

from include.contract.use_case import UseCase
from include.settings import REPOSITORY
from include.training.fitting import Examples
from include.training.folds import Fold, rolling_origin
from include.training.search import Found, search

ALPHA = {"alpha": {"low": 0.001, "high": 10000.0, "log": True}}
RIDGE = {"alpha": 5000.0}
TREES = {"max_iter": {"low": 2, "high": 5}, "learning_rate": {"low": 0.05, "high": 0.5}}
DIES_AT = 4


def config(task: str, params: dict[str, Any], **options: Any) -> UseCase:
    content = yaml.safe_load((REPOSITORY / "include/use_cases/flight_delay/use_case.yaml").read_text(encoding="utf-8"))
    content["training"] |= {"params": params, "search": {"trials": 6, **options}}
    if task == "regression":
        content["task"] = task
        content["serving"] = {}
        content["monitoring"]["quality"]["metric"] = content["gate"]["champion"]["metric"] = "mae"
        content["gate"]["limits"] = {"mae": {"max": 5}}
    return UseCase.model_validate(content)


def rows(task: Any, seed: int = 0, count: int = 600) -> tuple[Examples, list[Fold]]:
    generator = np.random.default_rng(seed)
    hours = np.sort(generator.integers(0, 24 * 60, count))
    times = pl.Series(
        [datetime(2013, 1, 1, tzinfo=UTC) + timedelta(hours=int(hour)) for hour in hours],
        dtype=pl.Datetime("us", "UTC"),
    )
    frame = pd.DataFrame({f"x{number}": generator.normal(size=count) for number in range(4)})
    labels = frame["x0"] + frame["x1"] * frame["x2"] + generator.normal(size=count)
    if task == "classification":
        labels = (labels > 0).astype(float)
    folds = rolling_origin(times, times + timedelta(days=1), 3, timedelta(days=10))
    return Examples(task, frame, labels.to_numpy()), folds


def ridge(params: dict[str, Any]) -> Any:
    return Ridge(alpha=params["alpha"], random_state=params["seed"])


def trees(params: dict[str, Any]) -> Any:
    return HistGradientBoostingClassifier(
        max_iter=params["max_iter"], learning_rate=params["learning_rate"], random_state=params["seed"]
    )


def searched(path: Path, use_case: UseCase, build: Any = ridge, **options: Any) -> Found:
    examples, folds = options.pop("of", None) or rows(use_case.task)
    return search(use_case, build, examples, folds, storage=path / "studies.db", study="one", **options)


def dies(path: str) -> None:
    """A search whose process is there to be killed in its fourth trial."""
    numbers: list[int] = []

    def build(params: dict[str, Any]) -> Any:
        if len(numbers) == DIES_AT - 1:
            print("hangs", flush=True)
            time.sleep(600)
        return ridge(params)

    use_case = config("regression", RIDGE, space=ALPHA, trials=8)
    searched(Path(path), use_case, build, on_trial=lambda number, *_: numbers.append(number))
