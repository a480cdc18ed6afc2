"""What asks for a new model: each kind of evidence by itself, before it is asked whether this is the time.

Realized quality decides where labels have come; a drift of the predictions warns before they have. A drift of features
explains, and is a cause only where that is wanted: on seasonal data it is found in nearly every window and says nothing
about the loss. Beside what went wrong, new labelled rows and time by itself can be a cause.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Literal

from include.contract.monitoring import RetrainingConfig
from include.monitoring.drift import FeatureDrift
from include.monitoring.quality import Quality

if TYPE_CHECKING:
    from include.monitoring.policy import Evidence, RetrainingDecision

NAMED = 5  # drifted features that a reason names; the report shows all

Cause = Literal["quality_loss", "prediction_drift", "feature_drift", "new_rows", "schedule"]
AT_ONCE: tuple[Cause, ...] = ("new_rows", "schedule")  # counted, not estimated: seen once is sure


@dataclass(frozen=True)
class Finding:
    """What one kind of evidence says: ``found``, a cause to retrain, or ``open``: it cannot say yet."""

    cause: Cause
    reason: str
    found: bool = False
    open: bool = False


def findings(evidence: Evidence, config: RetrainingConfig, own: Sequence[RetrainingDecision]) -> list[Finding]:
    """In the order in which they are named as the trigger; ``own``: earlier decisions about the use case."""
    return [
        _quality(evidence.quality, config),
        _prediction(evidence.prediction_drift, config),
        *_features(evidence.drifted_features, config),
        *_season(evidence.seasonal_features),
        *_new_rows(evidence, config, own),
        *_schedule(evidence, config, own),
    ]


def newest_training(evidence: Evidence, own: Sequence[RetrainingDecision]) -> tuple[str, datetime]:
    """What was learned last, or will be, in words and with its cut-off.

    Requests count, so that one whose training failed is not repeated; so do those from later partitions.
    """
    return max(_trainings(evidence, own), key=lambda known: known[1])


def days(time: timedelta) -> str:
    number = time.total_seconds() / 86_400
    return f"{number:g} day{'' if number == 1 else 's'}"


def _trainings(evidence: Evidence, own: Sequence[RetrainingDecision]) -> Iterator[tuple[str, datetime]]:
    for what, instant in (
        ("the champion learned until", evidence.trained_until),
        ("the newest model learned until", evidence.last_training),
    ):
        if instant is not None:
            yield what, instant
    for entry in own:
        if entry.action == "retrain":
            yield "a new model was asked for at", entry.as_of


def _quality(quality: Quality | None, config: RetrainingConfig) -> Finding:
    if not config.on_quality_loss:
        return Finding("quality_loss", "quality: not asked to retrain on it")
    if quality is None:
        return Finding("quality_loss", "quality: not measured", open=True)
    if quality.coverage < config.minimum_coverage:
        share, least = f"{quality.coverage:.0%}", f"{config.minimum_coverage:.0%}"
        return Finding("quality_loss", f"quality: {share} of the labels have come, {least} are needed", open=True)
    worse = quality.decidable and quality.worse_than_promised
    return Finding("quality_loss", f"quality: {'; '.join(quality.reasons)}", worse, open=not quality.decidable)


def _prediction(drift: FeatureDrift | None, config: RetrainingConfig) -> Finding:
    if not config.on_prediction_drift:
        return Finding("prediction_drift", "prediction drift: not asked to retrain on it")
    if drift is None or not drift.computed:
        why = f": {'; '.join(drift.reasons)}" if drift and drift.reasons else ""
        return Finding("prediction_drift", f"prediction drift: could not be computed{why}")
    return Finding("prediction_drift", f"prediction drift: {'; '.join(drift.reasons)}", drift.drifted)


def _features(names: tuple[str, ...], config: RetrainingConfig) -> Iterator[Finding]:
    if names:
        role = "" if config.on_feature_drift else ", no cause by themselves"
        yield Finding("feature_drift", f"drifted features{role}: {_listed(names)}", config.on_feature_drift)


def _season(names: tuple[str, ...]) -> Iterator[Finding]:
    if names:
        yield Finding("feature_drift", f"moved as at this time of earlier years, no drift: {_listed(names)}")


def _listed(names: tuple[str, ...]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(sorted(names)[:NAMED]) + more


def _new_rows(evidence: Evidence, config: RetrainingConfig, own: Sequence[RetrainingDecision]) -> Iterator[Finding]:
    """Rows that were there at a request, whose candidate did not become champion, are not new any more."""
    if config.on_new_rows is None:
        return
    if evidence.labelled_since is None:
        yield Finding("new_rows", "new rows: not counted", open=True)
        return
    asked = (each for each in own if each.action == "retrain" and each.champion == evidence.champion)
    new = max(0, evidence.labelled_since - max((each.labelled_since or 0 for each in asked), default=0))
    words = f"new rows: {new:,} labelled since the champion learned or a request, {config.on_new_rows:,} ask for one"
    yield Finding("new_rows", words, new >= config.on_new_rows)


def _schedule(evidence: Evidence, config: RetrainingConfig, own: Sequence[RetrainingDecision]) -> Iterator[Finding]:
    if config.every is not None:
        what, newest = newest_training(evidence, own)
        words = f"schedule: {what} {newest.isoformat()}, a new one is due after {days(config.every)}"
        yield Finding("schedule", words, evidence.as_of - newest >= config.every)
