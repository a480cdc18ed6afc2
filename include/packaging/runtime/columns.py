"""What a model sees of a row: each encoded column as a few operations on the value of one feature."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .links import Vector
from .trees import Matrix


class Code(IntEnum):
    """What an operation does with a value."""

    FILL = 0  # a where it is missing
    IS_MISSING = 1
    SUBTRACT = 2
    DIVIDE = 3
    MULTIPLY = 4
    ADD = 5
    CLIP = 6  # to a..b
    LOOKUP = 7  # its place among the b sorted numbers at a; b where it is missing, b + 1 where it is none of them
    TABLE = 8  # the number at a + value
    SINGLE = 9  # rounded to single precision
    NO_INFINITY = 10  # refuses an infinite value
    FINITE = 11  # refuses a missing or infinite value
    REFUSE = 12  # refuses a


REASONS = {
    Code.NO_INFINITY: "is infinite or too large",
    Code.FINITE: "is missing, infinite or too large",
    Code.REFUSE: "was not seen in training",
}


class Refused(Exception):  # noqa: N818 - an answer about a value
    """A value that a step of the model does not take."""

    def __init__(self, row: int, feature: int, reason: str) -> None:
        super().__init__(row, feature, reason)
        self.row, self.feature, self.reason = row, feature, reason


@dataclass(frozen=True, eq=False)
class Texts:
    """How a text becomes a number, or is refused."""

    codes: dict[str | None, float | None]  # None for one that ``who`` refuses
    unknown: float | None
    who: str

    def read(self, feature: int, texts: list[str | None]) -> list[float]:
        """``Refused`` names the first row whose text is refused."""
        found = [self.codes.get(text, self.unknown) for text in texts]
        numbers = [number for number in found if number is not None]
        if len(numbers) < len(found):
            row = found.index(None)
            shown = "a missing value" if texts[row] is None else repr(texts[row])
            raise Refused(row, feature, f"{shown}, which {self.who} does not take")
        return numbers


@dataclass(frozen=True, eq=False)
class Program:
    """Operations from features to encoded columns. Operations of a column stand between its start and its stop."""

    source: NDArray[np.int64]  # (columns,): the feature behind each
    start: NDArray[np.int64]
    stop: NDArray[np.int64]
    code: NDArray[np.int64]  # (operations,)
    a: Vector
    b: Vector
    tables: Vector
    who: tuple[str, ...]  # (operations,): the class that refuses

    @classmethod
    def read(cls, who: list[str], arrays: dict[str, NDArray[Any]]) -> Program:
        names = ("source", "start", "stop", "code", "a", "b", "tables")
        return cls(**{name: arrays[f"program.{name}"] for name in names}, who=tuple(who))

    def encode(self, values: Matrix) -> Matrix:
        """From (rows, features) as read to (rows, columns). ``Refused`` names the first value that is refused."""
        matrix = np.empty((len(values), len(self.source)))
        for column, feature in enumerate(self.source):
            value = values[:, feature]
            for at in range(self.start[column], self.stop[column]):
                code = Code(int(self.code[at]))
                if code in REASONS:
                    self._check(code, at, int(feature), value)
                else:
                    value = self._apply(code, at, value)
            matrix[:, column] = value
        return matrix

    def _check(self, code: Code, at: int, feature: int, value: Vector) -> None:
        if code is Code.NO_INFINITY:
            wrong = np.isinf(value)
        elif code is Code.FINITE:
            wrong = ~np.isfinite(value)
        else:
            wrong = value == self.a[at]
        if wrong.any():
            raise Refused(int(wrong.argmax()), feature, f"a value {REASONS[code]}, which {self.who[at]} does not take")

    def _apply(self, code: Code, at: int, value: Vector) -> Vector:  # noqa: PLR0911 - one for each operation
        a, b = float(self.a[at]), float(self.b[at])
        match code:
            case Code.FILL:
                return np.where(np.isnan(value), a, value)
            case Code.IS_MISSING:
                return np.isnan(value).astype(np.float64)
            case Code.SUBTRACT:
                return value - a
            case Code.DIVIDE:
                return value / a
            case Code.MULTIPLY:
                return value * a
            case Code.ADD:
                return value + a
            case Code.CLIP:
                return np.clip(value, a, b)
            case Code.LOOKUP:
                return _places(self.tables[int(a) : int(a) + int(b)], value)
            case Code.TABLE:
                return self.tables[int(a) + value.astype(np.int64)]
            case _:  # SINGLE
                with np.errstate(over="ignore"):
                    return value.astype(np.float32).astype(np.float64)


def _places(keys: Vector, value: Vector) -> Vector:
    found = np.searchsorted(keys, value)
    inside = np.minimum(found, max(len(keys) - 1, 0))
    known = keys[inside] == value if len(keys) else np.zeros(len(value), dtype=bool)
    return np.where(np.isnan(value), len(keys), np.where(known, found, len(keys) + 1)).astype(np.float64)
