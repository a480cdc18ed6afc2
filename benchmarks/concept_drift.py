"""How often is a changed concept reported that is none, and how soon is one seen?

A model watched for a year, 200 labelled rows a day after 28 days at the gate. Days differ as days do: most are alike, a
few are far out, as when a storm comes (log-normal effects on the rate of errors, 20 % on average). Peers are the
detectors of river on the errors of the rows (or, ADWIN also, on the means of the days), which first see the gate's
rows. Row by row, the errors of a day hang together, which is not what they were made for.

A false alarm is one in a year without a change; the delay is counted in days to a change that raises the rate of errors
on the 60th day. The last streams follow the day before (autocorrelation .3) and the week, where no rate is promised.

``run`` takes 60 years of each stream for river and 400 for ours.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
from river import drift
from river.drift import binary

from include.monitoring.concept import cusum, limit

LIBRARIES = ("river",)
YEARS, PEER_YEARS = 400, 60
GATE, YEAR, ROWS = 28, 365, 200
RATE, SPREAD = 0.2, 0.35
CHANGE_AT, SEEN_WITHIN = 60, 30
EVERY = 730.0  # days between false alarms, the default of monitoring.concept.false_alarms
CHANGES = (0.05, 0.1)  # added to the rate of errors

Days = np.ndarray[Any, np.dtype[np.float64]]


def rates(generator: np.random.Generator, days: int, kind: str) -> Days:
    """The rate of errors of each day (days,)."""
    noise = generator.normal(size=days)
    if kind == "following":
        for day in range(1, days):
            noise[day] = 0.3 * noise[day - 1] + math.sqrt(1 - 0.3**2) * noise[day]
    if kind == "weekly":
        noise = 0.8 * noise + 0.85 * np.sin(2 * np.pi * np.arange(days) / 7)
    return np.clip(RATE * np.exp(SPREAD * noise - SPREAD**2 / 2), 0, 0.9)


def errors(generator: np.random.Generator, rate: Days) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Errors of rows by day: (days, ROWS) of 0 and 1."""
    return (generator.random((len(rate), ROWS)) < rate[:, None]).astype(np.int64)


def ours(wrong: np.ndarray[Any, np.dtype[np.int64]]) -> int | None:
    """The day of the first alarm, counted from the gate's last."""
    means = wrong.mean(axis=1).tolist()
    height = limit(EVERY)
    sums = cusum(means[:GATE], means[GATE:])
    return next((day for day, total in enumerate(sums) if total > height), None)


def peer(make: Callable[[], Any], *, days: bool) -> Callable[[np.ndarray[Any, np.dtype[np.int64]]], int | None]:
    """A detector of river, on rows or on the means of days. Alarms during the gate's days are passed over."""

    def first(wrong: np.ndarray[Any, np.dtype[np.int64]]) -> int | None:
        detector = make()
        for number, row in enumerate(wrong):
            for value in [float(row.mean())] if days else row.tolist():
                detector.update(value)
                if detector.drift_detected and number >= GATE:
                    return number - GATE
        return None

    return first


DETECTORS: dict[str, Callable[[np.ndarray[Any, np.dtype[np.int64]]], int | None]] = {
    "ours": ours,
    "ADWIN of rows": peer(drift.ADWIN, days=False),
    "ADWIN of days": peer(partial(drift.ADWIN, clock=1, grace_period=5, min_window_length=3), days=True),
    "HDDM_A of rows": peer(binary.HDDM_A, days=False),
    "DDM of rows": peer(binary.DDM, days=False),
}


def false_alarms(name: str, kind: str) -> float:
    """The share of years without a change that have an alarm."""
    years = YEARS if name == "ours" else PEER_YEARS
    found = 0
    for year in range(years):
        generator = np.random.default_rng([year, len(kind)])
        found += DETECTORS[name](errors(generator, rates(generator, GATE + YEAR, kind))) is not None
    return found / years


def delays(name: str, change: float) -> tuple[float, float] | None:
    """The median days from the change to the first alarm after it, and the share seen within 30 days.

    Years with an alarm before the change are left out; None where that are all.
    """
    taken = []
    for year in range(YEARS if name == "ours" else PEER_YEARS):
        generator = np.random.default_rng([year, 99])
        rate = rates(generator, GATE + CHANGE_AT + 2 * SEEN_WITHIN, "independent")
        rate[GATE + CHANGE_AT :] += change
        alarm = DETECTORS[name](errors(generator, rate))
        if alarm is None or alarm >= CHANGE_AT:
            taken.append(math.inf if alarm is None else alarm - CHANGE_AT + 1)
    if not taken:
        return None
    return float(np.median(taken)), float(np.mean([each <= SEEN_WITHIN for each in taken]))


def entries() -> Iterator[dict[str, object]]:
    promised = 1 - math.exp(-YEAR / EVERY)
    for kind in ("independent", "following", "weekly"):
        alarms = false_alarms("ours", kind)
        peers = {name: false_alarms(name, kind) for name in DETECTORS if name != "ours"}
        bound = kind == "independent"
        yield {
            "name": f"concept: years without a change that have a false alarm, {kind} days",
            "ours": alarms,
            "peer": peers["ADWIN of rows"],
            "ratio": None,
            "goal": f"at most {promised:.2f} + .05" if bound else None,
            "met": alarms <= promised + 0.05 if bound else None,
            "unit": "share of years",
            "note": ", ".join(f"{name} {share:.2f}" for name, share in peers.items()),
        }
    for change in CHANGES:
        own = delays("ours", change)
        others = {name: delays(name, change) for name in DETECTORS if name != "ours"}
        least = 0.9 if change == max(CHANGES) else 0.5
        yield {
            "name": f"concept: a rate of errors of {RATE:g} that rises by {change:g}, seen within {SEEN_WITHIN} days",
            "ours": own[1] if own else None,
            "peer": None,
            "ratio": None,
            "goal": f"at least {least}",
            "met": own is not None and own[1] >= least,
            "unit": "share of changes",
            "note": "; ".join(told(name, found) for name, found in {"ours": own, **others}.items()),
        }


def told(name: str, found: tuple[float, float] | None) -> str:
    """The delay of a detector; those that cry wolf before have none."""
    if found is None:
        return f"{name} had alarmed before in every year"
    when = f"after {found[0]:g} days (median)" if math.isfinite(found[0]) else "mostly never"
    return f"{name} {when}, {found[1]:.2f} seen"


def run() -> list[dict[str, object]]:
    return list(entries())


if __name__ == "__main__":
    print(json.dumps(run(), indent=2))
