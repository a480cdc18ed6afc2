"""Which versions a rollback may go back to, and which a rollout may try."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from include.deployment import ledger
from include.deployment.generation import Generation
from include.history import recent


@dataclass(frozen=True)
class Eligible:
    """A version that was in production, with the generation that brought it there last."""

    version: int
    since: Generation

    def __str__(self) -> str:
        return f"version {self.version}: {self.since.kind} of {self.since.at[:16].replace('T', ' ')} UTC"


def eligible(generations: Sequence[Generation]) -> tuple[Eligible, ...]:
    """Every version that has served, except the champion, the latest first. What was taken back has never served."""
    taken_back = {each.after for each in generations if each.kind == "taken back"}
    served = {
        each.champion: each
        for each in generations
        if each.champion is not None and each.kind != "taken back" and each.number not in taken_back
    }
    champion = generations[-1].champion if generations else None
    found = [Eligible(version, since) for version, since in served.items() if version != champion]
    return tuple(sorted(found, key=lambda each: -each.since.number))


def to_try(use_case: str) -> dict[int, str]:
    """The versions of the newest decisions that the gate has judged, except the champion, with what it said in words.

    The latest come first. ``HistoryError`` where a line of the log is no decision.
    """
    head = ledger.head(use_case)
    champion = head.champion if head else None
    approved: dict[int, bool] = {}
    for each in recent.newest_first(use_case):
        if each.kind == "gate" and each.version is not None and each.version != champion:
            approved[each.version] = approved.get(each.version, False) or each.outcome == "approved"
    said = {True: "approved by the gate", False: "refused by the gate, only as a shadow"}
    return {version: f"version {version}: {said[approved[version]]}" for version in sorted(approved, reverse=True)}


def choose(use_case: str, version: int | None) -> int:
    """The version to go back to: the one named, if it has served, or else the previous champion."""
    generations = ledger.read(use_case)
    if version is None:
        previous = generations[-1].previous if generations else None
        if previous is None:
            raise ValueError(f"{use_case}: there is no previous champion to go back to")
        return previous
    known = [each.version for each in eligible(generations)]
    if version not in known:
        raise ValueError(f"{use_case}: version {version} is none to go back to; eligible are {known or 'none'}")
    return version
