"""Should the model be retrained? Decided from evidence alone, and the same evidence is acted on once.

Realized quality decides where labels have come; a drift of the predictions warns before they have. A drift of features
alone never asks for a new model: on seasonal data it is found in nearly every window and says nothing about the loss.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from include.contract.use_case import RetrainingConfig
from include.monitoring.drift import FeatureDrift
from include.monitoring.quality import Quality
from include.records import Record

NAMED = 5  # drifted features that a reason names; the report shows all

Action = Literal["retrain", "wait", "no"]
Trigger = Literal["quality_loss", "prediction_drift"]


@dataclass(frozen=True)
class Evidence(Record):
    """What the monitor knows at the end of a window. ``ValueError`` for an instant without a time zone."""

    use_case: str
    partition: str  # key of the window's last partition
    as_of: datetime  # its cut-off
    champion: str | None  # model version
    trained_until: datetime | None  # cut-off of the champion's training data
    quality: Quality | None = None
    prediction_drift: FeatureDrift | None = None
    drifted_features: tuple[str, ...] = ()
    data_incident: bool = False  # the data was refused, or much of it was put in quarantine

    def __post_init__(self) -> None:
        for name, instant in (("as_of", self.as_of), ("trained_until", self.trained_until)):
            if instant is not None and instant.tzinfo is None:
                raise ValueError(f"{name}: {instant} has no time zone")
        if self.champion is not None and self.trained_until is None:
            raise ValueError(f"trained_until: missing for champion {self.champion}")

    @property
    def id(self) -> str:
        """The same for the same facts about the same champion, whichever partition they are looked at from.

        Made of numbers to nine digits, not of words and plots, so that neither a better wording nor another machine's
        last digit is new evidence.
        """
        facts = self.to_dict()
        del facts["partition"], facts["as_of"]
        facts["drifted_features"] = sorted(facts["drifted_features"])
        canonical = json.dumps(_essence(facts), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()[:16]


@dataclass(frozen=True)
class RetrainingDecision(Record):
    """``retrain``: ask for a new model. ``wait``: not now, look again. ``no``: there is no cause."""

    use_case: str
    partition: str
    as_of: datetime
    champion: str | None
    action: Action
    trigger: Trigger | None  # the cause that was found, also where it is not acted on yet
    reasons: tuple[str, ...]
    evidence_id: str


@dataclass(frozen=True)
class _Finding:
    """What one kind of evidence says: ``cause`` to retrain, or ``open``: it cannot say yet."""

    reason: str
    cause: bool = False
    open: bool = False


def decide(evidence: Evidence, config: RetrainingConfig, history: Sequence[RetrainingDecision]) -> RetrainingDecision:
    """Decide on the evidence, given all earlier decisions in the order in which they were made.

    A partition that is run again on the same evidence gets the decision it got before, whatever the configuration is by
    now. Decisions about other use cases are ignored.
    """
    own = [entry for entry in history if entry.use_case == evidence.use_case]
    for entry in reversed(own):
        if entry.partition == evidence.partition and entry.evidence_id == evidence.id:
            return entry
    if evidence.champion is None:
        return _decision(evidence, "no", None, ("there is no champion to retrain",))
    quality = _quality(evidence.quality, config)
    prediction = _prediction(evidence.prediction_drift, config)
    trigger: Trigger | None = "quality_loss" if quality.cause else "prediction_drift" if prediction.cause else None
    findings = (prediction, quality) if trigger == "prediction_drift" else (quality, prediction)
    reasons = (*(finding.reason for finding in findings), *_features(evidence.drifted_features))
    if evidence.data_incident:
        incident = "the data of this window is in doubt: it is no ground to learn from or to judge by"
        return _decision(evidence, "wait", trigger, (incident, *reasons))
    if trigger is None:
        return _decision(evidence, "wait" if quality.open else "no", None, reasons)
    used, early = next(_already_used(evidence, own), None), _cooling(evidence, config, own)
    action: Action = "no" if used else "wait" if early else "retrain"
    return _decision(evidence, action, trigger, (*(why for why in (used or early,) if why), *reasons))


def _quality(quality: Quality | None, config: RetrainingConfig) -> _Finding:
    if not config.on_quality_loss:
        return _Finding("quality: not asked to retrain on it")
    if quality is None:
        return _Finding("quality: not measured", open=True)
    if quality.coverage < config.minimum_coverage:
        share, least = f"{quality.coverage:.0%}", f"{config.minimum_coverage:.0%}"
        return _Finding(f"quality: {share} of the labels have come, {least} are needed", open=True)
    words = f"quality: {'; '.join(quality.reasons)}"
    return _Finding(words, cause=quality.decidable and quality.worse_than_promised, open=not quality.decidable)


def _prediction(drift: FeatureDrift | None, config: RetrainingConfig) -> _Finding:
    if not config.on_prediction_drift:
        return _Finding("prediction drift: not asked to retrain on it")
    if drift is None or not drift.computed:
        why = f": {'; '.join(drift.reasons)}" if drift and drift.reasons else ""
        return _Finding(f"prediction drift: could not be computed{why}")
    return _Finding(f"prediction drift: {'; '.join(drift.reasons)}", cause=drift.drifted)


def _features(names: tuple[str, ...]) -> Iterator[str]:
    if names:
        more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
        yield f"drifted features, no cause by themselves: {', '.join(sorted(names)[:NAMED])}{more}"


def _already_used(evidence: Evidence, own: list[RetrainingDecision]) -> Iterator[str]:
    for entry in reversed(own):
        if entry.action == "retrain" and entry.evidence_id == evidence.id:
            yield f"a new model was asked for on this very evidence, from partition {entry.partition}"
        elif entry.action == "retrain" and entry.partition == evidence.partition:
            yield f"a new model was already asked for from partition {entry.partition}"


def _cooling(evidence: Evidence, config: RetrainingConfig, own: list[RetrainingDecision]) -> str | None:
    """A request later than the evidence counts, too: an old partition that is run again must not repeat it."""
    last = max((entry.as_of for entry in own if entry.action == "retrain"), default=None)
    for what, instant in (
        ("a new model was asked for at", last),
        ("the champion learned until", evidence.trained_until),
    ):
        if instant is not None and evidence.as_of - instant < config.cooldown:
            return f"too early: {what} {instant.isoformat()}, less than the cooldown of {_days(config.cooldown)} ago"
    return None


def _essence(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _essence(part) for key, part in value.items() if key not in ("reasons", "histogram")}
    if isinstance(value, list):
        return [_essence(part) for part in value]
    return float(f"{value:.9g}") if isinstance(value, float) else value


def _days(time: timedelta) -> str:
    days = time.total_seconds() / 86_400
    return f"{days:g} day{'' if days == 1 else 's'}"


def _decision(
    evidence: Evidence, action: Action, trigger: Trigger | None, reasons: tuple[str, ...]
) -> RetrainingDecision:
    return RetrainingDecision(
        use_case=evidence.use_case,
        partition=evidence.partition,
        as_of=evidence.as_of,
        champion=evidence.champion,
        action=action,
        trigger=trigger,
        reasons=reasons,
        evidence_id=evidence.id,
    )
