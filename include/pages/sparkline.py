"""A quality sparkline: the line, its interval, what was promised, and where another version took over."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from include.monitoring.charts import Mark
from include.pages.observed import Point

WIDTH, HEIGHT, EDGE = 320.0, 56.0, 4.0


@dataclass(frozen=True)
class Sparkline:
    """SVG paths within ``WIDTH`` x ``HEIGHT``; ``told`` says the same in words."""

    line: str
    band: str
    promise: str
    rules: tuple[Mark, ...]
    columns: tuple[Mark, ...]
    told: str


def draw(points: Sequence[Point], metric: str) -> Sparkline | None:
    """None where no observation has a value."""
    known = [(index, each, each.value) for index, each in enumerate(points) if each.value is not None]
    if not known:
        return None
    drawn = [value for each in points for value in (each.value, each.promised, *(each.interval or ()))]
    ends = [value for value in drawn if value is not None]
    low, high = min(ends), max(ends)
    step = (WIDTH - 2 * EDGE) / max(len(points) - 1, 1)

    def x(index: int) -> float:
        return round(EDGE + step * index, 1)

    def y(value: float) -> float:
        share = (value - low) / (high - low) if high > low else 0.5
        return round(HEIGHT - EDGE - share * (HEIGHT - 2 * EDGE), 1)

    where = [(x(index), each, value) for index, each, value in known]
    banded = [(at, each.interval) for at, each, _ in where if each.interval]
    band = [f"{at:g},{y(ends[1]):g}" for at, ends in banded] + [f"{at:g},{y(ends[0]):g}" for at, ends in banded[::-1]]
    promised = [(at, each.promised) for at, each, _ in where if each.promised is not None]
    rules = [
        Mark(x(index), 0.0, f"version {each.version} from {each.partition} on", 8.0, HEIGHT)
        for index, (before, each) in enumerate(pairwise(points), 1)
        if before.version != each.version
    ]
    first, last = known[0], known[-1]
    return Sparkline(
        line="M" + "L".join(f"{at:g},{y(value):g}" for at, _, value in where) + ("h0" if len(where) == 1 else ""),
        band=f"M{'L'.join(band)}Z" if len(banded) > 1 else "",
        promise="M" + "L".join(f"{at:g},{y(value):g}" for at, value in promised) if promised else "",
        rules=tuple(rules),
        columns=tuple(Mark(at - step / 2, 0.0, _words(each, metric), max(step, 2.0), HEIGHT) for at, each, _ in where),
        told=f"{metric} from {first[2]:.4g} ({first[1].partition}) to {last[2]:.4g} ({last[1].partition}), "
        f"{len(rules)} change{'' if len(rules) == 1 else 's'} of the version",
    )


def _words(point: Point, metric: str) -> str:
    interval = f" ({point.interval[0]:.4g} to {point.interval[1]:.4g})" if point.interval else ""
    promised = f", promised {point.promised:.4g}" if point.promised is not None else ""
    return f"{point.partition}: {metric} {point.value:.4g}{interval}{promised}, version {point.version}"
