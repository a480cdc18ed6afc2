"""The alerts that a look of the monitor opens and resolves: one of a kind for each champion."""

from __future__ import annotations

from collections.abc import Mapping

from include import alerts
from include.monitoring import observation
from include.monitoring.observation import Observation

PREDICTION: alerts.Kind = "prediction drift"
KINDS: tuple[alerts.Kind, ...] = ("quality loss", PREDICTION, "concept drift")


def causes(seen: Observation) -> Mapping[alerts.Kind, str]:
    """What is wrong, in words, by the kind of its alert. Nothing undecided is wrong."""
    found: dict[alerts.Kind, str] = {}
    if seen.quality.worse_than_promised:
        found["quality loss"] = "; ".join(seen.quality.reasons)
    prediction = seen.drift.prediction if seen.drift else None
    if prediction is not None and prediction.drifted:
        found[PREDICTION] = "; ".join(prediction.reasons)
    changes = [each for each in seen.findings.changes if each.drifted] if seen.findings else []
    if changes:
        found["concept drift"] = "; ".join(f"{each.what}: {each.reason}" for each in changes)
    return found


def tell(seen: Observation) -> None:
    """Open what is wrong and is not told of yet; resolve what is over, or was about another champion.

    An older partition that is looked at again says nothing of now.
    """
    (newest,) = observation.history(seen.use_case, latest=1)
    if newest.last != seen.last:
        return
    found, key = dict(causes(seen)), f"version {seen.model_version}"
    standing = {(each.kind, each.key) for each in alerts.open_alerts(seen.use_case)}
    asked = (seen.decision.action, seen.decision.trigger) == ("retrain", "prediction_drift")
    if not asked and (PREDICTION, key) not in standing:
        found.pop(PREDICTION, None)  # a few unusual days are no trouble: it has not lasted
    for kind, known in standing:
        if kind in KINDS and (kind not in found or known != key):
            alerts.resolve(seen.use_case, kind, known)
    for kind, why in found.items():
        if (kind, key) not in standing:  # its numbers change with every look: that is no news
            alerts.raise_alert(seen.use_case, kind, key, f"since {seen.last}: {why}")
