"""One question of the gate and its answer, and the answers together."""

from __future__ import annotations

from dataclasses import dataclass

from include.records import Record


@dataclass(frozen=True)
class Check(Record):
    """One question of the gate and its answer. ``value`` and ``limit`` are numbers of one unit; None: there is none."""

    name: str
    passed: bool
    value: float | None
    limit: float | None
    reason: str


@dataclass(frozen=True)
class Verdict(Record):
    """The gate's answer. ``reasons`` are those of the failed checks, or of all checks where none failed."""

    candidate: str
    champion: str | None
    approved: bool
    checks: tuple[Check, ...]
    reasons: tuple[str, ...]


def not_computed(name: str, limit: float | None, what: str) -> Check:
    """A check that could not be computed has failed; ``what`` says what is missing."""
    return Check(name, False, None, limit, f"{what} could not be computed")
