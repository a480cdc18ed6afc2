"""How the online service did in a span of time, from the lines that it logged, and what its processes use now.

A request that was refused or failed is not in the log of predictions: what the replicas count of them themselves is
asked for (``include.monitoring.answers``). What is not known is left out, with the reason.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from include.monitoring.answers import Answers
from include.records import Record

PERCENTILES = {"p50": 50.0, "p95": 95.0, "p99": 99.0}
INTERVAL = timedelta(minutes=5)


@dataclass(frozen=True)
class Resources(Record):
    """What processes hold at the moment of the look: CPU seconds since their start, memory in MiB."""

    processes: int
    cpu_seconds: float
    memory_mib: float


@dataclass(frozen=True)
class Service(Record):
    """The online predictions of a span. ``latency``: seconds of a request in the service, by percentile."""

    requests: int
    predictions: int
    from_defaults: int  # predicted without the online store
    latency: dict[str, float]
    busiest: float  # requests per second in the busiest five minutes
    disk_free: float  # share of the disk that holds everything
    resources: Resources | None
    notes: tuple[str, ...]  # what is left out, and why
    answers: Answers | None = None  # older records have none

    @property
    def default_rate(self) -> float | None:
        """The share of predictions without the online store; None before the first."""
        return self.from_defaults / self.predictions if self.predictions else None


def measure(lines: Iterable[Mapping[str, Any]], start: datetime, end: datetime, home: Path) -> Service:
    """Summarize the lines of the prediction log that were answered in ``[start, end)``."""
    requests: dict[str, tuple[datetime, float | None]] = {}
    predictions = defaults = 0
    for line in lines:
        time = datetime.fromisoformat(line["time"])
        if start <= time < end:
            predictions += 1
            defaults += line.get("features_from") == "defaults"
            requests[line["request_id"]] = (time, line.get("seconds"))
    seconds = [taken for _, taken in requests.values() if taken is not None]
    busy = Counter((time - start) // INTERVAL for time, _ in requests.values())
    resources, why = serving_processes()
    notes = [] if resources else [f"CPU and memory: {why}"]
    if requests and not seconds:
        notes.append("latency: the lines of the prediction log have no seconds")
    if not requests:
        notes.append("no online request in these partitions")
    usage = shutil.disk_usage(home)
    return Service(
        requests=len(requests),
        predictions=predictions,
        from_defaults=defaults,
        latency={name: float(np.percentile(seconds, at)) for name, at in PERCENTILES.items()} if seconds else {},
        busiest=max(busy.values(), default=0) / INTERVAL.total_seconds(),
        disk_free=usage.free / usage.total,
        resources=resources,
        notes=tuple(notes),
    )


def serving_processes() -> tuple[Resources | None, str]:
    """What the serving processes of this machine use; None where there are none, with the reason."""
    import psutil

    found = []
    for process in psutil.process_iter(["cmdline"]):
        if _serves(process.info["cmdline"] or ()):
            try:
                times, memory = process.cpu_times(), process.memory_info()
            except psutil.Error:  # it has just ended
                continue
            found.append((times.user + times.system, memory.rss / 2**20))
    if not found:
        return None, "no serving process runs on this machine"
    return Resources(len(found), sum(cpu for cpu, _ in found), sum(size for _, size in found)), ""


def _serves(command: Sequence[str]) -> bool:
    return ("-m", "include.serving") in pairwise(command)
