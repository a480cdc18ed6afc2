"""Ensembles of small trees for one row at a time: QuickScorer (Lucchese et al., SIGIR 2015).

Walking a tree waits for memory at each node. Here each node is the set of the leaves that a row can still reach when it
goes right there; the nodes of a feature stand together, in rising order of their thresholds, and are read one after
another until a threshold is not passed. The leaf of a tree is the leftmost that is in the sets of all such nodes.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from include.serving.compiled.kernels import CATEGORIES, SCORER, score_row, score_rows

LEAVES = 32  # of a tree at most: the bits of a set
MOST_SETS = 4_000_000
# One row keeps the interpreter's lock, which another thread would hold for longer than the score takes.
_row = ctypes.PYFUNCTYPE(ctypes.c_double, ctypes.c_void_p, ctypes.c_char_p)(cast(Any, score_row).address)
_rows = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 2, ctypes.c_int64, ctypes.c_void_p, ctypes.c_int64)(
    cast(Any, score_rows).address
)


@dataclass(frozen=True)
class QuickScorer:
    """The sum of the leaves that a row reaches, added in the order of the trees, and ``base``.

    A feature is a row of ``features``: its place in the row, the range of its numeric nodes (or -1 and the place of
    its first category among ``cases``), and the range of the nodes that a missing value takes to the right.
    """

    features: NDArray[np.int32]  # (features, 5)
    thresholds: NDArray[np.float64]  # (numeric nodes,)
    sets: NDArray[np.uint32]  # (nodes,): the leaves that are left to who goes right
    trees: NDArray[np.uint16]  # (nodes,): whose leaves
    cases: NDArray[np.int32]  # (categories + 1 of each feature,): the range of the nodes that a category takes right
    leaves: NDArray[np.float64]
    roots: NDArray[np.int32]  # (trees,): the first leaf of each
    base: float

    @classmethod
    def of(
        cls, nodes: NDArray[Any], roots: NDArray[np.int64], left: NDArray[np.bool_], base: float
    ) -> QuickScorer | None:
        """The same trees as ``trees.Trees``; None where one has too many leaves, or the sets would be too many."""
        sizes = np.diff([*roots, len(nodes)])
        most = len(nodes) + int((nodes["categorical"] != 0).sum()) * CATEGORIES
        if len(roots) > np.iinfo(np.uint16).max or (sizes > 2 * LEAVES - 1).any() or most > MOST_SETS:
            return None
        return _grouped(left, base, *_flattened(nodes, roots))

    @cached_property
    def score(self) -> Callable[[bytes], float]:
        """From a row's numbers, packed as doubles, to its score."""
        return partial(_row, self._scorer.ctypes.data)

    def scores(self, matrix: NDArray[np.float64]) -> NDArray[np.float64]:
        """The same for each row of (rows, columns): (rows,)."""
        given, totals = np.ascontiguousarray(matrix), np.empty(len(matrix))
        _rows(self._scorer.ctypes.data, given.ctypes.data, given.shape[1], totals.ctypes.data, len(totals))
        return totals

    @cached_property
    def _scorer(self) -> NDArray[Any]:
        """This, as the kernels are given it; it names memory that is this object's."""
        arrays = (self.features, self.thresholds, self.sets, self.trees, self.cases, self.leaves, self.roots)
        addresses = (each.ctypes.data for each in arrays)
        return np.array([(*addresses, len(self.features), len(self.roots), self.base)], SCORER)


def _flattened(nodes: NDArray[Any], roots: NDArray[np.int64]) -> tuple[NDArray[Any], ...]:
    """The inner nodes with their sets and trees, the leaves of all trees from left to right, and each tree's first."""
    places: list[int] = []
    sets: list[int] = []
    owners: list[int] = []
    leaves: list[int] = []
    firsts: list[int] = []
    for number, root in enumerate(roots.tolist()):
        firsts.append(len(leaves))
        for place, begun, end in _spans(nodes, root):
            if begun is None:
                leaves.append(place)
            else:
                places.append(place)
                owners.append(number)
                sets.append((2**LEAVES - 1) & ~((1 << end) - (1 << begun)))
    return (
        nodes[places],
        np.array(sets, dtype=np.uint32),
        np.array(owners, dtype=np.uint16),
        np.ascontiguousarray(nodes["number"][leaves]),
        np.array(firsts, dtype=np.int32),
    )


def _spans(nodes: NDArray[Any], root: int) -> Iterator[tuple[int, int | None, int]]:
    """Each leaf of a tree from left to right, and each inner node with the leaves on its left: first, and end."""
    features, lefts, rights = (nodes[name].tolist() for name in ("feature", "left", "right"))
    waiting: list[tuple[int, int | None]] = [(root, None)]
    count = 0
    while waiting:
        at, begun = waiting.pop()
        if begun is not None:
            yield at, begun, count
        elif features[at] < 0:
            yield at, None, count
            count += 1
        else:
            waiting += [(rights[at], None), (at, count), (lefts[at], None)]


def _grouped(  # noqa: PLR0917 - the nodes, and what belongs to each
    left: NDArray[np.bool_], base: float, nodes: NDArray[Any], sets: NDArray[Any], trees: NDArray[Any],
    leaves: NDArray[Any], roots: NDArray[Any],
) -> QuickScorer:  # fmt: skip
    """The nodes by feature: all numeric ones first, so that they share their places with the thresholds."""
    order = np.lexsort((nodes["number"], nodes["feature"], nodes["categorical"] != 0))
    nodes, sets, trees = nodes[order], sets[order], trees[order]
    numeric = int((nodes["categorical"] == 0).sum())
    chosen = [np.arange(numeric)]
    size, features = numeric, []
    cases: list[int] = []
    for feature in np.unique(nodes["feature"]):
        own = np.flatnonzero(nodes["feature"] == feature)
        missing = own[nodes["missing_left"][own] == 0]
        chosen.append(missing)
        first, size = size, size + len(missing)
        if own[0] < numeric:
            features.append((feature, own[0], own[-1] + 1, first, size))
            continue
        features.append((feature, -1, len(cases), first, size))
        cases.append(size)
        goes_right = ~left[nodes["number"][own].astype(np.int64)]
        for code in range(CATEGORIES):
            chosen.append(own[goes_right[:, code]])
            size += len(chosen[-1])
            cases.append(size)
    picked = np.concatenate(chosen)
    return QuickScorer(
        np.array(features, dtype=np.int32).reshape(-1, 5), np.ascontiguousarray(nodes["number"][:numeric]),
        sets[picked], trees[picked], np.array(cases, dtype=np.int32), leaves, roots, base,
    )  # fmt: skip
