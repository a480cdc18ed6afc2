"""What each version did in the steps of a rollout, as a table."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from include.contract.loading import Folder
from include.deployment import evidence, ledger, observation
from include.deployment.evidence import Evidence, Latency, Shown
from include.deployment.generation import Generation
from include.deployment.sequential import Verdict
from include.history import log as history
from include.records import Record

Result = Literal["under way", "passed", "changed", "ended", "promoted", "rolled back", "taken back"]


@dataclass(frozen=True)
class ArmResult(Record):
    """One version in one step. ``outcome`` and ``reasons`` are of the step, and ``changed`` is one whose mode or weight
    was changed before it was judged.

    ``loss`` is the mean of the whole rollout until then, in [0, 1], of ``labelled`` rows; ``difference`` where the
    challenger's lies above the champion's by day (``include.deployment.sequential``). None before the first day of
    labels, and ``difference`` and ``verdict`` of a champion.
    """

    generation: int
    mode: Literal["canary", "shadow"]
    weight: float
    since: datetime
    until: datetime
    version: int
    role: Literal["champion", "challenger"]
    requests: int
    rows: int
    failed: int
    yes: float | None
    latency: Latency | None
    labelled: int
    loss: float | None
    difference: tuple[float, float] | None
    verdict: Verdict | None
    outcome: Result
    reasons: tuple[str, ...]


def table(use_case: Folder) -> tuple[ArmResult, ...]:
    """The champion and the challenger in each step of the rollout in force, or else of the last one; empty before it.

    A step that a promotion has looked at is read as it was seen last; any other is read off the prediction log.
    """
    generations = ledger.read(use_case.config.name)
    tried = next((each for each in reversed(generations) if each.challenger is not None), None)
    if tried is None:
        return ()
    after = {each.after: each for each in generations}
    found: list[ArmResult] = []
    for step in observation.steps_until(tried):
        following = after.get(step.number)
        seen = evidence.newest(step)
        if seen is None:
            until = datetime.fromisoformat(following.at) if following is not None else None
            seen = observation.collect(use_case, step, until)
        found += _arms(seen, *_outcome(step, following, seen))
    return tuple(found)


def _arms(seen: Evidence, outcome: Result, reasons: tuple[str, ...]) -> Iterator[ArmResult]:
    quality = seen.quality
    tested = quality.comparison if quality is not None and quality.comparison.days else None
    arms: dict[Literal["champion", "challenger"], Shown] = {"champion": seen.champion, "challenger": seen.challenger}
    for role, shown in arms.items():
        ours = role == "challenger"
        yield ArmResult(
            generation=seen.generation,
            mode=seen.mode,
            weight=seen.weight,
            since=seen.since,
            until=seen.until,
            version=shown.version,
            role=role,
            requests=shown.requests,
            rows=shown.rows,
            failed=shown.failed,
            yes=shown.yes,
            latency=shown.latency,
            labelled=getattr(quality, f"{role}_rows") if quality is not None else 0,
            loss=getattr(quality, role) if quality is not None else None,
            difference=tested.interval if ours and tested is not None else None,
            verdict=tested.verdict if ours and tested is not None else None,
            outcome=outcome,
            reasons=reasons,
        )


def _outcome(step: Generation, following: Generation | None, seen: Evidence) -> tuple[Result, tuple[str, ...]]:
    """What became of a step, and why; of one that is under way, what it has shown."""
    for each in history.read(step.use_case):
        if (each.kind, each.outcome, each.details.get("generation")) == ("rollout", "passed", step.number):
            return "passed", each.reasons
    if following is None:
        return "under way", seen.reasons
    if following.kind == "rollout":
        return ("changed" if following.challenger else "ended"), (following.reason,)
    ways: dict[str, Result] = {"promotion": "promoted", "rollback": "rolled back", "taken back": "taken back"}
    promoted = following.champion == step.challenger or following.kind != "promotion"
    return (ways.get(following.kind, "ended") if promoted else "ended"), (following.reason,)
