"""A promotion whose run has failed: somebody is told of it until the next promotion."""

from __future__ import annotations

from include import alerts
from include.deployment import ledger
from include.deployment.switch import ALERT
from include.history import log as history


def report(use_case: str, *, origin: str, why: str) -> None:
    """Raise an alert about the run ``origin``, unless one about its version waits for somebody already."""
    judged = [each.version for each in history.read(use_case) if (each.kind, each.origin) == ("gate", origin)]
    key = str(judged[-1]) if judged else origin
    if any((each.kind, each.key) == (ALERT, key) for each in alerts.open_alerts(use_case)):
        return
    message = f"the run {origin} has failed: {why}"
    head = ledger.head(use_case)
    if head is not None and head.challenger is not None and head.origin == origin:
        message += (
            f"; version {head.challenger} is still being tried as {head.mode}, unjudged: clear the failed task to go "
            f"on, or end it by {use_case}.rollout; the next promotion ends it, too"
        )
    alerts.raise_alert(use_case, ALERT, key, message)


def resolve(use_case: str) -> None:
    """A promotion went through: whatever was said of those before it has been overcome."""
    for each in alerts.open_alerts(use_case):
        if each.kind == ALERT:
            alerts.resolve(use_case, ALERT, each.key)
