"""The numbers of an observation as rows (``include.monitoring.numbers``)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from include.monitoring.concept import ALL
from include.monitoring.findings import Findings
from include.monitoring.numbers import Row, loss_rows, row
from include.monitoring.quality import Quality

if TYPE_CHECKING:
    from include.monitoring.observation import Observation


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
        counts["prediction_drift"] = drift.prediction.effect if drift.prediction else None
    rows = [row("window", name, value, quality.rows) for name, value in counts.items()]
    for name, value in quality.values.items():
        interval = quality.interval if name == quality.metric else None
        rows.append(row("window", name, value, quality.rows, interval=interval))
    return rows + (list(_rows_of_findings(found, quality)) if found else [])


def _rows_of_findings(found: Findings, quality: Quality) -> Iterator[Row]:
    metric, promised = quality.metric, quality.promised
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
    for change in found.changes:
        if change.computed:
            of = "" if change.what == ALL else change.what
            yield row("window", "concept_sum", change.statistic, change.days, of=of)
    for group in found.slices:
        yield row("slice", metric, group.now, group.rows, of=group.name, interval=group.interval)
    for day in found.days:
        yield row("day", "predictions", day.predictions, day.predictions, day=day.day)
        yield row("day", "labelled", day.rows, day.rows, day=day.day)
        for name, value in day.values.items():
            yield row("day", name, value, day.rows, day=day.day, interval=day.interval if name == metric else None)
        yield row("day", "promised", promised, day.rows, day=day.day)
        yield row("day", "baseline", day.baseline, day.rows, day=day.day)
        yield row("day", "estimated", day.estimated, day.predictions, day=day.day)
    yield from loss_rows(found.losses)
