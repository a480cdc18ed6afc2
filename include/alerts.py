"""Alerts: what a person should look at. Opened once, resolved when the cause is gone; a JSON line for each change."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from include.files import append_bytes, append_line, lines_backwards
from include.records import Record
from include.settings import get_settings

log = logging.getLogger(__name__)

Kind = Literal[
    "late data", "refused batch", "feature skew", "failed promotion", "quality loss", "prediction drift",
    "concept drift", "late monitor",
]  # fmt: skip
State = Literal["open", "resolved"]
Severity = Literal["warning", "critical"]

# critical: users get wrong answers or none that is watched, until somebody acts.
SEVERITIES: dict[Kind, Severity] = {
    "late data": "warning",
    "refused batch": "critical",
    "feature skew": "critical",
    "failed promotion": "critical",
    "quality loss": "critical",
    "prediction drift": "warning",
    "concept drift": "warning",
    "late monitor": "critical",
}


@dataclass(frozen=True)
class Alert(Record):
    """One change of an alert. ``kind`` and ``key`` (a partition, a version) name the alert within its use case."""

    use_case: str
    kind: Kind
    key: str
    state: State
    message: str
    at: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))

    @property
    def severity(self) -> Severity:
        return SEVERITIES[self.kind]


def raise_alert(use_case: str, kind: Kind, key: str, message: str) -> None:
    """Open an alert, or say something new about it; the same message again changes nothing."""
    known = _current(use_case).get((kind, key))
    if known is None or (known.state, known.message) != ("open", message):
        log.warning("alert: %s %s: %s: %s", use_case, key, kind, message)
        _append(Alert(use_case, kind, key, "open", message))


def resolve(use_case: str, kind: Kind, key: str) -> None:
    """Close an alert; one that is not open stays as it is."""
    known = _current(use_case).get((kind, key))
    if known is not None and known.state == "open":
        log.info("alert resolved: %s %s: %s", use_case, key, kind)
        _append(Alert(use_case, kind, key, "resolved", known.message))


def open_alerts(use_case: str) -> list[Alert]:
    """The alerts that wait for somebody, the oldest first."""
    return [alert for alert in _current(use_case).values() if alert.state == "open"]


def changes(use_case: str) -> list[Alert]:
    """Everything that was raised and resolved, in that order."""
    path = _file(use_case)
    if not path.is_file():
        return []
    found = []
    for line in path.read_bytes().split(b"\n"):  # a message may hold what else splits lines
        try:
            found += [Alert.from_dict(json.loads(line))] if line else []
        except ValueError:
            log.warning("%s: passed over a line whose writer was killed: %.80r", path, line)
    return found


def _current(use_case: str) -> dict[tuple[str, str], Alert]:
    return {(change.kind, change.key): change for change in changes(use_case)}


def _append(alert: Alert) -> None:
    path = _file(alert.use_case)
    if next(lines_backwards(path), b""):
        append_bytes(path, b"\n")  # ends the line of a writer that was killed in it
    append_line(path, alert.to_dict())


def _file(use_case: str) -> Path:
    return get_settings().alerts / f"{use_case}.jsonl"
