"""What is asked for: another version in production, or a rollout; and what came of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from include.deployment import ledger, published
from include.deployment.generation import Generation, Mode
from include.history import log as history
from include.history.log import Decision
from include.records import Record

TAKEN_BACK: Literal["taken back"] = "taken back"


class SwitchError(Exception):
    """A change that did not reach every replica."""


class StaleVerdictError(ValueError):
    """The gate compared with a version that is not the champion any more."""


@dataclass(frozen=True)
class Change:
    """What is asked for, by whom and why. ``origin`` names the attempt (an Airflow run).

    ``version``: the champion to be, or the challenger that a rollout begins with or, without a ``mode``, ends with.
    """

    kind: Literal["promotion", "rollback", "rollout"]
    version: int
    origin: str
    reasons: tuple[str, ...]
    actor: str = ""
    note: str = ""
    evidence: tuple[str, ...] = ()
    mode: Mode = ""
    weight: float = 0.0

    @property
    def ends_rollout(self) -> bool:
        return self.kind == "rollout" and not self.mode

    @property
    def reason(self) -> str:
        return "; ".join(filter(None, (self.note, *self.reasons)))

    @property
    def outcome(self) -> str:
        """What the log of decisions calls it when it is done."""
        if self.kind == "rollout":
            return f"{self.mode} begun" if self.mode else "ended"
        return {"promotion": "promoted", "rollback": "rolled back"}[self.kind]

    def made(self, generation: Generation | None) -> bool:
        """Whether this very attempt has made the generation."""
        if generation is None or (generation.origin, generation.kind) != (self.origin, self.kind):
            return False
        if self.kind != "rollout":
            return generation.champion == self.version
        asked = (self.version, self.mode, self.weight) if self.mode else (None, "", 0.0)
        return (generation.challenger, generation.mode, generation.weight) == asked


@dataclass(frozen=True)
class Done(Record):
    """What a change came to; ``previous`` is the champion before it.

    ``decisions`` is the head of the log of decisions after it.
    """

    version: int
    previous: int | None
    generation: int
    decisions: str


def change_of(generation: Generation) -> Change | None:
    """The change that a generation was made by, as far as the ledger knows it; None where nobody asked for it."""
    if generation.kind not in ("promotion", "rollback", "rollout"):
        return None
    version = generation.champion
    if generation.kind == "rollout":
        before = ledger.before(generation)
        version = generation.challenger or (before.challenger if before else None)
    if version is None:
        return None
    reasons = (generation.reason,)
    return Change(
        generation.kind,
        version,
        generation.origin,
        reasons,
        generation.actor,
        mode=generation.mode,
        weight=generation.weight,
    )


def keep(change: Change, outcome: str, generation: Generation, reasons: tuple[str, ...]) -> str:
    """Log the decision, and anchor the log's head in the registry, out of reach of who can write the log's file."""
    name, before = generation.use_case, ledger.before(generation)
    rollout = {"mode": change.mode, "weight": change.weight} if change.mode else {}
    history.append(
        Decision(
            use_case=name,
            kind=change.kind,
            origin=change.origin,
            outcome=outcome,
            version=change.version,
            previous=before.champion if before else None,
            reasons=reasons,
            actor=change.actor,
            note=change.note,
            evidence=change.evidence,
            details={"generation": generation.number, **rollout},
        )
    )
    head = str(history.head(name))
    published.anchor(name, head)
    return head


def was_kept(generation: Generation) -> bool:
    """Whether a decision says what became of the generation."""
    return any(each.details.get("generation") == generation.number for each in history.read(generation.use_case))
