"""The look of all figures, as SVG: the same data gives the same bytes.

Drawn on figures of their own, without pyplot and without changing matplotlib's settings, so that threads may draw.
Colours are those of Okabe & Ito (2008), which colour-blind people can tell apart.
"""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BLUE, ORANGE, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#6E6E6E"
DAYS_NAMED = 8
GENERATED = re.compile(rb'(id="|href="#|url\(#)([a-z]+[0-9a-f]{10})(?=["\)])')


def framed(title: str, rows: int, x_name: str, y_name: str) -> tuple[Figure, Axes]:
    """An empty figure with its title and named axes."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 4.4), facecolor="white")
    axes: Any = figure.add_subplot(facecolor="white")
    axes.set_title(f"{title}, n = {rows:,}", loc="left", fontsize=11, parse_math=False)
    axes.set_xlabel(x_name, parse_math=False)
    axes.set_ylabel(y_name, parse_math=False)
    axes.grid(color="#E3E3E3", lw=0.7)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def day_axis(axes: Axes, keys: Sequence[str]) -> None:
    """Name some of the days at their places 0, 1, ..."""
    chosen = np.unique(np.linspace(0, len(keys) - 1, min(DAYS_NAMED, len(keys))).round().astype(int))
    axes.set_xticks(chosen, [keys[index] for index in chosen], rotation=30, ha="right", parse_math=False)


def finished(figure: Figure, axes: Axes) -> Figure:
    """The figure with its legend."""
    axes.legend(frameon=False, fontsize=9)
    return figure


def svg(figure: Figure) -> bytes:
    """matplotlib's own backend, with its random ids numbered by their first use."""
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    file = io.BytesIO()
    metadata = dict.fromkeys(("Date", "Creator"))
    FigureCanvasSVG(figure).print_figure(file, format="svg", dpi=110, bbox_inches="tight", metadata=metadata)
    names: dict[bytes, bytes] = {}
    return GENERATED.sub(lambda m: m[1] + names.setdefault(m[2], b"i%d" % len(names)), file.getvalue())
