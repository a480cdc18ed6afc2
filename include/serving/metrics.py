"""What Prometheus reads at /metrics."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import datetime
from functools import lru_cache

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from include.serving.followed import Deployment
from include.serving.follower import Follower
from include.serving.prediction import FeaturesFrom

log = logging.getLogger(__name__)

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
BUCKETS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5)


class Metrics:
    """The counters of one app, and what its follower serves at the moment of reading."""

    def __init__(self, follower: Follower) -> None:
        self._collectors = CollectorRegistry()
        self._collectors.register(_Served(follower))
        self._requests = Counter(
            "evergreen_requests", "Prediction requests.", ("use_case", "status"), registry=self._collectors
        )
        self._rows = Counter("evergreen_predictions", "Rows predicted.", ("use_case",), registry=self._collectors)
        self._seconds = Histogram(
            "evergreen_request_seconds",
            "Time to answer a prediction request.",
            ("use_case",),
            buckets=BUCKETS,
            registry=self._collectors,
        )

        self._defaulted = Counter(
            "evergreen_predictions_from_defaults",
            "Rows predicted from default features, since the online store could not be reached.",
            ("use_case",),
            registry=self._collectors,
        )

    @lru_cache(maxsize=1000)  # noqa: B019 - as many as there are labels; finding them costs more than counting
    def _request(self, use_case: str, status: int) -> tuple[Counter, Histogram]:
        return self._requests.labels(use_case, str(status)), self._seconds.labels(use_case)

    @lru_cache(maxsize=1000)  # noqa: B019
    def _counted(self, use_case: str) -> Counter:
        return self._rows.labels(use_case)

    def request(self, use_case: str, status: int, seconds: float) -> None:
        count, time = self._request(use_case, status)
        count.inc()
        time.observe(seconds)

    def predicted(self, use_case: str, rows: int, source: FeaturesFrom) -> None:
        self._counted(use_case).inc(rows)
        if source == "defaults":
            self._defaulted.labels(use_case).inc(rows)

    def text(self) -> bytes:
        return generate_latest(self._collectors)


class _Served(Collector):
    """Gauges without a state of their own, so that a version that is not served any more leaves none behind."""

    def __init__(self, follower: Follower) -> None:
        self._follower = follower

    def collect(self) -> Iterator[GaugeMetricFamily]:
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
        for name, followed in self._follower.states.items():
            ready.add_metric((name,), 1.0 if followed.ready else 0.0)
            if followed.deployment is not None:
                version = followed.deployment.version
                model.add_metric((name, str(version.version), version.run_id, version.digest), 1.0)
                for view, at in _newest(name, followed.deployment).items():
                    newest.add_metric((name, view), at.timestamp())
        yield from (ready, model, newest)


def _newest(use_case: str, deployment: Deployment) -> dict[str, datetime]:
    """A store that cannot be read leaves the gauge out: that is what an alert on its absence is for."""
    try:
        return deployment.lookup.newest() if deployment.lookup else {}
    except Exception:
        log.exception("%s: the online store does not tell how fresh it is", use_case)
        return {}
