"""Two versions side by side: the gate's numbers of both, and what they were made of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TypeVar

from include.gate.check import Check
from include.pages.registry import Registered
from include.pages.site import DASH
from include.pages.versions import Row

T = TypeVar("T")
MADE_OF = (
    "data_revision", "first", "last", "test_start", "definition_hash", "training_set", "code_revision", "reason",
)  # fmt: skip


@dataclass(frozen=True)
class Pair:
    """One thing as it is in both; ``differs`` is what a reader looks for."""

    name: str
    first: str
    second: str

    @property
    def differs(self) -> bool:
        return self.first != self.second


@dataclass(frozen=True)
class CheckPair:
    """A check of the gate in both verdicts; None where one has no such check."""

    name: str
    first: Check | None
    second: Check | None

    @property
    def differs(self) -> bool:
        sides = [each and (each.passed, each.value, each.limit) for each in (self.first, self.second)]
        return sides[0] != sides[1]


def checks(first: Row, second: Row) -> tuple[CheckPair, ...]:
    """The checks by name, in the order of the first verdict, then what only the second has."""
    ours, theirs = ({check.name: check for check in each.checks} for each in (first, second))
    return tuple(CheckPair(name, ours.get(name), theirs.get(name)) for name in _union(ours, theirs))


def identities(first: Registered, second: Registered) -> tuple[Pair, ...]:
    """What the two were made of, then their parameters and metrics."""
    pairs = [
        *_pairs(*({name.replace("_", " "): each.tags.get(name, DASH) for name in MADE_OF} for each in (first, second)))
    ]
    pairs += _pairs(first.params, second.params)
    pairs += _pairs(*({name: f"{value:.6g}" for name, value in each.metrics.items()} for each in (first, second)))
    return tuple(pairs)


def features(first: Registered, second: Registered) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The features that only the first reads, and those that only the second does."""
    ours, theirs = set(first.features), set(second.features)
    return tuple(sorted(ours - theirs)), tuple(sorted(theirs - ours))


def _pairs(first: Mapping[str, str], second: Mapping[str, str]) -> Iterator[Pair]:
    return (Pair(name, first.get(name, DASH), second.get(name, DASH)) for name in _union(first, second))


def _union(first: Mapping[str, T], second: Mapping[str, T]) -> list[str]:
    return list(dict.fromkeys([*first, *second]))
