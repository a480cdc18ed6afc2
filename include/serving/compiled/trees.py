"""Ensembles of trees as one array of nodes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from include.serving.compiled.columns import Matrix, Vector
from include.serving.compiled.kernels import CATEGORIES, NODE, sum_of_trees
from include.serving.compiled.quickscorer import QuickScorer
from include.training.leaves import left_categories


@dataclass(frozen=True)
class Trees:
    """``(base + the leaf that a row reaches in each tree) / divisor``."""

    nodes: NDArray[Any]  # of all trees, as ``kernels.NODE``
    roots: NDArray[np.int64]  # (trees,)
    left: NDArray[np.bool_]  # (categorical splits, 256): which codes go left
    base: float = 0.0
    divisor: float = 1.0

    @classmethod
    def of_histograms(cls, predictors: Sequence[Any], base: float) -> Trees:
        """The trees of histogram gradient boosting, which hold categories as codes."""
        trees, splits = [], 0
        for predictor in predictors:
            found = predictor.nodes
            leaf, categorical = found["is_leaf"] == 1, found["is_categorical"] == 1
            tree = _tree(leaf, found, found["value"], found["num_threshold"])
            tree["number"][categorical] = found["bitset_idx"][categorical] + splits
            tree["categorical"] = categorical
            tree["missing_left"] = found["missing_go_to_left"]
            splits += len(predictor.raw_left_cat_bitsets)
            trees.append(tree)
        return cls(*_joined(trees), left_categories(predictors), base)

    @classmethod
    def of_trees(cls, trees: Iterable[Any], base: float = 0.0, scale: float = 1.0, divisor: float = 1.0) -> Trees:
        """scikit-learn's other trees, of one output: a probability of the second class, or a value, times ``scale``.

        They read single precision, to which their input must be rounded before.
        """
        flat = []
        for tree in trees:
            leaf = tree.children_left < 0
            fields = {"feature_idx": tree.feature, "left": tree.children_left, "right": tree.children_right}
            flat.append(_tree(leaf, fields, scale * tree.value[:, 0, -1], tree.threshold))
            flat[-1]["missing_left"] = tree.missing_go_to_left
        return cls(*_joined(flat), np.zeros((0, CATEGORIES), dtype=bool), base, divisor)

    def reading(self, sources: NDArray[np.int64]) -> Trees:
        """The same trees over a matrix that has the column ``i`` of the present one at ``sources[i]``."""
        nodes = self.nodes.copy()
        inner = nodes["feature"] >= 0
        nodes["feature"][inner] = sources[nodes["feature"][inner]]
        return replace(self, nodes=nodes)

    def thresholds(self, column: int) -> Vector:
        """Where the trees divide the numbers of a column, in rising order."""
        chosen = (self.nodes["feature"] == column) & (self.nodes["categorical"] == 0)
        return np.unique(self.nodes["number"][chosen])

    @cached_property
    def quick(self) -> QuickScorer | None:
        """The same sum without walking, where the trees are small."""
        return QuickScorer.of(self.nodes, self.roots, self.left, self.base)

    def __call__(self, matrix: Matrix) -> Vector:
        total: Vector
        if self.quick is not None:
            total = self.quick.scores(matrix)
        else:
            total = sum_of_trees(self.nodes, self.roots, self.left, matrix, self.base)
        return total if self.divisor == 1.0 else total / self.divisor


def _tree(leaf: NDArray[np.bool_], fields: Any, values: Vector, thresholds: Vector) -> NDArray[Any]:
    tree = np.zeros(len(leaf), NODE)
    tree["number"] = np.where(leaf, values, thresholds)
    tree["feature"] = np.where(leaf, -1, fields["feature_idx"])
    tree["left"], tree["right"] = fields["left"], fields["right"]
    return tree


def _joined(trees: Sequence[NDArray[Any]]) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """The nodes of all trees with children by their place among them, and where each tree starts."""
    roots = np.cumsum([0, *(len(tree) for tree in trees)], dtype=np.int64)
    nodes = np.concatenate([np.zeros(0, NODE), *trees])
    shift = np.repeat(roots[:-1], np.diff(roots)).astype(np.int32)
    nodes["left"] += shift
    nodes["right"] += shift
    return nodes, roots[:-1].copy()
