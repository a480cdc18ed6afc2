"""Changes what is in production, and is done only when every serving replica says so.

A change is one generation of the ledger, then of the registry, then of the replicas. Wherever it is broken off, the
same attempt goes on from there when it is run again; another one takes the broken change back first.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from include import alerts
from include.contract.loading import Folder
from include.deployment import ledger, published
from include.deployment.change import (
    TAKEN_BACK,
    Change,
    Done,
    StaleVerdictError,
    SwitchError,
    change_of,
    keep,
    was_kept,
)
from include.deployment.generation import Generation
from include.deployment.replica import addresses, served
from include.features import in_use
from include.registry import models
from include.settings import get_settings

__all__ = ["Change", "Done", "StaleVerdictError", "SwitchError", "carry_out", "promote", "rollback", "verify_replicas"]

log = logging.getLogger(__name__)

VERIFY_TIMEOUT = 60.0
ALERT: alerts.Kind = "failed promotion"


def promote(use_case: Folder, change: Change, judged_against: int | None) -> Done:
    """Make a version the champion. A rollout ends with it.

    ``judged_against``: the champion that the gate compared with. ``StaleVerdictError`` where it is another by now.
    """
    name = use_case.config.name
    return carry_out(name, change, lambda head: _next(name, head, change, judged_against))


def rollback(use_case: Folder, change: Change) -> Done:
    """Put an earlier champion back. A rollout ends with it."""
    name = use_case.config.name
    return carry_out(name, change, lambda head: _next(name, head, change, None))


def carry_out(name: str, change: Change, begin: Callable[[Generation | None], Generation]) -> Done:
    """Bring a change to every replica, and keep the decision; ``SwitchError`` where one does not follow.

    ``begin`` appends the change's generation after the head that it is given, and refuses what cannot be.
    """
    models.get(name, change.version)  # is it there at all?
    with ledger.changing(name):
        head = _settled(name, change)
        # The same attempt, run again, goes on with its generation.
        generation = head if head is not None and change.made(head) else begin(head)
        before = ledger.before(generation)
        try:
            _put_in_force(generation)
            verify_replicas(name, generation)
        except SwitchError as error:
            if change.ends_rollout:
                alerts.raise_alert(name, ALERT, str(change.version), f"the rollout was ended: {error}")
            else:
                _take_back(generation, before, (str(error),), change)
            raise
        decisions = keep(change, change.outcome, generation, change.reasons)
        alerts.resolve(name, ALERT, str(change.version))
    previous = before.champion if before else None
    log.info("%s: version %d %s (champion before: %s)", name, change.version, change.outcome, previous)
    return Done(change.version, previous, generation.number, decisions)


def _settled(name: str, change: Change) -> Generation | None:
    """The generation in force, after what others left behind: a change that was broken off, an alias moved by hand."""
    head = ledger.head(name)
    if head is None:
        return _adopt(name, None)
    if change.made(head):
        return head
    if (broken := change_of(head)) and not was_kept(head):
        if not broken.ends_rollout:
            return _take_back(head, ledger.before(head), ("it was broken off, and another change came",), broken)
        _put_in_force(head)
        keep(broken, broken.outcome, head, (head.reason,))
        return head
    in_force = published.read(name)
    published_whole = in_force is not None and in_force.number == head.number
    if not published_whole:
        _put_in_force(head)
    taken_back = ledger.before(head) if head.kind == TAKEN_BACK else None
    if taken_back is not None and (broken := change_of(taken_back)) and not was_kept(taken_back):
        keep(broken, TAKEN_BACK, taken_back, (head.reason,))
    return _adopt(name, head) if published_whole else head


def _adopt(name: str, head: Generation | None) -> Generation | None:
    """Keep up with an alias that was moved in MLflow itself: who reads aliases takes that version for the champion."""
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
        keep(by_hand, by_hand.outcome, adopted, by_hand.reasons)
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
        reason=change.reason,
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
    """Put the champion from before in force again, see that the replicas follow, and say so. No rollout survives it."""
    name = generation.use_case
    back = ledger.append(
        name,
        generation,
        champion=before.champion if before else None,
        previous=before.previous if before else None,
        kind=TAKEN_BACK,
        origin=generation.origin,
        actor=generation.actor,
        reason="; ".join(reasons),
    )
    _put_in_force(back)
    try:
        verify_replicas(name, back)
    except SwitchError as error:
        reasons = (*reasons, f"after it was taken back: {error}")
    log.error("%s: taken back to version %s: %s", name, back.champion, "; ".join(reasons))
    keep(change, TAKEN_BACK, generation, reasons)
    words = f"version {change.version} was taken back, version {back.champion} serves: {'; '.join(reasons)}"
    alerts.raise_alert(name, ALERT, str(change.version), words)
    return back


def verify_replicas(use_case: str, generation: Generation) -> None:
    """Wait until every serving replica confirms the generation; without a champion there is nothing to wait for."""
    if generation.champion is None:
        return
    deadline = time.monotonic() + VERIFY_TIMEOUT
    wanted = f"version {generation.champion}"
    if generation.challenger is not None:
        wanted += f" with challenger {generation.challenger}"
    for replica in addresses(get_settings().replicas):
        while not (seen := served(replica, use_case)).confirms(generation):
            if time.monotonic() > deadline:
                raise SwitchError(
                    f"replica {replica} does not serve {wanted} as of generation {generation.number}: {seen.said}"
                )
            time.sleep(0.2)
        log.info("replica %s confirms generation %d", replica, generation.number)
