"""What the page of a use case shows: how its model does now, and how it did."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from include.contract.loading import Folder
from include.monitoring.charts import Draw, HistoryPoint, Plot, timeline, volume
from include.pages import found, observed, overview
from include.pages.found import Line
from include.pages.observed import FeatureDrift, Point
from include.pages.overview import Card

SPANS = {"60": 60, "120": 120, "400": 400}  # observations that can be asked for
BROAD, NARROW = 1280.0, 340.0  # widths of a chart, on a wide screen and on a phone
LISTED = 15


@dataclass(frozen=True)
class Chart:
    """A timeline for wide screens and for narrow ones, which show the newest part of it."""

    broad: Plot | None
    narrow: Plot | None


@dataclass(frozen=True)
class HealthPage:
    """``listed`` are the newest observations, the newest first.

    Of the last one, ``found`` is what the monitor found, and ``moved`` the features that moved most.
    """

    card: Card
    span: int
    points: tuple[Point, ...]
    quality: Chart | None
    drift: Chart | None
    volume: Chart | None
    listed: tuple[Point, ...]
    found: tuple[Line, ...]
    moved: tuple[FeatureDrift, ...]


def page(use_case: Folder, span: str = "60") -> HealthPage:
    """Read from the newest records; ``span`` is one of ``SPANS``, the first where it is none."""
    wanted = SPANS.get(span, min(SPANS.values()))
    card = overview.card(use_case)
    points = observed.points(use_case.config.name, wanted) if not card.problem else []
    drift, findings = (card.last.drift, card.last.findings) if card.last else (None, None)
    measured = [each for each in drift.features if each.drifted or each.effect is not None] if drift else []
    return HealthPage(
        card=card,
        span=wanted,
        points=tuple(points),
        quality=_chart(timeline, observed.quality_line(points)),
        drift=_chart(timeline, observed.drift_line(points)),
        volume=_chart(volume, observed.quality_line(points)),
        listed=tuple(reversed(points[-LISTED:])),
        found=found.lines(findings, card.metric) if findings else (),
        moved=tuple(sorted(measured, key=lambda each: (not each.drifted, -(each.effect or 0.0)))[:LISTED]),
    )


def _chart(draw: Draw, line: Sequence[HistoryPoint]) -> Chart | None:
    """None where there is nothing to draw."""
    broad = draw(line, BROAD) if line else None
    return Chart(broad, draw(line[-LISTED:], NARROW)) if broad else None
