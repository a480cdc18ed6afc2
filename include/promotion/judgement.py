"""Has the gate judge a candidate on the evidence, and keeps both."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from include.contract.loading import Folder
from include.files import replacing, write_json
from include.gate.check import Verdict
from include.gate.decision import judge
from include.gate.staging import Trial
from include.history import log as history
from include.history.log import Decision
from include.promotion import evidence
from include.promotion.evidence import Collected
from include.registry import models
from include.settings import get_settings

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Judgement:
    """A verdict, which versions it is about, and the id of the evidence."""

    verdict: Verdict
    candidate: int
    champion: int | None
    evidence: str


def examine(
    use_case: Folder, version: int, trial: Trial | None, *, origin: str, actor: str = "", note: str = ""
) -> Judgement:
    """Judge a version against the limits and the champion, and keep the evidence and the verdict with its numbers.

    ``note`` is what the person wrote who asked for it.
    """
    config = use_case.config
    candidate = models.get(config.name, version)
    champion = models.by_alias(config.name, models.CHAMPION)
    found = evidence.collect(use_case, candidate, champion, trial)
    collected = found.evidence
    verdict = judge(collected, config.task, config.gate)
    for check in verdict.checks:
        log.info("%s %s: %s", "passed" if check.passed else "FAILED", check.name, check.reason)
    _keep(config.name, found)
    history.append(
        Decision(
            use_case=config.name,
            kind="gate",
            origin=origin,
            outcome="approved" if verdict.approved else "refused",
            version=version,
            previous=champion.version if champion else None,
            reasons=verdict.reasons,
            actor=actor,
            note=note,
            evidence=(collected.id,),
            details=verdict.to_dict(),
        )
    )
    return Judgement(verdict, version, champion.version if champion else None, collected.id)


def _keep(use_case: str, found: Collected) -> None:
    """By the evidence's id, so that what a decision names can be looked at again."""
    folder = get_settings().evidence / use_case
    write_json(folder / f"{found.evidence.id}.json", found.evidence.to_dict())
    if found.picture is not None:
        with replacing(folder / f"{found.evidence.id}.svg") as temporary:
            temporary.write_bytes(found.picture)
