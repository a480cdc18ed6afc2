"""The monitoring report: one HTML page that needs nothing but itself."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from include.monitoring import charts, distribution_charts
from include.monitoring.charts import HistoryPoint
from include.monitoring.drift import DriftReport, FeatureDrift
from include.monitoring.findings import Findings
from include.monitoring.policy import RetrainingDecision
from include.monitoring.quality import Quality
from include.records import Record

WIDE, HALF, NARROW = 930.0, 420.0, 314.0
SHOWN = 120  # days of a plot
DASH = "\N{EN DASH}"

HEADLINES = {
    ("retrain", "quality_loss"): "Retrain: the quality is worse than promised",
    ("retrain", "prediction_drift"): "Retrain: the predictions have drifted",
    ("wait", "quality_loss"): "Wait: the quality is worse than promised",
    ("wait", "prediction_drift"): "Wait: the predictions have drifted",
    ("retrain", "feature_drift"): "Retrain: the features have drifted",
    ("retrain", "new_rows"): "Retrain: there is much that the model has not learned from",
    ("retrain", "schedule"): "Retrain: it is time",
    ("wait", "feature_drift"): "Wait: the features have drifted",
    ("wait", "new_rows"): "Wait: there is much that the model has not learned from",
    ("wait", "schedule"): "Wait: a new model is due",
    ("wait", None): "Wait: not enough is known yet",
    ("no", None): "No new model is needed",
}


@dataclass(frozen=True)
class ReportData(Record):
    """What a report shows. Values may hold any text: everything is escaped."""

    use_case: str
    title: str
    span: str
    champion: str | None
    decision: RetrainingDecision | None = None
    quality: Quality | None = None
    drift: DriftReport | None = None
    findings: Findings | None = None
    history: tuple[HistoryPoint, ...] = ()  # by partition that was watched, oldest first
    days: tuple[HistoryPoint, ...] = ()  # by day of events
    label_effect: float = 0.1  # the limit of the drift of labels
    volume: Mapping[str, int] = field(default_factory=dict)  # e.g. rows received, predictions
    quarantined: Mapping[str, int] = field(default_factory=dict)  # rows by raw table and reason
    identities: Mapping[str, str] = field(default_factory=dict)  # data revision, model version, run


def render(report_data: ReportData) -> str:
    """The page as HTML. The same data gives the same page."""
    drift = report_data.drift
    columns = sorted(drift.features, key=_importance) if drift else []
    return (
        _environment()
        .get_template("report.html.j2")
        .render(
            data=report_data,
            headline=_headline(report_data.decision),
            state=_state(report_data.decision),
            columns=columns,
            histograms={
                column.name: distribution_charts.histogram(column.histogram)
                for column in [*columns, *_beside(report_data)]
                if column.histogram and column.kind == "numeric"
            },
            timelines=_both(charts.timeline, report_data.history),
            calibrations=_calibrations(report_data.findings),
            label_limit=report_data.label_effect,
            daily=_both(charts.timeline, report_data.days[-SHOWN:]),
            volumes=_both(charts.volume, report_data.days[-SHOWN:] or report_data.history),
        )
    )


def number(value: float | None) -> str:
    """Four significant digits; a dash where there is none."""
    return DASH if value is None or not math.isfinite(value) else f"{value:,.4g}"


def size(value: float | None) -> str:
    """An effect: three decimals, beyond which nobody acts on it."""
    return DASH if value is None or not math.isfinite(value) else f"{value:.3f}"


def signed(value: float | None) -> str:
    return DASH if value is None or not math.isfinite(value) else f"{value:+,.3g}"


def percent(value: float | None) -> str:
    if value is None:
        return DASH
    return f"{value:.0%}" if value in (0, 1) or 0.1 <= value <= 0.995 else f"{value:.1%}"


def chance(value: float | None) -> str:
    """A p or q value."""
    if value is None:
        return DASH
    return "< 0.0001" if value < 1e-4 else f"{value:.2g}"


def _headline(decision: RetrainingDecision | None) -> str:
    if decision is None:
        return "No decision was made"
    return HEADLINES.get((decision.action, decision.trigger), "No: the cause was already acted on")


def _state(decision: RetrainingDecision | None) -> str:
    return {"retrain": "bad", "wait": "warn", "no": "good"}[decision.action] if decision else "warn"


def _importance(column: FeatureDrift) -> tuple[bool, float, str]:
    """What could not be computed first, then by the larger of the effects."""
    missing = (column.missing_current or 0.0) - (column.missing_reference or 0.0)
    return column.computed, -max(column.effect or 0.0, abs(missing)), column.name


def _both(draw: charts.Draw, history: tuple[HistoryPoint, ...]) -> dict[str, charts.Plot]:
    """The plot for wide and for narrow screens: scaling one would shrink its letters."""
    plots = {"wide": draw(history, WIDE), "narrow": draw(history, NARROW)} if history else {}
    return {name: plot for name, plot in plots.items() if plot is not None}


def _beside(report_data: ReportData) -> list[FeatureDrift]:
    """What is drawn as a column and is none: the prediction and the label."""
    drift, found = report_data.drift, report_data.findings
    beside = (drift.prediction if drift else None, found.label if found else None)
    return [column for column in beside if column is not None]


def _calibrations(found: Findings | None) -> dict[str, charts.Plot]:
    if found is None or found.calibration is None or found.gate_calibration is None:
        return {}
    return {
        name: distribution_charts.reliability(found.calibration, found.gate_calibration, width)
        for name, width in {"wide": HALF, "narrow": NARROW}.items()
    }


@lru_cache(maxsize=1)
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"number": number, "size": size, "signed": signed, "percent": percent, "chance": chance}
    return environment
