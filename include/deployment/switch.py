"""Changes what is in production, and is done only when every serving replica says so.

A change is one generation of the ledger, then of the registry, then of the replicas. Wherever it is broken off, the
same attempt goes on from there when it is run again; another one takes the broken change back first.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from typing import Literal

from include import alerts
from include.contract.loading import Folder
from include.deployment import ledger, published
from include.deployment.generation import Generation
from include.deployment.replica import served_version
from include.features import in_use
from include.history import log as history
from include.history.log import Decision
from include.records import Record
from include.registry import models
from include.settings import get_settings

log = logging.getLogger(__name__)

VERIFY_TIMEOUT = 60.0
DONE = {"promotion": "promoted", "rollback": "rolled back"}
ALERT: alerts.Kind = "failed promotion"


class SwitchError(Exception):
    """A change of the champion that did not reach every replica and was taken back."""


class StaleVerdictError(ValueError):
    """The gate compared with a version that is not the champion any more."""


@dataclass(frozen=True)
class Change:
    """What is asked for: a version in production, by whom and why. ``origin`` names the attempt (an Airflow run)."""

    kind: Literal["promotion", "rollback"]
    version: int
    origin: str
    reasons: tuple[str, ...]
    actor: str = ""
    note: str = ""
    evidence: tuple[str, ...] = ()


@dataclass(frozen=True)
class Done(Record):
    """What a change came to. ``decisions`` is the head of the log of decisions after it."""

    version: int
    previous: int | None
    generation: int
    decisions: str


def promote(use_case: Folder, change: Change, judged_against: int | None) -> Done:
    """Make a version the champion.

    ``judged_against``: the champion that the gate compared with. ``StaleVerdictError`` where it is another by now.
    """
    return _change(use_case.config.name, change, judged_against)


def rollback(use_case: Folder, change: Change) -> Done:
    """Put an earlier champion back."""
    return _change(use_case.config.name, change, None)


def _change(name: str, change: Change, judged_against: int | None) -> Done:
    models.get(name, change.version)  # is it there at all?
    with ledger.changing(name):
        head = _settled(name, change.origin)
        if head is not None and (head.origin, head.kind, head.champion) == (change.origin, change.kind, change.version):
            generation = head  # the same attempt, run again
        else:
            generation = _next(name, head, change, judged_against)
        before = ledger.before(generation)
        try:
            _put_in_force(generation)
            verify_replicas(name, generation.champion)
        except SwitchError as error:
            _take_back(generation, before, (str(error),), change)
            raise
        decisions = _decided(change, DONE[change.kind], generation, change.reasons)
        alerts.resolve(name, ALERT, str(change.version))
    previous = before.champion if before else None
    log.info("%s: version %d is champion (before: %s)", name, change.version, previous)
    return Done(change.version, previous, generation.number, decisions)


def _settled(name: str, origin: str) -> Generation | None:
    """The generation in force, after what others left behind: a change that was broken off, an alias moved by hand."""
    head = ledger.head(name)
    if head is None:
        return _adopt(name, None)
    if head.origin == origin:
        return head
    if (broken := _change_of(head)) and not _was_decided(head):
        return _take_back(head, ledger.before(head), ("it was broken off, and another change came",), broken)
    in_force = published.read(name)
    published_whole = in_force is not None and in_force.number == head.number
    if not published_whole:
        _put_in_force(head)
    taken_back = ledger.before(head) if head.kind == "taken back" else None
    if taken_back is not None and (broken := _change_of(taken_back)) and not _was_decided(taken_back):
        _decided(broken, "taken back", taken_back, (head.reason,))
    return _adopt(name, head) if published_whole else head


def _change_of(generation: Generation) -> Change | None:
    """The change that a generation was made by, as far as the ledger knows it."""
    if generation.champion is None or generation.kind not in ("promotion", "rollback"):
        return None
    return Change(generation.kind, generation.champion, generation.origin, (generation.reason,), generation.actor)


def _adopt(name: str, head: Generation | None) -> Generation | None:
    """Keep up with an alias that was moved in MLflow itself: it is what serves, so the ledger has to know."""
    champion = models.by_alias(name, models.CHAMPION)
    version = champion.version if champion else None
    if version == (head.champion if head else None):
        return head
    reason = f"the alias {models.CHAMPION} was moved to version {version} outside of promotion and rollback"
    log.warning("%s: %s", name, reason)
    previous = head.champion if head else None
    adopted = ledger.append(name, head, champion=version, previous=previous, kind="by hand", reason=reason)
    published.publish(adopted)
    if version is not None:
        by_hand = Change("promotion", version, f"by hand {adopted.number}", (reason,), "outside of the pipeline")
        _decided(by_hand, DONE["promotion"], adopted, by_hand.reasons)
    return adopted


def _next(name: str, head: Generation | None, change: Change, judged_against: int | None) -> Generation:
    champion = head.champion if head else None
    if change.kind == "promotion" and champion != judged_against:
        raise StaleVerdictError(
            f"{name}: version {change.version} was judged against champion {judged_against}, and the champion is "
            f"{champion} by now: run {name}.promote for version {change.version} again"
        )
    if champion == change.version:
        raise ValueError(f"{name}: version {change.version} is the champion already")
    _record_in_use(name, change.version, champion)  # refuses a version whose features are gone
    return ledger.append(
        name,
        head,
        champion=change.version,
        previous=champion,
        kind=change.kind,
        origin=change.origin,
        actor=change.actor,
        reason="; ".join(filter(None, (change.note, *change.reasons))),
    )


def _put_in_force(generation: Generation) -> None:
    # Recorded before the registry changes: broken off in between, the definitions keep the features of both versions.
    _record_in_use(generation.use_case, generation.champion, generation.previous)
    published.publish(generation)


def _record_in_use(name: str, champion: int | None, previous: int | None) -> None:
    if champion is None:
        in_use.forget(name)
    else:
        in_use.record(models.get(name, champion), models.get(name, previous) if previous is not None else None)


def _take_back(
    generation: Generation, before: Generation | None, reasons: tuple[str, ...], change: Change
) -> Generation:
    """Put what was before in force again, see that the replicas follow, and say so."""
    name = generation.use_case
    back = ledger.append(
        name,
        generation,
        champion=before.champion if before else None,
        previous=before.previous if before else None,
        kind="taken back",
        origin=generation.origin,
        actor=generation.actor,
        reason="; ".join(reasons),
    )
    _put_in_force(back)
    try:
        verify_replicas(name, back.champion)
    except SwitchError as error:
        reasons = (*reasons, f"after it was taken back: {error}")
    log.error("%s: taken back to version %s: %s", name, back.champion, "; ".join(reasons))
    _decided(change, "taken back", generation, reasons)
    words = f"version {generation.champion} was taken back, version {back.champion} serves: {'; '.join(reasons)}"
    alerts.raise_alert(name, ALERT, str(generation.champion), words)
    return back


def _decided(change: Change, outcome: str, generation: Generation, reasons: tuple[str, ...]) -> str:
    """Log the decision, and anchor the log's head in the registry, out of reach of who can write the log's file."""
    name, before = generation.use_case, ledger.before(generation)
    history.append(
        Decision(
            use_case=name,
            kind=change.kind,
            origin=change.origin,
            outcome=outcome,
            version=generation.champion,
            previous=before.champion if before else None,
            reasons=reasons,
            actor=change.actor,
            note=change.note,
            evidence=change.evidence,
            details={"generation": generation.number},
        )
    )
    head = str(history.head(name))
    published.anchor(name, head)
    return head


def _was_decided(generation: Generation) -> bool:
    return any(each.details.get("generation") == generation.number for each in history.read(generation.use_case))


def verify_replicas(use_case: str, version: int | None) -> None:
    """Wait until every serving replica answers with the version; without one there is nothing to wait for."""
    if version is None:
        return
    deadline = time.monotonic() + VERIFY_TIMEOUT
    for replica in get_settings().replicas:
        while (seen := served_version(replica, use_case))[0] != version:
            if time.monotonic() > deadline:
                raise SwitchError(f"replica {replica} does not serve version {version}: {seen[1]}")
            time.sleep(0.2)
        log.info("replica %s serves version %d", replica, version)
