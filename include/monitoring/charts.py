"""Geometry of the report's plots: data in, positions in pixels out. The template draws them as inline SVG.

Here are the plots of the past; those of distributions are in ``include.monitoring.distribution_charts``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Tick:
    at: float
    label: str
    anchor: str = "middle"


@dataclass(frozen=True)
class Mark:
    """A point or a box with the text that a pointer shows."""

    x: float
    y: float
    text: str
    width: float = 0.0
    height: float = 0.0


@dataclass(frozen=True)
class Plot:
    """A plotting area of ``width`` x ``height`` with axes at ``left`` and ``bottom``."""

    width: float
    height: float
    left: float
    right: float
    top: float
    bottom: float
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    line: str = ""  # SVG path data
    band: str = ""
    promise: str = ""
    baseline: str = ""
    estimate: str = ""
    dots: tuple[Mark, ...] = ()
    bars: tuple[Mark, ...] = ()
    inner_bars: tuple[Mark, ...] = ()
    rules: tuple[Tick, ...] = ()  # vertical lines: promotions


@dataclass(frozen=True)
class HistoryPoint:
    """One partition (or span) in the timeline. ``promoted``: the first one that this champion served."""

    partition: str
    value: float | None = None
    interval: tuple[float, float] | None = None
    promised: float | None = None
    champion: str | None = None
    promoted: bool = False
    predictions: int | None = None
    labelled: int | None = None
    baseline: float | None = None
    estimated: float | None = None


Draw = Callable[[Sequence[HistoryPoint], float], Plot | None]


def ticks(low: float, high: float, count: int = 5) -> list[float]:
    """Round numbers (1, 2 or 5 times a power of ten) that cover ``low`` to ``high``, about ``count`` of them."""
    if not (math.isfinite(low) and math.isfinite(high)):
        raise ValueError(f"no axis from {low} to {high}")
    if high - low <= 1e-9 * max(abs(low), abs(high)):
        pad = abs(low) * 0.1 or 0.5
        low, high = low - pad, high + pad
    raw = (high - low) / max(count - 1, 1)
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= raw * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [number * step for number in range(first, last + 1)]


def timeline(history: Sequence[HistoryPoint], width: float) -> Plot | None:
    """The metric by partition: line, interval as a band, promise as a dashed step, promotions as rules."""
    known = [point.value for point in history if point.value is not None]
    if not known:
        return None
    ends = [end for point in history for end in point.interval or ()]
    beside = [
        value for point in history for value in (point.promised, point.baseline, point.estimated) if value is not None
    ]
    scale = ticks(min([*known, *ends, *beside]), max([*known, *ends, *beside]), 5)
    area = _area(width, 240.0, history, scale)
    xs = _positions(area, len(history))
    ys = vertical(area, scale)
    values = [None if point.value is None else ys(point.value) for point in history]
    dots = tuple(Mark(x, y, _words(point)) for x, y, point in zip(xs, values, history, strict=True) if y is not None)
    lows = [ys(point.interval[0]) if point.interval else None for point in history]
    highs = [ys(point.interval[1]) if point.interval else None for point in history]
    promised = [None if point.promised is None else ys(point.promised) for point in history]
    rules = tuple(
        Tick(x, point.champion or "", "end" if x > width * 0.8 else "start")
        for x, point in zip(xs, history, strict=True)
        if point.promoted
    )
    return replace(
        area,
        line=path(xs, values),
        band=_band(xs, lows, highs),
        promise=_steps(area, promised),
        baseline=path(xs, [None if point.baseline is None else ys(point.baseline) for point in history]),
        estimate=path(xs, [None if point.estimated is None else ys(point.estimated) for point in history]),
        dots=dots,
        rules=rules,
    )


def volume(history: Sequence[HistoryPoint], width: float) -> Plot | None:
    """Predictions by partition as bars; the part whose labels have come as a filled one in it."""
    counts = [point.predictions for point in history if point.predictions is not None]
    if not counts or not max(counts):
        return None
    scale = ticks(0, max(counts), 4)
    area = _area(width, 150.0, history, scale)
    xs, ys = _positions(area, len(history)), vertical(area, scale)
    size = max(1.0, (area.right - area.left) / len(history) * 0.7)

    def bar(x: float, count: int, text: str) -> Mark:
        return Mark(x - size / 2, ys(count), text, size, area.bottom - ys(count))

    pairs = [(x, point) for x, point in zip(xs, history, strict=True) if point.predictions is not None]
    return replace(
        area,
        bars=tuple(bar(x, point.predictions or 0, _counted(point)) for x, point in pairs),
        inner_bars=tuple(bar(x, point.labelled, _counted(point)) for x, point in pairs if point.labelled),
    )


def label(value: float) -> str:
    """A tick's number, short."""
    if value and abs(value) >= 1e4:
        for factor, unit in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
            if factor <= abs(value) < factor * 1e3:
                return f"{value / factor:g}{unit}"
    return f"{0.0 if abs(value) < 1e-12 else value:,.6g}"


def _area(width: float, height: float, history: Sequence[HistoryPoint], scale: Sequence[float]) -> Plot:
    half = 3.6 * max(len(_short(point.partition)) for point in history)  # of a label below the axis
    left = max(14.0 + 7.0 * max(len(label(value)) for value in scale), half)
    right, top, bottom = width - half, 20.0, height - 24
    plot = Plot(width, height, left, right, top, bottom, (), ())
    ys = vertical(plot, scale)
    y_ticks = tuple(Tick(ys(value), label(value)) for value in scale)
    return replace(plot, y_ticks=y_ticks, x_ticks=_dates(plot, history))


def _dates(plot: Plot, history: Sequence[HistoryPoint]) -> tuple[Tick, ...]:
    """As many partition keys as fit below the axis, the first and the last among them."""
    xs = _positions(plot, len(history))
    names = [_short(point.partition) for point in history]
    room = max(2, int((plot.right - plot.left) / (8.0 * max(len(name) for name in names) + 14)))
    count = min(room, len(history))
    chosen = sorted({round(index * (len(history) - 1) / max(count - 1, 1)) for index in range(count)})
    return tuple(Tick(xs[index], names[index]) for index in chosen)


def _short(key: str) -> str:
    """The last partition of a span."""
    return key.rpartition("/")[2]


def _positions(plot: Plot, count: int) -> list[float]:
    step = (plot.right - plot.left) / count
    return [round(plot.left + step * (index + 0.5), 1) for index in range(count)]


def vertical(plot: Plot, scale: Sequence[float]) -> Callable[[float], float]:
    """Where a value lies in the plot, whose ticks are the scale."""
    unit = (plot.bottom - plot.top) / (scale[-1] - scale[0])
    return lambda value: round(plot.bottom - (value - scale[0]) * unit, 1)


def path(xs: Sequence[float], ys: Sequence[float | None]) -> str:
    """A line with a gap where there is no value."""
    parts, drawing = [], False
    for x, y in zip(xs, ys, strict=True):
        if y is not None:
            parts.append(f"{'L' if drawing else 'M'}{x:g},{y:g}")
        drawing = y is not None
    return "".join(parts)


def _steps(plot: Plot, ys: Sequence[float | None]) -> str:
    """Level stretches, one per partition's width, with upright steps between them."""
    step = (plot.right - plot.left) / len(ys)
    parts: list[str] = []
    last: float | None = None
    for index, y in enumerate(ys):
        if y is not None:
            start = f"M{plot.left + step * index:.1f},{y:g}" if last is None else f"V{y:g}"
            parts.append(f"{start}H{plot.left + step * (index + 1):.1f}")
        last = y
    return "".join(parts)


def _band(xs: Sequence[float], lows: Sequence[float | None], highs: Sequence[float | None]) -> str:
    """Closed areas between two lines, one for each stretch that has both."""
    parts: list[str] = []
    stretch: list[tuple[float, float, float]] = []
    for x, low, high in [*zip(xs, lows, highs, strict=True), (0.0, None, None)]:
        if low is not None and high is not None:
            stretch.append((x, low, high))
        elif stretch:
            upper = "L".join(f"{at:g},{top:g}" for at, _, top in stretch)
            lower = "L".join(f"{at:g},{bottom:g}" for at, bottom, _ in reversed(stretch))
            parts.append(f"M{upper}L{lower}Z")
            stretch = []
    return "".join(parts)


def _words(point: HistoryPoint) -> str:
    interval = f" [{point.interval[0]:.4g}, {point.interval[1]:.4g}]" if point.interval else ""
    champion = f", champion {point.champion}" if point.champion else ""
    return f"{point.partition}: {point.value:.4g}{interval}{champion}"


def _counted(point: HistoryPoint) -> str:
    return f"{point.partition}: {point.predictions:,} predictions, {point.labelled or 0:,} labels"
