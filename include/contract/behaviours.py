"""Behaviour tests of a model, written by the author of a use case: what must hold whatever it has learned.

The three kinds of Ribeiro et al. (2020), "Beyond Accuracy: Behavioral Testing of NLP Models with CheckList": an
invariance, a directional expectation, and a minimum functionality test.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

if TYPE_CHECKING:
    import polars as pl

Sign = Literal["up", "down"]
Change = Callable[["pl.DataFrame"], "pl.DataFrame"]
"""From rows of the model's features to as many, in the same order, with the same columns.

Rows that it leaves as they are are not judged, so that it may change only those to which the test applies.
"""


@dataclass(frozen=True)
class Invariance:
    """What must not matter: the predictions of at least ``share`` of the changed rows stay within ``tolerance``."""

    name: str
    change: Change
    tolerance: float  # in units of the prediction
    share: float = 1.0

    def __post_init__(self) -> None:
        _require(bool(self.name), self, "name must not be empty")
        _require(self.tolerance >= 0, self, f"tolerance must be at least 0, got {self.tolerance}")
        _require(0 < self.share <= 1, self, f"share must be above 0 and at most 1, got {self.share}")


@dataclass(frozen=True)
class Direction:
    """What must matter: the predictions move ``up`` or ``down`` on average, and at least ``share`` not the other way.

    A tree does not move where no threshold is crossed, and may go back a little: leave it slack by ``share``.
    """

    name: str
    change: Change
    sign: Sign
    share: float = 1.0

    def __post_init__(self) -> None:
        _require(bool(self.name), self, "name must not be empty")
        _require(self.sign in get_args(Sign), self, f"sign must be up or down, got {self.sign!r}")
        _require(0 < self.share <= 1, self, f"share must be above 0 and at most 1, got {self.share}")


@dataclass(frozen=True)
class Example:
    """What every model must know: the prediction of each of these rows is from ``low`` to ``high``.

    ``rows`` is a frame, or one mapping of features a row; a feature that is not given is missing.
    """

    name: str
    rows: pl.DataFrame | Sequence[Mapping[str, Any]]
    low: float = float("-inf")
    high: float = float("inf")

    def __post_init__(self) -> None:
        _require(bool(self.name), self, "name must not be empty")
        _require(len(self.rows) > 0, self, "there are no rows")
        _require(math.isfinite(self.low) or math.isfinite(self.high), self, "low or high must be given")
        _require(self.low <= self.high, self, f"low must be at most high, got {self.low} and {self.high}")


Behaviour = Invariance | Direction | Example


def _require(holds: bool, behaviour: Behaviour, said: str) -> None:
    if not holds:
        raise ValueError(f"{type(behaviour).__name__} {behaviour.name!r}: {said}")
