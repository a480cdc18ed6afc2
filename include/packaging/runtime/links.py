"""The maps from a model's score to its prediction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]

ABOVE_ONE = 1e-5  # by which rounding may lift a calibrated probability


@dataclass(frozen=True)
class Logistic:
    """``1 / (1 + exp(-(slope * score + intercept)))``: the probability behind log-odds (Cox 1958), and Platt's map."""

    slope: float = 1.0
    intercept: float = 0.0

    def __call__(self, scores: Vector) -> Vector:
        odds = self.slope * scores + self.intercept
        small = np.exp(-np.abs(odds))  # never overflows
        return np.where(odds >= 0, 1.0, small) / (1.0 + small)


@dataclass(frozen=True)
class Exponential:
    """``exp(score)``: the mean behind a logarithmic link."""

    def __call__(self, scores: Vector) -> Vector:
        return np.exp(scores)


@dataclass(frozen=True, eq=False)
class Isotonic:
    """Straight lines through fitted steps, level beyond them (Zadrozny and Elkan 2002)."""

    at: Vector
    steps: Vector

    def __call__(self, scores: Vector) -> Vector:
        mapped = np.interp(scores, self.at, self.steps)
        return np.where((mapped > 1) & (mapped <= 1 + ABOVE_ONE), 1.0, mapped)


Link = Logistic | Exponential | Isotonic


def read_link(described: dict[str, Any] | None, arrays: dict[str, NDArray[Any]]) -> Link | None:
    """The link of a part of a model; None where its score is its prediction. ``KeyError`` where it is not known."""
    if described is None:
        return None
    if described["kind"] == "isotonic":
        return Isotonic(arrays["link.at"], arrays["link.steps"])
    known: dict[str, type[Logistic] | type[Exponential]] = {"logistic": Logistic, "exponential": Exponential}
    return known[described["kind"]](**{name: value for name, value in described.items() if name != "kind"})
