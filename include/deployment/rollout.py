"""Tries a version beside the champion: a canary answers a share of the requests, a shadow predicts them all unseen."""

from __future__ import annotations

from include.contract.loading import Folder
from include.deployment import ledger, switch
from include.deployment.change import Change, Done
from include.deployment.generation import Generation, Mode
from include.history import log as history


def start(
    use_case: Folder, version: int, mode: Mode, weight: float, *, origin: str, actor: str = "", reason: str = ""
) -> Done:
    """Put a version beside the champion; once more of the same version changes the mode or the weight.

    ``weight``: the share of requests that a canary answers, in (0, 1); 0 of a shadow. ``ValueError`` says what is
    refused: no champion or another rollout, a canary that the gate has never approved.
    """
    name = use_case.config.name
    _check(name, mode, weight)
    change = Change("rollout", version, origin, (reason,) if reason else (), actor, mode=mode, weight=weight)
    return switch.carry_out(name, change, lambda head: _begin(name, head, change))


def stop(
    use_case: Folder, *, origin: str, actor: str = "", reasons: tuple[str, ...] = (), evidence: tuple[str, ...] = ()
) -> Done:
    """End the rollout: the champion answers alone. It is never taken back, also where a replica does not confirm it.

    ``ValueError`` where there is none.
    """
    name = use_case.config.name
    version = _challenger(name, origin)
    change = Change("rollout", version, origin, reasons, actor, evidence=evidence)
    return switch.carry_out(name, change, lambda head: _end(name, head, change))


def _check(name: str, mode: Mode, weight: float) -> None:
    if mode not in ("canary", "shadow"):
        raise ValueError(f"{name}: mode {mode!r} is none of a rollout; expected canary or shadow")
    if mode == "canary" and not 0 < weight < 1:
        raise ValueError(f"{name}: weight {weight:g} is no share for a canary; expected one above 0 and below 1")
    if mode == "shadow" and weight != 0:
        raise ValueError(f"{name}: weight {weight:g}: a shadow answers nothing; expected 0")


def _begin(name: str, head: Generation | None, change: Change) -> Generation:
    if head is None or head.champion is None:
        raise ValueError(f"{name}: there is no champion to try version {change.version} beside; promote it")
    if head.champion == change.version:
        raise ValueError(f"{name}: version {change.version} is the champion, which cannot be its own challenger")
    if head.challenger not in (None, change.version):
        raise ValueError(
            f"{name}: version {head.challenger} is being tried as {head.mode} since generation {head.number}; end that "
            f"rollout before version {change.version} is tried"
        )
    if change.mode == "canary" and not _was_approved(name, change.version):
        raise ValueError(
            f"{name}: version {change.version} was never approved by the gate and must not answer anybody: run "
            f"{name}.promote for it, or try it as a shadow"
        )
    return ledger.append(
        name,
        head,
        champion=head.champion,
        previous=head.previous,
        kind="rollout",
        origin=change.origin,
        actor=change.actor,
        reason=change.reason,
        challenger=change.version,
        mode=change.mode,
        weight=change.weight,
    )


def _end(name: str, head: Generation | None, change: Change) -> Generation:
    if head is None or head.challenger != change.version:
        raise ValueError(f"{name}: the rollout of version {change.version} has ended already")
    return ledger.append(
        name,
        head,
        champion=head.champion,
        previous=head.previous,
        kind="rollout",
        origin=change.origin,
        actor=change.actor,
        reason=change.reason,
    )


def _challenger(name: str, origin: str) -> int:
    """The version whose rollout is to end; of an attempt that is run again, the one whose rollout it has ended."""
    head = ledger.head(name)
    if head is not None and head.challenger is None and (head.kind, head.origin) == ("rollout", origin):
        head = ledger.before(head)
    if head is None or head.challenger is None:
        raise ValueError(f"{name}: there is no rollout to end")
    return head.challenger


def _was_approved(name: str, version: int) -> bool:
    return any((each.kind, each.outcome, each.version) == ("gate", "approved", version) for each in history.read(name))
