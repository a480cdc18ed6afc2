"""What Prometheus reads, from the stores of the moment: no state of its own, nothing is asked of a server."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime

from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from include import alerts
from include.contract.loading import discover_use_cases
from include.deployment import ledger
from include.monitoring import observation
from include.monitoring.observation import Observation

log = logging.getLogger(__name__)

# name: (help, labels beside the use case)
GAUGES: dict[str, tuple[str, tuple[str, ...]]] = {
    "champion_info": ("The version in production.", ("version",)),
    "champion_since_timestamp_seconds": ("Since when the champion is in production.", ()),
    "generation": ("The number of the generation that is to be in force.", ()),
    "rollout_weight": ("The share of requests a challenger answers; 0 of a shadow.", ("version", "mode")),
    "observed_timestamp_seconds": ("When the monitor looked last.", ("partition",)),
    "quality": ("The watched metric on the labels that have come.", ("metric",)),
    "quality_low": ("Lower end of its interval.", ("metric",)),
    "quality_high": ("Upper end of its interval.", ("metric",)),
    "quality_promised": ("The same metric at the gate.", ("metric",)),
    "quality_worse_than_promised": ("1 where that is more than chance and tolerance.", ()),
    "label_coverage_ratio": ("Share of the settled predictions whose label has come.", ()),
    "observed_predictions": ("Predictions in the window that was looked at for labels.", ()),
    "drifted_features": ("Features that have drifted.", ()),
    "watched_features": ("Features that are watched for drift.", ()),
    "prediction_drift": ("Distance of the predictions from the reference.", ()),
    "prediction_drift_limit": ("The distance that matters.", ()),
    "rows_landed": ("Raw rows of the partitions looked at.", ()),
    "rows_quarantined": ("Of these, in quarantine.", ()),
    "alerts_open": ("Alerts that wait for somebody.", ("kind", "severity")),
}
Sample = tuple[str, tuple[str, ...], float]  # name, further labels, value


class ModelState(Collector):
    """All gauges of all use cases. What cannot be read is counted in ``evergreen_unreadable`` and logged."""

    def collect(self) -> Iterator[Metric]:
        started = time.perf_counter()
        families = {
            name: GaugeMetricFamily(f"evergreen_{name}", text, labels=("use_case", *labels))
            for name, (text, labels) in GAUGES.items()
        }
        unreadable = GaugeMetricFamily(
            "evergreen_unreadable", "Stores of a use case that could not be read.", labels=("use_case",)
        )
        discovery = discover_use_cases()
        for name in discovery.found:
            failed = 0
            for read in (_production, _observed, _alerts):
                failed += not _add(families, name, read)
            unreadable.add_metric((name,), failed)
        yield from families.values()
        yield unreadable
        yield GaugeMetricFamily(
            "evergreen_broken_use_cases", "Folders that are no valid use case.", value=len(discovery.errors)
        )
        yield GaugeMetricFamily("evergreen_export_seconds", "Time to read all.", value=time.perf_counter() - started)


def _add(families: dict[str, GaugeMetricFamily], use_case: str, read: Callable[[str], Iterable[Sample]]) -> bool:
    """Whether it could be read: a broken file of one use case must not hide the others."""
    try:
        samples = list(read(use_case))
    except Exception:
        log.exception("%s: its state cannot be read", use_case)
        return False
    for name, labels, value in samples:
        families[name].add_metric((use_case, *labels), value)
    return True


def _production(use_case: str) -> Iterator[Sample]:
    generations = ledger.read(use_case)
    if not generations:
        return
    head = generations[-1]
    yield "generation", (), head.number
    if head.champion is not None:
        earlier = [each for each in generations if each.champion != head.champion]
        first = generations[generations.index(earlier[-1]) + 1] if earlier else generations[0]
        yield "champion_info", (str(head.champion),), 1
        yield "champion_since_timestamp_seconds", (), datetime.fromisoformat(first.at).timestamp()
    if head.challenger is not None:
        yield "rollout_weight", (str(head.challenger), head.mode), head.weight


def _observed(use_case: str) -> Iterator[Sample]:
    newest = observation.history(use_case, latest=1)
    if not newest:
        return
    last = newest[-1]
    at = observation.record_file(use_case, last.last).stat().st_mtime
    yield "observed_timestamp_seconds", (last.last,), at
    yield "rows_landed", (), last.landed
    yield "rows_quarantined", (), last.quarantined
    yield from _quality(last)
    if last.drift is not None:
        yield "drifted_features", (), len(last.drift.drifted)
        yield "watched_features", (), len(last.drift.features)
        yield "prediction_drift_limit", (), last.drift.prediction_effect
        if last.drift.prediction is not None and last.drift.prediction.effect is not None:
            yield "prediction_drift", (), last.drift.prediction.effect


def _quality(last: Observation) -> Iterator[Sample]:
    quality = last.quality
    low, high = quality.interval or (None, None)
    named = {"quality": quality.value, "quality_low": low, "quality_high": high, "quality_promised": quality.promised}
    yield from ((name, (quality.metric,), value) for name, value in named.items() if value is not None)
    yield "quality_worse_than_promised", (), quality.worse_than_promised
    yield "label_coverage_ratio", (), quality.coverage
    yield "observed_predictions", (), quality.predictions


def _alerts(use_case: str) -> Iterator[Sample]:
    """Zero, too, for each kind: a rule on a gauge that is not there never fires, and never ends."""
    counts = Counter(each.kind for each in alerts.open_alerts(use_case))
    for kind, severity in alerts.SEVERITIES.items():
        yield "alerts_open", (kind, severity), counts[kind]
