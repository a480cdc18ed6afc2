"""What Prometheus reads at /metrics."""

from __future__ import annotations

import logging
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from datetime import datetime
from itertools import accumulate

from prometheus_client import CollectorRegistry, Metric, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from include.serving.followed import Deployment
from include.serving.follower import Follower
from include.serving.prediction import FeaturesFrom
from include.serving.prediction_log import PredictionLog
from include.serving.shadow import ShadowQueue

log = logging.getLogger(__name__)

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
BUCKETS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5)


class Metrics:
    """The counters of one app, and what its follower serves at the moment of reading.

    They are counted from one thread, that of the event loop, and without the locks of a library: those would cost a
    good part of a prediction.
    """

    def __init__(self, follower: Follower, shadows: ShadowQueue, logs: Mapping[str, PredictionLog]) -> None:
        self._requests: dict[tuple[str, int], int] = {}
        self._seconds: dict[str, tuple[list[int], list[float]]] = {}
        self._rows: dict[str, int] = {}
        self._defaulted: dict[str, int] = {}
        self._collectors = CollectorRegistry()
        self._collectors.register(_Served(follower, shadows, logs))
        self._collectors.register(_Counted(self))
        ProcessCollector(registry=self._collectors)  # processor time, memory and open files

    def request(self, use_case: str, status: int, seconds: float) -> None:
        key = (use_case, status)
        self._requests[key] = self._requests.get(key, 0) + 1
        if use_case not in self._seconds:
            self._seconds[use_case] = ([0] * (len(BUCKETS) + 1), [0.0])
        counts, total = self._seconds[use_case]
        counts[bisect_left(BUCKETS, seconds)] += 1
        total[0] += seconds

    def predicted(self, use_case: str, rows: int, source: FeaturesFrom) -> None:
        self._rows[use_case] = self._rows.get(use_case, 0) + rows
        if source == "defaults":
            self._defaulted[use_case] = self._defaulted.get(use_case, 0) + rows

    def text(self) -> bytes:
        return generate_latest(self._collectors)

    def families(self) -> Iterator[Metric]:
        """What was counted so far."""
        requests = CounterMetricFamily("evergreen_requests", "Prediction requests.", labels=("use_case", "status"))
        for (use_case, status), count in list(self._requests.items()):
            requests.add_metric((use_case, str(status)), count)
        rows = CounterMetricFamily("evergreen_predictions", "Rows predicted.", labels=("use_case",))
        defaulted = CounterMetricFamily(
            "evergreen_predictions_from_defaults",
            "Rows predicted from default features, since the online store could not be reached.",
            labels=("use_case",),
        )
        for family, counted in ((rows, self._rows), (defaulted, self._defaulted)):
            for use_case, count in list(counted.items()):
                family.add_metric((use_case,), count)
        seconds = HistogramMetricFamily(
            "evergreen_request_seconds", "Time to answer a prediction request.", labels=("use_case",)
        )
        for use_case, (counts, (total,)) in list(self._seconds.items()):
            bounds = [*map(floatToGoString, BUCKETS), "+Inf"]
            seconds.add_metric((use_case,), list(zip(bounds, accumulate(counts), strict=True)), total)
        yield from (requests, rows, defaulted, seconds)


class _Counted(Collector):
    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def collect(self) -> Iterator[Metric]:
        return self._metrics.families()

    def describe(self) -> Iterator[Metric]:
        return self._metrics.families()


class _Served(Collector):
    """Gauges without a state of their own, so that a version that is not served any more leaves none behind."""

    def __init__(self, follower: Follower, shadows: ShadowQueue, logs: Mapping[str, PredictionLog]) -> None:
        self._follower = follower
        self._shadows = shadows
        self._logs = logs

    def collect(self) -> Iterator[Metric]:
        reachable = 1.0 if self._follower.registry.reachable else 0.0
        yield GaugeMetricFamily("evergreen_registry_reachable", "Did the registry answer the last time?", reachable)
        ready = GaugeMetricFamily("evergreen_use_case_ready", "Can it predict?", labels=("use_case",))
        model = GaugeMetricFamily(
            "evergreen_model_info", "The served version.", labels=("use_case", "version", "run_id", "digest")
        )
        newest = GaugeMetricFamily(
            "evergreen_feature_newest_timestamp_seconds",
            "The newest event time of a feature view in the online store.",
            labels=("use_case", "view"),
        )
        generation = GaugeMetricFamily(
            "evergreen_served_generation", "The number of the generation that is served.", labels=("use_case",)
        )
        yield CounterMetricFamily(
            "evergreen_shadows_dropped", "Requests that a shadow did not predict, or not log.", self._shadows.dropped
        )
        unlogged = CounterMetricFamily(
            "evergreen_prediction_log_failures",
            "Writes to the prediction log that failed: those requests were not answered.",
            labels=("use_case",),
        )
        for name, predictions in self._logs.items():
            unlogged.add_metric((name,), predictions.failures)
        yield unlogged
        for name, followed in self._follower.states.items():
            if followed.generation is not None:
                generation.add_metric((name,), followed.generation)
            ready.add_metric((name,), 1.0 if followed.ready else 0.0)
            if followed.deployment is not None:
                version = followed.deployment.version
                model.add_metric((name, str(version.version), version.run_id, version.digest), 1.0)
                for view, at in _newest(name, followed.deployment).items():
                    newest.add_metric((name, view), at.timestamp())
        yield from (ready, model, newest, generation)


def _newest(use_case: str, deployment: Deployment) -> dict[str, datetime]:
    """A store that cannot be read leaves the gauge out: that is what an alert on its absence is for."""
    try:
        return deployment.lookup.newest() if deployment.lookup else {}
    except Exception:
        log.exception("%s: the online store does not tell how fresh it is", use_case)
        return {}
