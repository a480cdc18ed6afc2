"""Should the model be retrained? Decided from evidence alone, and the same evidence is acted on once.

The rules, in their order:

1. a partition that is run again on the same evidence gets the decision it got before;
2. without a champion there is nothing to retrain;
3. while data is in doubt nothing is learned from it, nor counted as found;
4. there must be a cause (``include.monitoring.causes``);
5. the same evidence, or the same partition, never asks twice;
6. a loss or a drift must be found in several partitions in a row;
7. the cooldown after the newest training, whoever asked for it, must be over;
8. the budget of requests must not be spent.

A person's request is a run of ``.train`` and none of these: only the cooldown knows of it afterwards.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any, Literal

from include.contract.monitoring import BUDGET_PERIOD, RetrainingConfig
from include.monitoring.causes import AT_ONCE, Cause, days, findings, newest_training
from include.monitoring.drift import FeatureDrift
from include.monitoring.quality import Quality
from include.records import Record

Action = Literal["retrain", "wait", "no"]


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
    seasonal_features: tuple[str, ...] = ()  # moved as they do at this time of the year: no drift
    data_incident: bool = False  # the data was refused, or much of it was put in quarantine
    labelled_since: int | None = None  # labelled rows that became known after ``trained_until``
    last_training: datetime | None = None  # cut-off of the newest training, whoever asked and whatever came of it

    def __post_init__(self) -> None:
        for name in ("as_of", "trained_until", "last_training"):
            instant = getattr(self, name)
            if instant is not None and instant.tzinfo is None:
                raise ValueError(f"{name}: {instant} has no time zone")
        if self.champion is not None and self.trained_until is None:
            raise ValueError(f"trained_until: missing for champion {self.champion}")

    @cached_property
    def id(self) -> str:
        """The same for the same facts about the same champion, whichever partition they are looked at from.

        Made of numbers to nine digits, not of words and plots, so that neither a better wording nor another machine's
        last digit is new evidence. A training that was begun since says nothing new about the champion, either, and
        what the season moved is none.
        """
        facts = self.to_dict()
        for circumstance in ("partition", "as_of", "last_training", "seasonal_features"):
            del facts[circumstance]
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
    trigger: Cause | None  # the cause that was found, also where it is not acted on yet
    reasons: tuple[str, ...]
    evidence_id: str
    causes: tuple[Cause, ...] | None = None  # all that were found, none in doubtful data; None: only one was kept
    labelled_since: int | None = None

    def found(self, cause: Cause) -> bool:
        return cause == self.trigger if self.causes is None else cause in self.causes


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
    known = findings(evidence, config, own)
    causes = tuple(each.cause for each in known if each.found)
    unsure = {cause: why for cause in causes if (why := _unsure(cause, evidence, config, own))}
    trigger = next((cause for cause in causes if cause not in unsure), next(iter(causes), None))
    reasons = tuple(each.reason for each in sorted(known, key=lambda each: each.cause != trigger))
    if evidence.data_incident:
        incident = "the data of this window is in doubt: it is no ground to learn from or to judge by"
        return _decision(evidence, "wait", trigger, (incident, *reasons))
    if trigger is None:
        return _decision(evidence, "wait" if any(each.open for each in known) else "no", None, reasons)
    used = next(_already_used(evidence, own), None)
    early = unsure.get(trigger) or _cooling(evidence, config, own) or _spent(evidence, config, own)
    action: Action = "no" if used else "wait" if early else "retrain"
    return _decision(evidence, action, trigger, (*(why for why in (used or early,) if why), *reasons), causes)


def _already_used(evidence: Evidence, own: list[RetrainingDecision]) -> Iterator[str]:
    for entry in reversed(own):
        if entry.action == "retrain" and entry.evidence_id == evidence.id:
            yield f"a new model was asked for on this very evidence, from partition {entry.partition}"
        elif entry.action == "retrain" and entry.partition == evidence.partition:
            yield f"a new model was already asked for from partition {entry.partition}"


def _unsure(cause: Cause, evidence: Evidence, config: RetrainingConfig, own: list[RetrainingDecision]) -> str | None:
    """Fewer partitions in a row showed the cause of the same champion, each by evidence of its own, than it takes."""
    earlier = [each for each in own if each.champion == evidence.champion and each.as_of < evidence.as_of]
    last = {each.partition: each for each in earlier}
    seen = {evidence.id}
    for each in sorted(last.values(), key=lambda decided: decided.as_of, reverse=True):
        if not each.found(cause):
            break
        seen.add(each.evidence_id)
    needed = 1 if cause in AT_ONCE else config.persistence
    if len(seen) >= needed:
        return None
    return f"not sure yet: {cause.replace('_', ' ')} was found {len(seen)} time(s) in a row, and it takes {needed}"


def _cooling(evidence: Evidence, config: RetrainingConfig, own: list[RetrainingDecision]) -> str | None:
    """A training later than the evidence counts, too: an old partition that is run again must not repeat it."""
    what, newest = newest_training(evidence, own)
    if evidence.as_of - newest < config.cooldown:
        return f"too early: {what} {newest.isoformat()}, less than the cooldown of {days(config.cooldown)} ago"
    return None


def _spent(evidence: Evidence, config: RetrainingConfig, own: list[RetrainingDecision]) -> str | None:
    """Of the monitor's own requests: a run by hand or by the clock of ``.train`` was decided by people."""
    recent = [each for each in own if each.action == "retrain" and evidence.as_of - each.as_of < BUDGET_PERIOD]
    if len(recent) < config.budget:
        return None
    spent = f": {', '.join(each.partition for each in recent)}" if recent else ""
    return f"the budget of {config.budget} requests in {BUDGET_PERIOD.days} days is spent{spent}"


def _essence(value: Any) -> Any:
    if isinstance(value, dict):
        kept = {key: part for key, part in value.items() if key not in ("reasons", "histogram") and part is not None}
        return {key: _essence(part) for key, part in kept.items()}
    if isinstance(value, list):
        return [_essence(part) for part in value]
    return float(f"{value:.9g}") if isinstance(value, float) else value


def _decision(
    evidence: Evidence, action: Action, trigger: Cause | None, reasons: tuple[str, ...], causes: tuple[Cause, ...] = ()
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
        causes=causes,
        labelled_since=evidence.labelled_since,
    )
