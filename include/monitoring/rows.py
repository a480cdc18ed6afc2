"""The numbers of an observation as rows (``include.monitoring.numbers``)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from include.monitoring.concept import ALL
from include.monitoring.drift import DriftReport
from include.monitoring.findings import Findings
from include.monitoring.numbers import Row, loss_rows, row
from include.monitoring.quality import Quality
from include.monitoring.service import Service

if TYPE_CHECKING:
    from include.monitoring.observation import Observation

COLUMN = ("effect", "q_value", "psi", "missing_current")  # of each column's drift


def rows_of(observation: Observation) -> list[Row]:
    """Every number of an observation."""
    quality, drift, found = observation.quality, observation.drift, observation.findings
    counts = {
        "predictions": quality.predictions,
        "labelled": quality.rows,
        "coverage": quality.coverage,
        "rows_landed": observation.landed,
        "rows_quarantined": observation.quarantined,
        "promised": quality.promised,
        "increase": quality.increase.value if quality.increase else None,
    }
    if drift is not None:
        counts["drifted_features"] = len(drift.drifted)
        counts["seasonal_features"] = len(drift.seasonal)
        counts["prediction_drift"] = drift.prediction.effect if drift.prediction else None
    rows = [row("window", name, value, quality.rows) for name, value in counts.items()]
    for name, value in quality.values.items():
        interval = quality.interval if name == quality.metric else None
        rows.append(row("window", name, value, quality.rows, interval=interval))
    if drift is not None:
        rows += _of_columns(drift)
    if found is not None:
        rows += [*_of_window(found, quality), *_of_service(found.service), *_of_days(found, quality)]
        rows += loss_rows(found.losses)
    return rows


def _of_columns(drift: DriftReport) -> Iterator[Row]:
    for column in filter(None, (*drift.features, drift.prediction)):
        for name in COLUMN:
            yield row("column", name, getattr(column, name), column.n_current, of=column.name)


def _of_window(found: Findings, quality: Quality) -> Iterator[Row]:
    if found.gain is not None:
        yield row("window", "baseline", found.gain.baseline_value, found.gain.rows)
        yield row("window", "gain", found.gain.gain, found.gain.rows, interval=found.gain.interval)
    for each in found.ahead.metrics:
        yield row("window", f"estimated_{each.metric}", each.value, found.ahead.rows, interval=each.interval)
    for each in found.held.metrics:
        yield row("window", f"estimate_error_{each.metric}", each.error, found.held.rows)
    if found.calibration is not None:
        yield row("window", "calibration_error", found.calibration.error, found.held.rows)
    if found.value is not None:
        worth = found.value.window
        yield row("window", "value", worth.value, worth.rows)
        yield row("window", "value_over_baseline", worth.gain, worth.rows, interval=worth.gain_interval)
    if found.outliers is not None:
        yield row("window", "outlier_alarms", len(found.outliers.raised), quality.predictions)
    if found.together is not None:
        yield row("window", "separation_auc", found.together.auc, found.together.n_current)
    for change in found.changes:
        if change.computed:
            of = "" if change.what == ALL else change.what
            yield row("window", "concept_sum", change.statistic, change.days, of=of)
    for group in found.slices:
        yield row("slice", quality.metric, group.now, group.rows, of=group.name, interval=group.interval)


def _of_service(service: Service | None) -> Iterator[Row]:
    """What is of the window: the counts of replicas and the use of the machine are of the moment of the look."""
    if service is None:
        return
    yield row("window", "online_requests", service.requests, service.requests)
    yield row("window", "online_predictions", service.predictions, service.predictions)
    yield row("window", "online_from_defaults", service.from_defaults, service.predictions)
    for name, seconds in service.latency.items():
        yield row("window", f"online_latency_{name}", seconds, service.requests)


def _of_days(found: Findings, quality: Quality) -> Iterator[Row]:
    for day in found.days:
        yield row("day", "predictions", day.predictions, day.predictions, day=day.day)
        yield row("day", "labelled", day.rows, day.rows, day=day.day)
        for name, value in day.values.items():
            interval = day.interval if name == quality.metric else None
            yield row("day", name, value, day.rows, day=day.day, interval=interval)
        yield row("day", "promised", quality.promised, day.rows, day=day.day)
        yield row("day", "baseline", day.baseline, day.rows, day=day.day)
        yield row("day", "estimated", day.estimated, day.predictions, day=day.day)
