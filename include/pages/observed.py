"""What the pages show of the monitor's observations. A page needs few of their fields, and many of them.

The records hold the histograms of every feature; reading only what is shown is a fraction of the cost, and what does
not change is read once.
"""

from __future__ import annotations

import heapq
import os
from functools import lru_cache
from pathlib import Path

import msgspec

from include.monitoring.charts import HistoryPoint
from include.monitoring.observation import record_file
from include.pages.found import Findings


class FeatureDrift(msgspec.Struct, frozen=True):
    name: str
    drifted: bool
    effect: float | None = None
    reasons: tuple[str, ...] = ()


class Drift(msgspec.Struct, frozen=True):
    features: tuple[FeatureDrift, ...]
    prediction: FeatureDrift | None
    effect: float
    prediction_effect: float

    @property
    def drifted(self) -> int:
        return sum(feature.drifted for feature in self.features)


class Quality(msgspec.Struct, frozen=True):
    metric: str
    values: dict[str, float]
    interval: tuple[float, float] | None
    promised: float | None
    tolerance: float
    confidence: float
    rows: int
    predictions: int
    coverage: float
    decidable: bool
    worse_than_promised: bool
    reasons: tuple[str, ...]

    @property
    def value(self) -> float | None:
        return self.values.get(self.metric)


class Decision(msgspec.Struct, frozen=True):
    action: str
    reasons: tuple[str, ...]


class Seen(msgspec.Struct, frozen=True):
    """An observation as a page shows it."""

    first: str
    last: str
    model_version: int
    data_revision: str
    landed: int
    quarantined: int
    quality: Quality
    drift: Drift | None
    decision: Decision
    findings: Findings | None = None  # older records have none


class Point(msgspec.Struct, frozen=True):
    """An observation in a timeline: ``moved`` is how far the predictions are from those the model learned from."""

    partition: str
    version: int
    value: float | None
    interval: tuple[float, float] | None
    promised: float | None
    predictions: int
    labelled: int
    coverage: float
    moved: float | None
    moved_limit: float | None
    drifted: int | None
    features: int | None
    action: str
    reason: str
    shifts: tuple[str, ...] = ()  # their kinds


_reader = msgspec.json.Decoder(Seen)


def newest(use_case: str) -> Seen | None:
    """The latest observation; None before the first."""
    path = next(iter(_files(use_case, 1)), None)
    return _read(path) if path else None


def points(use_case: str, count: int) -> list[Point]:
    """The latest observations, the oldest of them first."""
    return [_point(str(path), path.stat().st_mtime_ns) for path in reversed(_files(use_case, count))]


def _files(use_case: str, count: int) -> list[Path]:
    """The newest records, the newest first: names are read, not contents."""
    folder = record_file(use_case, "any").parent
    if not folder.is_dir():
        return []
    with os.scandir(folder) as found:
        names = [each.name for each in found if each.name.endswith(".json") and each.name[0] != "."]
    return [folder / name for name in heapq.nlargest(count, names)]


def _read(path: Path) -> Seen:
    """``ValueError`` names a record that is none."""
    try:
        return _reader.decode(path.read_bytes())
    except msgspec.MsgspecError as error:
        raise ValueError(f"{path}: is no observation: {error}") from error


@lru_cache(maxsize=16384)
def _point(path: str, _written: int) -> Point:
    return point(_read(Path(path)))


def point(seen: Seen) -> Point:
    """What a timeline needs of an observation."""
    quality, drift = seen.quality, seen.drift
    return Point(
        partition=seen.last,
        version=seen.model_version,
        value=quality.value,
        interval=quality.interval,
        promised=quality.promised,
        predictions=quality.predictions,
        labelled=quality.rows,
        coverage=quality.coverage,
        moved=drift.prediction.effect if drift and drift.prediction else None,
        moved_limit=drift.prediction_effect if drift else None,
        drifted=drift.drifted if drift else None,
        features=len(drift.features) if drift else None,
        action=seen.decision.action,
        reason=seen.decision.reasons[0] if seen.decision.reasons else "",
        shifts=seen.findings.kinds if seen.findings else (),
    )


def quality_line(seen: list[Point]) -> list[HistoryPoint]:
    """The timeline of the quality, with what was promised and the promotions."""
    return [
        HistoryPoint(
            partition=each.partition,
            value=each.value,
            interval=each.interval,
            promised=each.promised,
            champion=str(each.version),
            promoted=began,
            predictions=each.predictions,
            labelled=each.labelled,
        )
        for each, began in zip(seen, _began(seen), strict=True)
    ]


def drift_line(seen: list[Point]) -> list[HistoryPoint]:
    """The timeline of the predictions' drift, with the limit in the place of the promise."""
    return [
        HistoryPoint(each.partition, each.moved, None, each.moved_limit, str(each.version), began)
        for each, began in zip(seen, _began(seen), strict=True)
    ]


def _began(seen: list[Point]) -> list[bool]:
    """Where another version than before is watched. Of the first nothing earlier is known."""
    return [index > 0 and each.version != seen[index - 1].version for index, each in enumerate(seen)]
