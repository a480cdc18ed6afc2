"""The comparison as a picture: by how much the challenger is better or worse, day by day."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from include.contract.metrics import METRICS
from include.figures import BLUE, GREY, ORANGE, day_axis, finished, framed, svg
from include.gate.comparison import Comparison
from include.resampling import Sample, Vector

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def gain_by_day(comparison: Comparison, labels: Vector, challenger: Vector, champion: Vector, blocks: Any) -> bytes:
    """An SVG of the gain of each day (the champion's loss less the challenger's) and that of all days."""
    ours, theirs = Sample.of(labels, challenger, blocks), Sample.of(labels, champion, blocks)
    gains = [_gain(comparison.metric, ours, theirs, code) for code in range(ours.blocks)]
    title = f"Gain in {comparison.metric} over the champion, by day"
    figure, axes = framed(title, len(ours.labels), "day", "better above 0, worse below")
    axes.bar(range(len(gains)), gains, color=[BLUE if gain > 0 else GREY for gain in gains], label="one day")
    low, high = comparison.interval
    text = f"all days {comparison.difference:+.4g} ({low:+.4g} to {high:+.4g}, each end at {comparison.confidence:.0%})"
    axes.axhspan(low, high, color=ORANGE, alpha=0.2, lw=0)
    axes.axhline(comparison.difference, color=ORANGE, label=text)
    _mark_margin(axes, comparison)
    day_axis(axes, [str(key) for key in np.unique(np.asarray(blocks))])
    return svg(finished(figure, axes))


def _gain(metric: str, ours: Sample, theirs: Sample, code: int) -> float:
    measured = METRICS[metric]
    try:
        return measured.loss(measured(*theirs.block(code))) - measured.loss(measured(*ours.block(code)))
    except ValueError:
        return float("nan")  # not defined on this day alone, e.g. one class


def _mark_margin(axes: Axes, comparison: Comparison) -> None:
    limit = comparison.margin if comparison.rule == "superiority" else -comparison.margin
    label = f"the lower end must be above {limit:g} ({comparison.rule})"
    axes.axhline(limit, color="black", lw=1, linestyle="--", label=label)
