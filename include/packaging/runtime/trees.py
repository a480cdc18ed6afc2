"""Ensembles of trees as flat arrays, walked by numba where it is installed, else by numpy: the same sums to the bit."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .links import Vector

Matrix = NDArray[np.float64]

CELLS = 1 << 20  # places that are walked at a time: rows times trees


@dataclass(frozen=True, eq=False)
class Nodes:
    """The nodes of all trees, (nodes,) each. A leaf has feature -1 and its value in ``number``."""

    number: Vector  # of an inner node the threshold, or the row of its left categories
    feature: NDArray[np.int32]
    left: NDArray[np.int32]
    right: NDArray[np.int32]
    categorical: NDArray[np.bool_]
    missing_left: NDArray[np.bool_]
    roots: NDArray[np.int64]  # (trees,)
    goes_left: NDArray[np.bool_]  # (categorical splits, 256): which codes go left

    @classmethod
    def read(cls, arrays: dict[str, NDArray[Any]]) -> Nodes:
        return cls(**{each.name: np.ascontiguousarray(arrays[f"trees.{each.name}"]) for each in fields(cls)})


@dataclass(frozen=True, eq=False)
class Trees:
    """``(base + the leaf that a row reaches in each tree) / divisor``."""

    nodes: Nodes
    base: float
    divisor: float

    def __call__(self, matrix: Matrix) -> Vector:
        total = _sum(self.nodes, np.ascontiguousarray(matrix), self.base)
        return total if self.divisor == 1.0 else total / self.divisor


def sum_with_numpy(nodes: Nodes, matrix: Matrix, base: float) -> Vector:
    """``base`` and the leaves of each row of (rows, columns), added in the order of the trees: (rows,).

    All rows go down all trees together, one level at a time.
    """
    total = np.empty(len(matrix))
    size = max(1, CELLS // max(1, len(nodes.roots)))
    for start in range(0, len(matrix), size):
        some = matrix[start : start + size]
        at, row = np.repeat(nodes.roots, len(some)), np.tile(np.arange(len(some)), len(nodes.roots))
        walking = np.flatnonzero(nodes.feature[at] >= 0)
        while len(walking):
            node = at[walking]
            at[walking] = np.where(
                _goes_left(nodes, node, some[row[walking], nodes.feature[node]]), nodes.left[node], nodes.right[node]
            )
            walking = walking[nodes.feature[at[walking]] >= 0]
        leaves = nodes.number[at].reshape(len(nodes.roots), len(some))
        total[start : start + size] = np.cumsum(np.vstack([np.full(len(some), base), leaves]), axis=0)[-1]
    return total


def _goes_left(nodes: Nodes, node: NDArray[np.int64], value: Vector) -> NDArray[np.bool_]:
    missing = np.isnan(value)
    left: NDArray[np.bool_] = np.where(missing, nodes.missing_left[node], value <= nodes.number[node])
    among = np.flatnonzero(nodes.categorical[node] & ~missing)
    if len(among):
        rows, codes = nodes.number[node[among]].astype(np.int64), value[among].astype(np.int64)
        left[among] = nodes.goes_left[rows, codes]
    return left


def _walk(  # noqa: PLR0917 - numba is given the arrays of ``Nodes`` one by one
    number: Any,
    feature: Any,
    left: Any,
    right: Any,
    categorical: Any,
    missing_left: Any,
    roots: Any,
    goes_left: Any,
    matrix: Any,
    base: float,
) -> Any:
    total = np.full(matrix.shape[0], base)
    for root in roots:
        for row in range(matrix.shape[0]):
            at = root
            while feature[at] >= 0:
                value = matrix[row, feature[at]]
                if np.isnan(value):
                    down = missing_left[at]
                elif categorical[at]:
                    down = goes_left[int(number[at]), int(value)]
                else:
                    down = value <= number[at]
                at = np.int64(left[at] if down else right[at])
            total[row] += number[at]
    return total


try:
    import numba
except ImportError:
    _sum = sum_with_numpy
else:
    try:
        _compiled: Any = numba.njit(cache=True, nogil=True)(_walk)
    except RuntimeError:  # no folder to keep the machine code in
        _compiled = numba.njit(nogil=True)(_walk)

    def _sum(nodes: Nodes, matrix: Matrix, base: float) -> Vector:
        total: Vector = _compiled(*(getattr(nodes, each.name) for each in fields(Nodes)), matrix, base)
        return total
