"""Changes what is in production, and is done only when every serving replica says so."""

from __future__ import annotations

import logging
import time

from include.contract.loading import Folder
from include.features import in_use
from include.promotion import decisions
from include.promotion.decisions import Decision, Kind
from include.promotion.replica import served_version
from include.registry import models
from include.settings import get_settings

log = logging.getLogger(__name__)

VERIFY_TIMEOUT = 60.0
DONE = {"promotion": "promoted", "rollback": "rolled back"}


class SwitchError(Exception):
    """A change of the champion that did not reach every replica and was taken back."""


def promote(use_case: Folder, version: int, origin: str, reasons: tuple[str, ...]) -> int | None:
    """Make a version the champion; the version that was champion before."""
    return _change(use_case, version, origin, "promotion", reasons)


def eligible(use_case: Folder, version: int | None) -> int:
    """The version to go back to: the one named, if it ever was champion, or else the previous champion."""
    name = use_case.config.name
    if version is None:
        previous = models.by_alias(name, models.PREVIOUS_CHAMPION)
        if previous is None:
            raise ValueError(f"{name}: there is no previous champion to go back to")
        return previous.version
    if not decisions.was_champion(name, version):
        known = [each.version for each in models.versions(name) if decisions.was_champion(name, each.version)]
        raise ValueError(f"{name}: version {version} was never champion; eligible are {known}")
    return version


def rollback(use_case: Folder, version: int, origin: str, reason: str) -> int | None:
    """Put an earlier champion back; the version that was champion until now."""
    return _change(use_case, version, origin, "rollback", (reason,))


def _change(use_case: Folder, version: int, origin: str, kind: Kind, reasons: tuple[str, ...]) -> int | None:
    name = use_case.config.name
    target = models.get(name, version)
    champion = models.by_alias(name, models.CHAMPION)
    # A try that was broken off after the switch finds the version in place: what came before is its log's to tell.
    earlier = models.by_alias(name, models.PREVIOUS_CHAMPION)
    before = champion if champion is None or champion.version != target.version else earlier
    # Recorded before the aliases move: broken off in between, both the old champion and the new one are recorded, in
    # whichever role, and the definitions keep the features of both.
    recorded = in_use.record(target, before)
    if before is not None:
        models.set_alias(name, models.PREVIOUS_CHAMPION, before.version)
    models.set_alias(name, models.CHAMPION, target.version)
    previous = before.version if before else None
    try:
        verify_replicas(name, target.version)
    except SwitchError as error:
        _take_back(name, before.version if before else None, earlier.version if earlier else None)
        in_use.restore(name, recorded)  # after the aliases, for the same reason
        decisions.append(Decision(name, kind, origin, "taken back", target.version, previous, (str(error),)))
        raise
    decisions.append(Decision(name, kind, origin, DONE[kind], target.version, previous, reasons))
    log.info("%s: version %d is champion (before: %s)", name, target.version, previous)
    return previous


def _take_back(use_case: str, champion: int | None, previous: int | None) -> None:
    for alias, version in ((models.CHAMPION, champion), (models.PREVIOUS_CHAMPION, previous)):
        if version is None:
            models.remove_alias(use_case, alias)
        else:
            models.set_alias(use_case, alias, version)
    log.error("%s: taken back to version %s", use_case, champion)


def verify_replicas(use_case: str, version: int) -> None:
    """Wait until every serving replica answers with the version."""
    deadline = time.monotonic() + VERIFY_TIMEOUT
    for replica in get_settings().replicas:
        while (seen := served_version(replica, use_case))[0] != version:
            if time.monotonic() > deadline:
                raise SwitchError(f"replica {replica} does not serve version {version}: {seen[1]}")
            time.sleep(0.2)
        log.info("replica %s serves version %d", replica, version)
