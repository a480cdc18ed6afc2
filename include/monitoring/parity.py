"""Training-serving skew: the features that serving used, held against what the offline store says for that moment.

A sample of the online predictions is taken by the hash of their request, so that the same predictions give the same
sample. A value that differs while both sides took it from the same row of the view is *skew*: the two are computed or
stored differently. A value that differs because the online store had an older row, or none, is *late*: it was not yet
brought online when it was asked for.
"""

from __future__ import annotations

import hashlib
import heapq
import logging
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from include import alerts
from include.contract.loading import Folder
from include.contract.partitions import Partition
from include.features.as_of import OfflineFeatures, offline_features
from include.files import read_json, write_json
from include.records import Record
from include.serving import prediction_log
from include.settings import get_settings

log = logging.getLogger(__name__)

ROUNDING = 1e-9  # relative, and absolute below 1
EXAMPLES = 5


@dataclass(frozen=True)
class Example(Record):
    """One prediction whose feature differed; values as text."""

    request_id: str
    entity: str
    as_of: str
    served: str
    offline: str


@dataclass(frozen=True)
class FeatureParity(Record):
    """How often one feature was served as the offline store has it."""

    feature: str
    compared: int
    skewed: int
    late: int
    examples: tuple[Example, ...] = ()


@dataclass(frozen=True)
class Parity(Record):
    """The comparison of a span of partitions. ``predictions`` were made online, ``sampled`` of them compared."""

    use_case: str
    first: str
    last: str
    predictions: int
    sampled: int
    features: tuple[FeatureParity, ...] = ()

    @property
    def skewed(self) -> tuple[FeatureParity, ...]:
        return tuple(each for each in self.features if each.skewed)

    @property
    def late(self) -> tuple[FeatureParity, ...]:
        return tuple(each for each in self.features if each.late)


def check(use_case: Folder, partitions: Sequence[Partition]) -> Parity:
    """Compare the online predictions for moments of these partitions; keep the result, alert where there is skew."""
    config = use_case.config
    first, last = partitions[0], partitions[-1]
    count, sample = _sample(config.name, first.start, last.end, config.monitoring.parity_sample)
    features: tuple[FeatureParity, ...] = ()
    if sample:
        moments = [(line["entity"], datetime.fromisoformat(line["as_of"])) for line in sample]
        features = compare(sample, offline_features(use_case, moments))
    parity = Parity(config.name, first.key, last.key, count, len(sample), features)
    write_json(record_file(config.name, last.key), parity.to_dict())
    log.info("parity until %s: %d of %d online predictions compared", last.key, len(sample), count)
    if parity.skewed:
        alerts.raise_alert(config.name, "feature skew", last.key, _in_words(parity))
    else:
        alerts.resolve(config.name, "feature skew", last.key)
    return parity


def compare(
    served: Sequence[Mapping[str, Any]],
    offline: OfflineFeatures,
) -> tuple[FeatureParity, ...]:
    """Compare lines of the prediction log to the offline features of the same entities at the same moments."""
    found = []
    for feature in dict.fromkeys(name for line in served for name in line["features"]):
        skewed: list[Example] = []
        late = compared = 0
        for position, line in enumerate(served):
            if feature not in line["features"] or feature not in offline.values:
                continue  # a version with other features
            compared += 1
            used, known = line["features"][feature], offline.values[feature][position]
            if equal(used, known):
                continue
            if any(_older(line, view, offline.timestamps[view][position]) for view in offline.views_of[feature]):
                late += 1
            else:
                skewed.append(_example(line, used, known))
        found.append(FeatureParity(feature, compared, len(skewed), late, tuple(skewed[:EXAMPLES])))
    return tuple(found)


def equal(used: Any, known: Any) -> bool:
    """The same beyond rounding; a number that is none is a missing one."""
    if _missing(used) or _missing(known):
        return _missing(used) and _missing(known)
    if isinstance(used, bool | str) or isinstance(known, bool | str):
        return bool(used == known) and isinstance(used, str) == isinstance(known, str)
    return math.isclose(used, known, rel_tol=ROUNDING, abs_tol=ROUNDING)


def record_file(use_case: str, partition: str) -> Path:
    return get_settings().monitoring / use_case / "parity" / f"{partition}.json"


def latest(use_case: str) -> Parity | None:
    """The newest comparison in which there were predictions to compare."""
    for path in sorted(record_file(use_case, "any").parent.glob("[!.]*.json"), reverse=True):
        parity = Parity.from_dict(read_json(path))
        if parity.sampled:
            return parity
    return None


def _sample(use_case: str, start: datetime, end: datetime, size: int) -> tuple[int, list[dict[str, Any]]]:
    """How many predictions from entities there are for moments in ``[start, end)``, and a sample of them."""
    count = 0

    def relevant() -> Iterator[dict[str, Any]]:
        nonlocal count
        # A replay asks about a moment long before it.
        for line in prediction_log.online_lines(use_case, start.astimezone(UTC).date(), datetime.now(UTC).date()):
            looked_up = line["entity"] is not None and line.get("features_from") != "defaults"
            if looked_up and start <= datetime.fromisoformat(line["as_of"]) < end:
                count += 1
                yield line

    sample = heapq.nsmallest(size, relevant(), key=lambda line: hashlib.sha256(line["request_id"].encode()).digest())
    return count, sample


def _missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


def _older(line: Mapping[str, Any], view: str, known: datetime | None) -> bool:
    """Was the row that was served older than the one the offline store has, or was there none?"""
    used = line["feature_timestamps"].get(view)
    return known is not None and (used is None or datetime.fromisoformat(used) < known)


def _example(line: Mapping[str, Any], used: Any, known: Any) -> Example:
    entity = ", ".join(f"{name} {value}" for name, value in line["entity"].items())
    return Example(line["request_id"], entity, line["as_of"], str(used), str(known))


def _in_words(parity: Parity) -> str:
    shown = [
        f"{each.feature} in {each.skewed} (e.g. {each.examples[0].entity}: served {each.examples[0].served}, "
        f"offline {each.examples[0].offline})"
        for each in parity.skewed[:3]
    ]
    more = f" and {len(parity.skewed) - 3} more features" if len(parity.skewed) > 3 else ""
    return f"of {parity.sampled} predictions online features differ from offline ones: {'; '.join(shown)}{more}"
