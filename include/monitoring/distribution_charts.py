"""Geometry of the plots of distributions: reference beside current values, predicted beside observed shares."""

from __future__ import annotations

from dataclasses import replace

from include.monitoring.charts import Mark, Plot, Tick, label, path, ticks, vertical
from include.monitoring.distributions import Histogram
from include.training.reliability import Calibration


def histogram(shares: Histogram, width: float = 230.0) -> Plot:
    """Reference as bars, current as a stepped line over the same numeric bins."""
    height, left, right, top, bottom = 92.0, 34.0, width - 8, 6.0, 72.0
    highest = max((*shares.reference, *shares.current, 1e-9))
    step = (right - left) / len(shares.labels)

    def y(share: float) -> float:
        return bottom - (bottom - top) * share / highest

    texts = [
        f"{label}: reference {before:.1%}, current {now:.1%}"
        for label, before, now in zip(shares.labels, shares.reference, shares.current, strict=True)
    ]
    bars = tuple(
        Mark(left + step * index, y(share), text, step, bottom - y(share))
        for index, (share, text) in enumerate(zip(shares.reference, texts, strict=True))
    )
    corners = [f"M{left:.1f},{bottom:.1f}"]
    for index, share in enumerate(shares.current):
        corners.append(f"V{y(share):.1f}H{left + step * (index + 1):.1f}")
    low, high = shares.edges[0], shares.edges[-1]
    inside = next((found for count in range(4, 9) if len(found := _inside(low, high, count)) >= 3), [low, high])
    x_ticks = tuple(Tick(left + (right - left) * (value - low) / (high - low), label(value)) for value in inside)
    y_ticks = (Tick(bottom, "0"), Tick(top + 3, f"{highest:.0%}"))
    return Plot(
        width, height, left, right, top, bottom, x_ticks, y_ticks, line="".join(corners) + f"V{bottom:.1f}", bars=bars
    )


def reliability(now: Calibration, gate: Calibration, width: float) -> Plot:
    """Observed by predicted shares: now as the line with dots, the gate's as the plain line, the diagonal dashed."""
    bins = (*now.bins, *gate.bins)
    scale = ticks(0.0, max(max(each.predicted, each.observed) for each in bins), 5)
    plot = Plot(width, 240.0, 14.0 + 7.0 * max(len(label(value)) for value in scale), width - 14, 20.0, 216.0, (), ())
    ys = vertical(plot, scale)

    def xs(share: float) -> float:
        return round(plot.left + (plot.right - plot.left) * share / scale[-1], 1)

    def line(side: Calibration) -> str:
        return path([xs(each.predicted) for each in side.bins], [ys(each.observed) for each in side.bins])

    return replace(
        plot,
        x_ticks=tuple(Tick(xs(value), label(value)) for value in scale),
        y_ticks=tuple(Tick(ys(value), label(value)) for value in scale),
        line=line(now),
        baseline=line(gate),
        promise=path([xs(0.0), xs(scale[-1])], [ys(0.0), ys(scale[-1])]),
        dots=tuple(
            Mark(xs(each.predicted), ys(each.observed), f"{each.predicted:.1%}: {each.observed:.1%} of {each.rows:,}")
            for each in now.bins
        ),
    )


def _inside(low: float, high: float, count: int) -> list[float]:
    return [value for value in ticks(low, high, count) if low <= value <= high]
