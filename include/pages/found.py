"""What the monitor found beside the quality of the window and the drift of its columns, in a line each.

The fields are those of ``include.monitoring.findings`` that a line needs; the day's report has all of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import msgspec

State = Literal["look", "well", "unknown", "told"]
REASONS = 2  # of a shift that are told
SEASON = "season"  # the shift that comes every year


class Shift(msgspec.Struct, frozen=True):
    kind: str
    reasons: tuple[str, ...]


class Change(msgspec.Struct, frozen=True):
    computed: bool
    reason: str


class Outliers(msgspec.Struct, frozen=True):
    name: str
    alarm: bool
    reasons: tuple[str, ...]


class OutlierReport(msgspec.Struct, frozen=True):
    features: tuple[Outliers, ...]
    prediction: Outliers | None
    rows: Outliers | None = None

    @property
    def raised(self) -> tuple[Outliers, ...]:
        """All that raise an alarm: the rows as a whole and the prediction first."""
        every = (self.rows, self.prediction, *self.features)
        return tuple(each for each in every if each is not None and each.alarm)


class Separation(msgspec.Struct, frozen=True):
    separable: bool
    reasons: tuple[str, ...]


class Estimate(msgspec.Struct, frozen=True):
    metric: str
    value: float
    interval: tuple[float, float] | None


class Estimates(msgspec.Struct, frozen=True):
    rows: int
    metrics: tuple[Estimate, ...]


class Slice(msgspec.Struct, frozen=True):
    column: str
    value: str | None
    rows: int
    now: float | None
    gate: float | None


class Gain(msgspec.Struct, frozen=True):
    better: bool
    sentence: str


class Worth(msgspec.Struct, frozen=True):
    rows: int
    value: float


class Value(msgspec.Struct, frozen=True):
    unit: str
    window: Worth


class Service(msgspec.Struct, frozen=True):
    requests: int
    predictions: int
    from_defaults: int
    latency: dict[str, float]


class Findings(msgspec.Struct, frozen=True):
    shifts: tuple[Shift, ...]
    changes: tuple[Change, ...]
    outliers: OutlierReport | None
    together: Separation | None
    ahead: Estimates
    slices: tuple[Slice, ...]
    gain: Gain | None
    value: Value | None
    service: Service | None = None

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of shift that were found."""
        return tuple(each.kind for each in self.shifts)


@dataclass(frozen=True)
class Line:
    """One finding. ``look``: somebody should; ``unknown``: nothing can be told; ``told``: there is nothing to judge."""

    what: str
    state: State
    words: str


def lines(found: Findings, metric: str) -> tuple[Line, ...]:
    """The findings about a window, those about the data first; ``metric`` is what the quality is judged by."""
    return (*_of_shifts(found), *_of_rows(found), *_of_quality(found, metric), *_of_use(found))


def _of_shifts(found: Findings) -> Iterator[Line]:
    for shift in found.shifts:
        more = f"; and {len(shift.reasons) - REASONS} more" if len(shift.reasons) > REASONS else ""
        state: State = "told" if shift.kind == SEASON else "look"
        yield Line(f"Shift: {shift.kind}", state, f"{'; '.join(shift.reasons[:REASONS])}{more}")
    unknown = next((each for each in found.changes if not each.computed), None)
    if unknown is not None:
        yield Line("Concept", "unknown", unknown.reason)
    elif not found.shifts:
        yield Line("Shift", "well", "none of inputs, labels or concept")


def _of_rows(found: Findings) -> Iterator[Line]:
    if found.outliers is None:
        yield Line("Outliers", "unknown", "nothing was predicted in the window")
    elif alarms := found.outliers.raised:
        why = "; ".join(alarms[0].reasons[:1])
        more = f"; and {len(alarms) - 1} more" if len(alarms) > 1 else ""
        yield Line("Outliers", "look", f"{alarms[0].name}: {why}{more}")
    else:
        yield Line("Outliers", "well", "no more than in the reference")
    if found.together is None:
        yield Line("All features together", "unknown", "too few rows or days to tell them from the gate's")
    else:
        state: State = "look" if found.together.separable else "well"
        yield Line("All features together", state, "; ".join(found.together.reasons))


def _of_quality(found: Findings, metric: str) -> Iterator[Line]:
    if found.gain is not None:
        yield Line("Against a constant", "well" if found.gain.better else "look", found.gain.sentence)
    expected = next((each for each in found.ahead.metrics if each.metric == metric), None)
    if expected is not None:
        span = f" ({expected.interval[0]:.4g} to {expected.interval[1]:.4g})" if expected.interval else ""
        words = f"{metric} {expected.value:.4g}{span} of {found.ahead.rows:,} predictions, without their labels"
        yield Line("Expected", "told", words)
    worst = next((each for each in found.slices if each.now is not None and each.gate is not None), None)
    if worst is not None:
        name = f"{worst.column} {'missing' if worst.value is None else worst.value}"
        words = f"{name}: {metric} {worst.now:.4g}, at the gate {worst.gate:.4g}, of {worst.rows:,} rows"
        yield Line("Slice that does worst against the gate", "told", words)


def _of_use(found: Findings) -> Iterator[Line]:
    if found.value is not None:
        worth = found.value.window
        words = f"{worth.value:+,.6g} {found.value.unit} in {worth.rows:,} labelled predictions"
        yield Line("Value", "told", words)
    if found.service is not None and found.service.requests:
        online = found.service
        slowest = "".join(f", {name} {1000 * seconds:.3g} ms" for name, seconds in online.latency.items())
        words = f"{online.requests:,} requests, {online.predictions:,} predictions{slowest}"
        if online.from_defaults:
            words = f"{online.from_defaults:,} predicted without the online store; {words}"
        yield Line("Online service", "look" if online.from_defaults else "told", words)
