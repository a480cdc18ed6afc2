"""Holds a compiled model to the pipeline that it was compiled from."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from include.contract.use_case import Task
from include.records import Record
from include.registry.artifacts import predict
from include.registry.model_input import to_model_input
from include.serving.compiled.columns import Vector
from include.serving.compiled.compile import Compiled
from include.serving.compiled.reading import Value

if TYPE_CHECKING:
    import pandas as pd

TOLERANCE = 1e-9  # absolute and relative
SAMPLED, DRAWN = 1000, 500
THRESHOLDS = 20  # of a feature, each with its neighbours on both sides
PLAIN = (0.0, -0.0, 1.0, -1.0, 0.3, 100.0)
HUGE = (1e30, -1e30, 1e300)
UNSEEN = "a text that no training set holds"

Row = tuple[Value, ...]


@dataclass(frozen=True)
class Verification(Record):
    """Whether a compiled model predicts what its pipeline predicts, and refuses what that refuses."""

    rows: int
    greatest_difference: float | None  # relative where predictions are larger than 1; None where none was compared
    agrees: bool
    reason: str


class _Disagreement(Exception):  # noqa: N818 - a finding
    pass


def verify(compiled: Compiled, model: Any, task: Task, sample: pd.DataFrame) -> Verification:
    """Compare on the sample (``SAMPLED`` evenly chosen rows) and on rows made from it.

    Made rows have missing values, texts that were never seen, huge numbers and numbers at the model's own thresholds:
    one in a row of the sample, and drawn at random together. ``ValueError`` if the sample lacks a feature.
    """
    frame = to_model_input(sample, compiled.features)
    frame = frame.iloc[np.unique(np.linspace(0, len(frame) - 1, min(len(frame), SAMPLED)).astype(np.int64))]
    if frame.empty:
        return Verification(0, None, False, "there is no row to verify it on")
    sampled: list[Row] = list(zip(*(frame[feature.name].tolist() for feature in compiled.features), strict=True))
    rows, greatest = 0, 0.0
    for what, some in [("the sample", sampled), *made(compiled, sampled)]:
        try:
            greatest = max(greatest, _difference(compiled, model, task, some))
        except _Disagreement as error:
            return Verification(rows + len(some), greatest if rows else None, False, f"{what}: {error}")
        rows += len(some)
        if greatest > TOLERANCE:
            reason = f"{what}: differs from scikit-learn by {greatest:.3g}, more than {TOLERANCE:g}"
            return Verification(rows, greatest, False, reason)
    return Verification(rows, greatest, True, f"predicts the same for {rows:,} rows")


def made(compiled: Compiled, sampled: Sequence[Row]) -> Iterator[tuple[str, list[Row]]]:
    """Rows beyond the sample, by what they try."""
    features = compiled.features
    numeric = [at for at, feature in enumerate(features) if feature.kind != "categorical"]
    texts = [at for at, feature in enumerate(features) if feature.kind == "categorical"]
    special = {at: [*PLAIN, *_near(compiled.thresholds.get(features[at].name, np.zeros(0)))] for at in numeric}
    special |= {at: list(compiled.categories.get(features[at].name, ())) for at in texts}

    def put(at: int, values: Sequence[Value]) -> list[Row]:
        rows = (sampled[number % len(sampled)] for number in range(len(values)))
        return [(*row[:at], value, *row[at + 1 :]) for row, value in zip(rows, values, strict=True)]

    yield "every feature missing", [(None,) * len(features)]
    for at, feature in enumerate(features):
        yield f"{feature.name} missing", put(at, [None])
    for at in texts:
        yield f"{features[at].name} not seen in training", put(at, [UNSEEN])
        yield f"{features[at].name} in each category", put(at, special[at])
    for at in numeric:
        yield f"huge {features[at].name}", put(at, HUGE)
        yield f"{features[at].name} at thresholds", put(at, special[at])
    random = np.random.default_rng(0)
    pools = [[row[at] for row in sampled] + list(special[at]) for at in range(len(features))]
    picks = [[pool[index] for index in random.integers(0, len(pool), DRAWN)] for pool in pools]
    yield "drawn at random", list(zip(*picks, strict=True))


def _near(thresholds: Vector) -> list[Value]:
    """Some thresholds and the numbers next to them, in double and in single precision."""
    chosen = thresholds[np.isfinite(thresholds)]
    chosen = chosen[np.unique(np.linspace(0, len(chosen) - 1, min(len(chosen), THRESHOLDS)).astype(np.int64))]
    single = chosen.astype(np.float32)
    near = [chosen, np.nextafter(chosen, np.inf), np.nextafter(chosen, -np.inf), single]
    near += [np.nextafter(single, np.float32(side)) for side in (np.inf, -np.inf)]
    return [float(value) for each in near for value in each]


def _difference(compiled: Compiled, model: Any, task: Task, rows: Sequence[Row]) -> float:
    """The greatest difference over the rows; where either refuses one of them, row by row."""
    if not rows:
        return 0.0
    ours, theirs = _ours(compiled, rows), _theirs(compiled, model, task, rows)
    if isinstance(ours, str) or isinstance(theirs, str):
        if len(rows) > 1:
            half = len(rows) // 2  # few are refused, if any
            return max(_difference(compiled, model, task, some) for some in (rows[:half], rows[half:]))
        if isinstance(ours, str) and isinstance(theirs, str):
            return 0.0
        found = f"is refused by the compiled model ({ours})" if isinstance(ours, str) else f"gives {ours[0, 0]!r}"
        other = f"is refused by scikit-learn ({theirs})" if isinstance(theirs, str) else f"{theirs[0]!r} there"
        shown: Mapping[str, Any] = dict(zip((each.name for each in compiled.features), rows[0], strict=True))
        raise _Disagreement(f"{shown} {found} and {other}")
    same = (ours == theirs) | (np.isnan(ours) & np.isnan(theirs))
    with np.errstate(invalid="ignore"):
        apart = np.abs(ours - theirs) / np.maximum(1.0, np.abs(theirs))
    return float(np.where(same, 0.0, np.nan_to_num(apart, nan=np.inf)).max())


def _ours(compiled: Compiled, rows: Sequence[Row]) -> Vector | str:
    """The rows together and one by one, which are two ways through the compiled model: (2, rows)."""
    try:
        return np.array([compiled.predict(rows), [compiled.predict([row])[0] for row in rows]])
    except ValueError as error:
        return str(error)


def _theirs(compiled: Compiled, model: Any, task: Task, rows: Sequence[Row]) -> Vector | str:
    names = [feature.name for feature in compiled.features]
    try:
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of unknown categories
            return predict(
                model, task, to_model_input([dict(zip(names, row, strict=True)) for row in rows], compiled.features)
            )
    except ValueError as error:
        return str(error)
