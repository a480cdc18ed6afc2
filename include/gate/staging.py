"""Does the version answer in a serving process of its own, loaded from the registry alone, as it did at training?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from include.gate.check import Check, not_computed
from include.gate.cost import Cost
from include.records import Record

TOLERANCE = 1e-9


@dataclass(frozen=True)
class Trial(Record):
    """What a staging process answered.

    ``golden_rows`` of the test stretch were asked, ``difference`` is the greatest absolute one to the predictions made
    at training; ``problems`` are in words. ``cost`` is None where it did not come so far.
    """

    golden_rows: int
    difference: float | None
    problems: tuple[str, ...]
    cost: Cost | None


def check(trial: Trial | None) -> Iterator[Check]:
    """The version came up, answered its golden rows as at training and refused a row that is none."""
    if trial is None:
        yield not_computed("staging", TOLERANCE, "the answers of a staging process")
        return
    near = trial.difference is not None and trial.difference <= TOLERANCE
    passed = not trial.problems and trial.golden_rows > 0 and near
    said = f"{trial.golden_rows} golden rows answered as at training, and a row without features refused"
    why = "; ".join(trial.problems) or f"of {trial.golden_rows} golden rows one differs by {trial.difference}"
    yield Check("staging", passed, trial.difference, TOLERANCE, said if passed else why)
