"""The loops that run at every prediction, compiled to machine code once and kept on disk.

The code is kept where numba finds a folder that it may write: ``NUMBA_CACHE_DIR``, ``__pycache__`` beside this file, or
the user's cache. Where there is none, every process compiles anew, which takes seconds.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from enum import IntEnum
from functools import partial
from typing import Any, TypeVar, cast

import numba
import numpy as np
from numba import boolean, float64, int32, int64, uint16, uint32, void
from numba.extending import intrinsic

log = logging.getLogger(__name__)

Kernel = TypeVar("Kernel", bound=Callable[..., Any])

# A leaf has feature -1 and its value in ``number``; an inner node its threshold there, or a row of the left categories.
NODE = np.dtype([
    ("number", np.float64), ("feature", np.int32), ("left", np.int32), ("right", np.int32), ("categorical", np.int16),
    ("missing_left", np.int16),
], align=True)  # fmt: skip
COLUMN = np.dtype([("source", np.int64), ("start", np.int64), ("stop", np.int64)], align=True)
OP = np.dtype([("code", np.int64), ("a", np.float64), ("b", np.float64)], align=True)

CATEGORIES = 256  # of a split at most, in scikit-learn's bitsets


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


_released = partial(numba.njit, nogil=True)


def _machine_code(signature: Any, compiler: Callable[..., Any] = _released) -> Callable[[Kernel], Kernel]:
    def compiled(function: Kernel) -> Kernel:
        try:
            return cast(Kernel, compiler(signature, cache=True)(function))
        except Exception as error:  # noqa: BLE001 - no folder to keep it in, a full one, or a file that cannot be read
            log.warning("%s is compiled anew in every process: %s; set NUMBA_CACHE_DIR", function.__name__, error)
            return cast(Kernel, compiler(signature)(function))

    return compiled


_nodes, _columns, _ops = (numba.from_dtype(each)[::1] for each in (NODE, COLUMN, OP))


@_machine_code(float64[::1](_nodes, int64[::1], boolean[:, ::1], float64[:, ::1], float64))
def sum_of_trees(nodes: Any, roots: Any, left: Any, matrix: Any, base: float) -> Any:
    """``base`` and the leaf that each row reaches in each tree, added in the order of the trees: (rows,).

    A category is a code from 0 to 255, or NaN. Rows are in the inner loop, so that a tree stays in the cache; indices
    are unsigned, so that none is tried for counting from the end.
    """
    total = np.full(matrix.shape[0], base)
    for root in roots:
        for number in range(matrix.shape[0]):
            row, at = np.uint64(number), np.uint64(root)
            while True:
                node = nodes[at]
                if node.feature < 0:
                    break
                value = matrix[row, np.uint64(node.feature)]
                if np.isnan(value):
                    goes_left = node.missing_left != 0
                elif node.categorical != 0:
                    goes_left = left[np.uint64(node.number), np.uint64(value)]
                else:
                    goes_left = value <= node.number
                at = np.uint64(node.left if goes_left else node.right)
            total[row] += nodes[at].number
    return total


# The place of the lowest bit of a set of 32, by its product with a de Bruijn sequence (Leiserson et al. 1998, "Using de
# Bruijn sequences to index a 1 in a computer word").
DE_BRUIJN = 0x077CB531
LOWEST = np.zeros(32, dtype=np.int64)
LOWEST[[((DE_BRUIJN << bit) & 0xFFFFFFFF) >> 27 for bit in range(32)]] = np.arange(32)


_pointer: Callable[[Any], Any] = numba.types.CPointer
# A ``quickscorer.QuickScorer``: where its arrays begin, how many features and trees it has, and its base. A call passes
# the place of this alone: to hand over each part costs as much as half a score.
SCORER = np.dtype([
    *((name, np.int64) for name in ("features", "thresholds", "sets", "trees", "cases", "leaves", "roots")),
    ("width", np.int64), ("count", np.int64), ("base", np.float64),
], align=True)  # fmt: skip
_scorer = _pointer(numba.from_dtype(SCORER))


def _pointing(_context: Any, _address: Any, of: Any) -> Any:
    """The numbers of a type that begin at an address."""

    def pointer(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.inttoptr(arguments[0], context.get_value_type(signature.return_type))

    return _pointer(of.instance_type)(int64, of), pointer


_numbers: Any = intrinsic(_pointing)


@numba.njit(inline="always")
def _score(scorer: Any, row: Any, start: int) -> Any:
    of = numba.carray(scorer, 1)[0]  # type: ignore[attr-defined]
    features, cases, roots = _numbers(of.features, int32), _numbers(of.cases, int32), _numbers(of.roots, int32)
    thresholds, leaves = _numbers(of.thresholds, float64), _numbers(of.leaves, float64)
    sets, trees = _numbers(of.sets, uint32), _numbers(of.trees, uint16)
    left = np.full(of.count, np.uint32(0xFFFFFFFF))
    for number in range(of.width):
        at = 5 * number
        value, first, end = row[start + features[at]], int64(features[at + 1]), int64(features[at + 2])
        if np.isnan(value):
            first, end = int64(features[at + 3]), int64(features[at + 4])
        elif first < 0:
            case = end + int64(value)
            first, end = int64(cases[case]), int64(cases[case + 1])
        else:
            last = first
            while last < end and value > thresholds[last]:
                last += 1
            end = last
        for node in range(first, end):
            left[np.uint64(trees[node])] &= sets[node]
    total = of.base
    for tree in range(of.count):
        lowest = left[tree] & (~left[tree] + np.uint32(1))
        place = np.uint64(np.uint32(lowest * np.uint32(DE_BRUIJN)) >> np.uint32(27))
        total += leaves[roots[tree] + LOWEST[place]]
    return total


@_machine_code(float64(_scorer, _pointer(float64)), numba.cfunc)
def score_row(scorer: Any, row: Any) -> Any:
    """``base`` and the leaf that one row reaches in each tree, added in the order of the trees."""
    return _score(scorer, row, 0)


@_machine_code(void(_scorer, _pointer(float64), int64, _pointer(float64), int64), numba.cfunc)
def score_rows(scorer: Any, matrix: Any, columns: int, totals: Any, rows: int) -> None:
    """The same of each row of a matrix, into ``totals``."""
    for number in range(rows):
        totals[number] = _score(scorer, matrix, number * columns)


@_machine_code(int64(float64[:, ::1], _columns, _ops, float64[::1], float64[:, ::1]))
def encode(values: Any, columns: Any, ops: Any, tables: Any, matrix: Any) -> int:  # noqa: PLR0912 - one branch a code
    """Fill ``matrix`` (rows, columns) from ``values`` (rows, features); the operation that refused a value, or -1."""
    for row in range(values.shape[0]):
        for column in range(len(columns)):
            value = values[row, columns[column].source]
            for at in range(columns[column].start, columns[column].stop):
                op = ops[at]
                if op.code == Code.FILL:
                    if np.isnan(value):
                        value = op.a
                elif op.code == Code.IS_MISSING:
                    value = 1.0 if np.isnan(value) else 0.0
                elif op.code == Code.SUBTRACT:
                    value -= op.a
                elif op.code == Code.DIVIDE:
                    value /= op.a
                elif op.code == Code.MULTIPLY:
                    value *= op.a
                elif op.code == Code.ADD:
                    value += op.a
                elif op.code == Code.CLIP:
                    value = op.a if value < op.a else op.b if value > op.b else value
                elif op.code == Code.LOOKUP:
                    start, count = int(op.a), int(op.b)
                    found = start + np.searchsorted(tables[start : start + count], value)
                    if np.isnan(value):
                        value = op.b
                    elif found < start + count and tables[found] == value:
                        value = float(found - start)
                    else:
                        value = op.b + 1
                elif op.code == Code.TABLE:
                    value = tables[int(op.a) + int(value)]
                elif op.code == Code.SINGLE:
                    value = float(np.float32(value))
                elif (
                    (op.code == Code.NO_INFINITY and np.isinf(value))
                    or (op.code == Code.FINITE and not np.isfinite(value))
                    or (op.code == Code.REFUSE and value == op.a)
                ):
                    return at
            matrix[row, column] = value
    return -1
