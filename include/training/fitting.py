"""Fits an estimator on labelled rows: what cannot be learned from is refused first, by name and with the cure."""

from __future__ import annotations

import resource
import sys
import threading
import time
import warnings as python_warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

import polars as pl

from include.contract.use_case import Task

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray
    from sklearn.base import BaseEstimator

    from include.contract.authoring import Model

    Vector = NDArray[np.float64]

Build = Callable[[dict[str, Any]], "BaseEstimator"]

MIB = 2**20
PAUSE = 0.02  # seconds between two looks at the memory


class FitError(ValueError):
    """Rows, weights or an estimator that nothing can be learned with; the message says what to change."""


@dataclass(frozen=True)
class Examples:
    """Labelled rows: a frame as ``to_model_input`` makes it, and by row the label and, if any, the weight."""

    task: Task
    frame: pd.DataFrame
    labels: Vector
    weights: Vector | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, rows: NDArray[np.int64]) -> Examples:
        """The rows of these numbers."""
        weights = None if self.weights is None else self.weights[rows]
        return replace(self, frame=self.frame.iloc[rows], labels=self.labels[rows], weights=weights)

    @property
    def target(self) -> NDArray[Any]:
        """The labels as an estimator takes them: a classification's are whole numbers."""
        return self.labels.astype("int64") if self.task == "classification" else self.labels


@dataclass(frozen=True)
class Fitted:
    """A fitted model, the seconds it took, the most memory that the process held meanwhile, and what is remarkable.

    ``peak`` is the resident memory of the whole process in MiB, of which the rows are a part; memory of other processes
    that an estimator starts (``n_jobs``) is not in it.
    """

    model: BaseEstimator
    seconds: float
    peak: float
    warnings: tuple[str, ...]


def fit(build: Build, params: Mapping[str, Any], examples: Examples) -> Fitted:
    """Check the rows, build the estimator and fit it; ``FitError`` where one of them fails, with its cause."""
    notes = check(examples)
    started = time.perf_counter()
    with _peak_memory() as peak, noted_warnings() as raised:
        model = fit_unchecked(build, params, examples)
    seconds = time.perf_counter() - started
    return Fitted(model, seconds, peak[0], tuple(dict.fromkeys([*notes, *raised])))


def fit_unchecked(build: Build, params: Mapping[str, Any], examples: Examples) -> BaseEstimator:
    """Build and fit on rows that are part of checked ones (a fold may lack what the whole has)."""
    try:
        estimator = build(dict(params))
    except Exception as error:
        raise FitError(f"model.py: build({dict(params)}) raised {_described(error)}") from error
    name = name_of(estimator)
    if not hasattr(estimator, "fit"):
        raise FitError(f"model.py: build() gave {name}, which has no fit(); expected a scikit-learn estimator")
    weights = {} if examples.weights is None else {_weight_parameter(estimator): examples.weights}
    try:
        return cast("BaseEstimator", estimator.fit(examples.frame, examples.target, **weights))
    except Exception as error:
        rows, columns = examples.frame.shape
        cure = "; learn from less (training.window) or with smaller params" if isinstance(error, MemoryError) else ""
        raise FitError(
            f"{name} with {dict(params)} on {rows} rows of {columns} features: {_described(error)}{cure}"
        ) from error


def check(examples: Examples) -> list[str]:
    """Refuse what cannot be learned from (``FitError``); constant features are only remarked on."""
    frame = examples.frame
    if not len(examples) or len(frame) != len(examples):
        raise FitError(f"{len(examples)} labels for {len(frame)} rows; each row needs one, and at least one row")
    _check_weights(examples.weights, len(examples))
    _check_labels(examples)
    values = frame.nunique(dropna=False)
    missing = [str(name) for name in frame.columns[values == 1] if frame[name].isna().iloc[0]]
    if missing:
        raise FitError(
            f"no row has a value of {', '.join(missing)}; compute it for the training stretch (features.py), or remove "
            f"it from the feature service until its history is long enough"
        )
    constant = [str(name) for name in frame.columns[values == 1]]
    return [f"constant feature, nothing can be learned from it: {name}" for name in constant]


def weights_of(model: Model, rows: pl.DataFrame) -> Vector | None:
    """What ``weights(rows)`` of the use case's ``model.py`` gives, (rows,); none where it has no such function."""
    import numpy as np

    function = getattr(model, "weights", None)
    if function is None:
        return None
    try:
        weights = np.asarray(function(rows), dtype=np.float64)
    except Exception as error:
        raise FitError(f"model.py: weights() raised {_described(error)}") from error
    _check_weights(weights, rows.height)
    return weights


def name_of(estimator: object) -> str:
    """The type of an estimator; of a pipeline, of its last step."""
    steps = getattr(estimator, "steps", None)
    return f"{type(estimator).__name__}({name_of(steps[-1][1])})" if steps else type(estimator).__name__


def _check_labels(examples: Examples) -> None:
    import numpy as np

    labels = examples.labels
    if bad := int(np.count_nonzero(~np.isfinite(labels))):
        raise FitError(
            f"{bad} of {len(labels)} labels are no finite numbers; labels() in features.py must leave them out"
        )
    if examples.task == "classification":
        counted = labels if examples.weights is None else labels[examples.weights > 0]
        if others := sorted(set(np.unique(counted)) - {0.0, 1.0}):
            raise FitError(
                f"the labels of a classification are 0 and 1, found {others[0]:g}; see labels() in features.py"
            )
        if len(np.unique(counted)) == 1:
            raise FitError(
                f"all {len(counted)} labels are {counted[0]:g}, so that there is nothing to tell apart; learn from a "
                f"longer training.window, or see labels() in features.py"
            )


def _check_weights(weights: Vector | None, rows: int) -> None:
    import numpy as np

    if weights is None:
        return
    if weights.shape != (rows,):
        raise FitError(f"weights() in model.py: expected one number for each of {rows} rows, got shape {weights.shape}")
    if bad := int(np.count_nonzero(~(np.isfinite(weights) & (weights >= 0)))):
        raise FitError(f"weights() in model.py: {bad} of {rows} weights are negative or no finite numbers")
    if not weights.any():
        raise FitError(f"weights() in model.py: all {rows} weights are 0, so that no row counts")


def _weight_parameter(estimator: Any) -> str:
    """The argument of ``fit`` that takes the weights; in a pipeline, the one of its last step."""
    from sklearn.pipeline import Pipeline
    from sklearn.utils.validation import has_fit_parameter

    if isinstance(estimator, Pipeline):
        name, last = estimator.steps[-1]
        return f"{name}__{_weight_parameter(last)}"
    if has_fit_parameter(estimator, "sample_weight"):
        return "sample_weight"
    raise FitError(f"{name_of(estimator)} takes no sample_weight; choose another, or remove weights() from model.py")


def _described(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


@contextmanager
def noted_warnings() -> Iterator[list[str]]:
    """The texts of the warnings that were raised in the block, filled in at its end."""
    notes: list[str] = []
    with python_warnings.catch_warnings(record=True) as caught:
        python_warnings.simplefilter("default")
        yield notes
    notes += [f"{warning.category.__name__}: {warning.message}" for warning in caught]


@contextmanager
def _peak_memory() -> Iterator[list[float]]:
    """One number, filled in at the end of the block: the most MiB that this process held in it.

    The system's own high-water mark is exact, but it covers the life of the process. Where the block did not raise it,
    the largest of the samples stands, which may miss a peak of some milliseconds.
    """
    import psutil

    process, ended, before, found = psutil.Process(), threading.Event(), _high_water(), [0.0]

    def sample() -> None:
        while True:
            found[0] = max(found[0], process.memory_info().rss / MIB)
            if ended.wait(PAUSE):
                return

    sampler = threading.Thread(target=sample, name="memory", daemon=True)
    sampler.start()
    try:
        yield found
    finally:
        ended.set()
        sampler.join()
        if (after := _high_water()) > before:
            found[0] = max(found[0], after)


def _high_water() -> float:
    """MiB; the unit of ``ru_maxrss`` is KiB, on macOS bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (MIB if sys.platform == "darwin" else 1024)
