"""Shapley values of an ensemble of scikit-learn's histogram gradient boosting trees, leaf by leaf.

shap reads neither their categorical splits nor their order of columns.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]
Codes = NDArray[np.int64]


@dataclass(frozen=True)
class Leaves:
    """The leaves of an ensemble, each as the conditions of its path, grouped by input column into slots.

    A leaf is reached by a mixture of the row and a background row where for each slot the one that gives the column
    satisfies the conditions. With ``u`` slots that only the row satisfies and ``v`` that only the background row does,
    the leaf's Shapley value for a slot of the first kind is ``value / (u * binomial(u + v, u))``, for one of the second
    ``-value / (v * binomial(u + v, v))``, and nothing where neither satisfies one (Lundberg et al. 2020, "From local
    explanations to global understanding with explainable AI for trees", algorithm 3).
    """

    nodes: NDArray[Any]  # of all trees, as scikit-learn keeps them
    left: NDArray[np.bool_]  # (categorical splits, 256): which codes go left
    conditions: Codes  # (conditions, 4): leaf, slot, node, whether left; by leaf and slot
    values: Matrix  # (leaves,)
    columns: Codes  # (leaves, slots): input column; the number of columns where a leaf has no such slot
    width: int

    @classmethod
    def of(cls, predictors: Sequence[Any], origins: Codes, width: int) -> Leaves:
        values: list[float] = []
        conditions: list[tuple[int, int, int, int]] = []
        columns: list[list[int]] = []
        shift = splits = 0
        nodes = [predictor.nodes.copy() for predictor in predictors]
        for tree in nodes:
            for value, path in _paths(tree):
                used = sorted({int(origins[tree["feature_idx"][node]]) for node, _ in path})
                for node, goes in path:
                    slot = used.index(int(origins[tree["feature_idx"][node]]))
                    conditions.append((len(values), slot, node + shift, goes))
                values.append(value)
                columns.append(used)
            tree["bitset_idx"] += splits
            shift, splits = shift + len(tree), splits + int(tree["is_categorical"].sum())
        slots = max(map(len, columns))
        return cls(
            nodes=np.concatenate(nodes),
            left=left_categories(predictors),
            conditions=np.array(sorted(conditions), dtype=np.int64).reshape(-1, 4),
            values=np.array(values),
            columns=np.array([used + [width] * (slots - len(used)) for used in columns], dtype=np.int64),
            width=width,
        )

    def satisfied(self, matrix: Matrix) -> NDArray[np.bool_]:
        """Whether each row satisfies each slot of each leaf: (leaves, rows, slots); true where there is no slot."""
        seen = matrix[:, self.nodes["feature_idx"]]
        goes_left = seen <= self.nodes["num_threshold"]
        categorical = np.flatnonzero(self.nodes["is_categorical"])
        codes = np.nan_to_num(seen[:, categorical]).astype(np.int64).clip(0, 255)
        goes_left[:, categorical] = self.left[self.nodes["bitset_idx"][categorical], codes]
        goes_left = np.where(np.isnan(seen), self.nodes["missing_go_to_left"] == 1, goes_left)
        met = np.ones((*self.columns.shape, len(matrix)), dtype=bool)
        if len(self.conditions):
            leaf, slot, node, goes = self.conditions.T
            first = np.flatnonzero(np.append(True, (np.diff(leaf) != 0) | (np.diff(slot) != 0)))
            met[leaf[first], slot[first]] = np.logical_and.reduceat(
                goes_left.T[node] == goes[:, None].astype(bool), first
            )
        return np.ascontiguousarray(met.transpose(0, 2, 1))

    def reached(self, satisfied: NDArray[np.bool_]) -> Matrix:
        """The sum of the leaves that each row reaches: (rows,)."""
        return np.asarray(self.values @ satisfied.all(axis=2))

    def shapley(self, ours: NDArray[np.bool_], theirs: NDArray[np.bool_]) -> Matrix:
        """Mean over the background ``theirs`` of the Shapley values of ``ours``: (rows, columns)."""
        bits = 1 << np.arange(self.columns.shape[1], dtype=np.int64)
        row, other = (ours @ bits)[:, :, None], (theirs @ bits)[:, None, :]
        possible = (row | other) == bits.sum()
        only_row, only_other = np.bitwise_count(row & ~other), np.bitwise_count(other & ~row)
        weight = _weights(len(bits))
        gains = np.where(possible, weight[only_row, only_other], 0.0)  # (leaves, rows, background)
        losses = np.where(possible, weight[only_other, only_row], 0.0)
        theirs_too = theirs.astype(np.float64)
        value = np.where(ours, gains.sum(axis=2)[:, :, None] - gains @ theirs_too, -(losses @ theirs_too))
        value *= self.values[:, None, None] / theirs.shape[1]
        flat = value.transpose(1, 0, 2).reshape(ours.shape[1], -1)
        return summed(flat, self.columns.ravel(), self.width + 1)[:, : self.width]


def left_categories(predictors: Sequence[Any]) -> NDArray[np.bool_]:
    """Which codes go left at each categorical split of the trees, in their order: (splits, 256)."""
    words = np.concatenate([predictor.raw_left_cat_bitsets for predictor in predictors])
    return (words[:, :, None] >> np.arange(32, dtype=np.uint32) & 1).reshape(len(words), 256).astype(bool)


def summed(values: Matrix, origins: Codes, columns: int) -> Matrix:
    """Contributions of encoded columns (rows, encoded), summed by input column (rows, columns)."""
    total = np.zeros((columns, len(values)))
    np.add.at(total, origins, values.T)
    return total.T


def _weights(slots: int) -> Matrix:
    """``1 / (u * binomial(u + v, u))`` by ``u`` and ``v``; 0 for ``u`` of 0."""
    from scipy.special import binom

    u, v = np.ogrid[0 : slots + 1, 0 : slots + 1]
    return np.asarray(np.where(u > 0, 1 / (np.maximum(u, 1) * binom(u + v, u)), 0.0))


def _paths(tree: NDArray[Any]) -> Iterator[tuple[float, list[tuple[int, int]]]]:
    """Each leaf's value, and the nodes on the way to it with whether it is on their left."""
    todo: list[tuple[int, list[tuple[int, int]]]] = [(0, [])]
    while todo:
        node, path = todo.pop()
        if tree["is_leaf"][node]:
            yield float(tree["value"][node]), path
        else:
            todo += [(int(tree["right"][node]), [*path, (node, 0)]), (int(tree["left"][node]), [*path, (node, 1)])]
