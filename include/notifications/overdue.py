"""The watch over the watch: predictions that nobody has looked at."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from include import alerts
from include.contract.loading import Folder
from include.monitoring import observation
from include.serving import batch_log

KIND: alerts.Kind = "late monitor"


def check(use_case: Folder, now: datetime) -> None:
    """Raise an alert while the newest predictions wait for the monitor longer than they may; resolve the others."""
    config = use_case.config
    newest = max(batch_log.keys(config.name), default=None)
    why = None
    if newest is not None and not observation.record_file(config.name, newest).is_file():
        predicted = datetime.fromtimestamp(batch_log.file(config.name, newest).stat().st_mtime, UTC)
        why = lateness(predicted, now, config.alerts.monitor_within)
    for each in alerts.open_alerts(config.name):
        if each.kind == KIND and (each.key != newest or why is None):
            alerts.resolve(config.name, KIND, each.key)
    if newest is not None and why is not None:
        alerts.raise_alert(config.name, KIND, newest, why)


def lateness(predicted: datetime, now: datetime, within: timedelta) -> str | None:
    """Since when the look at predictions is overdue, in words; None while it is in time."""
    if now <= predicted + within:
        return None
    at = predicted.isoformat(timespec="minutes")
    return f"its predictions were made {at}, and {within} later nobody had watched them: see the runs of the monitor"
