"""Can current rows be told from the reference's? A change of how features go together shows in none of them alone.

A classifier is asked which rows are current (Lopez-Paz & Oquab 2017, "Revisiting classifier two-sample tests"); its AUC
on rows that it has not seen is the distance: .5 where they are alike. Days stay together in the folds, or it would
know a day by its weather. The AUC's variance is that of clustered data (Obuchowski 1997, "Nonparametric analysis of
clustered ROC curve data"), with Student's t for as many clusters as there are.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from include.contract.monitoring import DriftConfig
from include.monitoring.distributions import kind_of
from include.monitoring.reference import EmptyWindowError
from include.monitoring.wording import rounded
from include.records import Record

Vector = NDArray[np.float64]
Codes = NDArray[np.int64]

MOST = 5_000  # rows of each side that are looked at
LEAST = 50
FOLDS = 5
NAMED = 5
CATEGORIES = 200  # of a column, the most frequent; the rest as one


@dataclass(frozen=True)
class Separation(Record):
    """How well current rows are told from the reference's."""

    separable: bool
    reasons: tuple[str, ...]
    auc: float
    p_value: float  # one-sided, of an AUC of .5
    n_reference: int
    n_current: int
    features: tuple[tuple[str, float], ...]  # those that separate most, with what shuffling them takes from the AUC


def separate(
    reference: pl.DataFrame,
    current: pl.DataFrame,
    config: DriftConfig,
    *,
    seed: int,
    blocks: str | None = None,
    categorical: Collection[str] = (),
) -> Separation:
    """Hold a sample of reference rows against the current ones, on the reference's columns.

    ``blocks`` names the column of days in both, by whole numbers or text; without it rows are independent. Leave out
    what only tells the time, such as a running number: it separates always. Raises ``EmptyWindowError`` for fewer than
    50 rows or 5 blocks a side, ``ValueError`` for columns that the current rows lack.
    """
    names = [name for name in reference.columns if name != blocks]
    if missing := [name for name in reference.columns if name not in current.columns]:
        raise ValueError(f"not among the current columns: {', '.join(missing)}")
    generator = np.random.default_rng(seed)
    sides = [_sampled(side, generator) for side in (reference, current)]
    groups = _groups(sides, blocks)
    labels = np.repeat([0, 1], [side.height for side in sides])
    counts = [len(np.unique(groups[labels == side])) for side in (0, 1)]
    if min(side.height for side in sides) < LEAST or min(counts) < FOLDS:
        found = f"{sides[0].height} and {sides[1].height} rows of {counts[0]} and {counts[1]} blocks"
        raise EmptyWindowError(f"{found}: telling them apart needs {LEAST} rows and {FOLDS} blocks a side")
    matrix, coded = encoded(sides[0].select(names), sides[1], categorical)
    scores, losses = _out_of_fold(matrix, labels, groups, coded, seed)
    auc, p_value = clustered_auc(scores, labels, groups)
    return _decided(auc, p_value, config, sides, dict(zip(names, losses, strict=True)))


def encoded(
    reference: pl.DataFrame, current: pl.DataFrame, categorical: Collection[str] = ()
) -> tuple[Vector, NDArray[np.bool_]]:
    """Reference rows above current ones as numbers (rows, columns), and which columns are codes of categories."""
    columns, coded = [], []
    for name in reference.columns:
        is_coded = name in categorical or kind_of(reference[name]) == "categorical"
        kind = pl.String if is_coded else pl.Float64
        both = pl.concat([reference[name].cast(kind), current[name].cast(kind)])
        coded.append(is_coded)
        columns.append(_codes(both) if is_coded else both.to_numpy())
    matrix = np.column_stack([np.asarray(column, dtype=np.float64) for column in columns])
    return np.where(np.isfinite(matrix), matrix, np.nan), np.array(coded)


def clustered_auc(scores: Vector, labels: Codes, groups: Codes) -> tuple[float, float]:
    """The AUC of scores (rows,) and its one-sided p value; rows of a group hang together (Obuchowski 1997)."""
    from scipy.stats import t

    positive, negative = scores[labels == 1], scores[labels == 0]
    wins = _below(negative, positive)
    auc = float(wins.mean())
    variance = 0.0
    clusters = []
    for placements, codes in ((wins, groups[labels == 1]), (1 - _below(positive, negative), groups[labels == 0])):
        kept = np.unique(codes, return_inverse=True)[1]
        sums = np.bincount(kept, weights=placements - auc)
        clusters.append(len(sums))
        variance += len(sums) / (len(sums) - 1) * float((sums**2).sum()) / len(placements) ** 2
    if variance == 0:
        return auc, 0.0 if auc > 0.5 else 1.0
    return auc, float(t.sf((auc - 0.5) / np.sqrt(variance), min(clusters) - 1))


def _below(others: Vector, values: Vector) -> Vector:
    """The share of ``others`` below each value, ties as half."""
    ordered = np.sort(others)
    found = np.searchsorted(ordered, values, "left") + np.searchsorted(ordered, values, "right")
    return np.asarray(found / (2 * len(ordered)), dtype=np.float64)


def _sampled(side: pl.DataFrame, generator: np.random.Generator) -> pl.DataFrame:
    if side.height <= MOST:
        return side
    return side[np.sort(generator.choice(side.height, MOST, replace=False))]


def _groups(sides: list[pl.DataFrame], blocks: str | None) -> Codes:
    """A day of both sides is one group: in a fold as a whole."""
    if blocks is None:
        return np.arange(sum(side.height for side in sides))
    names = pl.concat([side[blocks].cast(pl.String) for side in sides])
    return np.unique(names.to_numpy(), return_inverse=True)[1].astype(np.int64)


def _codes(column: pl.Series) -> Vector:
    """0 for the most frequent category, 1 for the next; the rare ones share the last."""
    ranked = column.drop_nulls().alias("name").value_counts(sort=True)["name"].head(CATEGORIES).to_list()
    codes = {name: float(code) for code, name in enumerate(ranked)}
    return np.array([codes.get(name, float(len(codes))) if name is not None else np.nan for name in column.to_list()])


def _out_of_fold(
    matrix: Vector, labels: Codes, groups: Codes, coded: NDArray[np.bool_], seed: int
) -> tuple[Vector, list[float]]:
    """Scores of rows by a model that has not seen their group, and what shuffling each column takes from the AUC."""
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import StratifiedGroupKFold

    generator = np.random.default_rng(seed)
    scores, shuffled = np.empty(len(labels)), np.empty((matrix.shape[1], len(labels)))
    for learned, held in StratifiedGroupKFold(FOLDS, shuffle=True, random_state=seed).split(matrix, labels, groups):
        model: Any = HistGradientBoostingClassifier(
            max_iter=60, max_leaf_nodes=8, min_samples_leaf=20, categorical_features=coded, random_state=seed
        )
        model.fit(matrix[learned], labels[learned])
        rows = matrix[held]
        scores[held] = model.decision_function(rows)
        order = generator.permutation(len(held))
        for column in range(matrix.shape[1]):
            changed = rows.copy()
            changed[:, column] = rows[order, column]
            shuffled[column, held] = model.decision_function(changed)
    auc = roc_auc_score(labels, scores)
    return scores, [float(auc - roc_auc_score(labels, each)) for each in shuffled]


def _decided(
    auc: float, p_value: float, config: DriftConfig, sides: list[pl.DataFrame], losses: dict[str, float]
) -> Separation:
    most = sorted(((name, loss) for name, loss in losses.items() if loss > 0), key=lambda each: -each[1])[:NAMED]
    size = "enough to matter" if auc >= config.separation else "too little to matter"
    chance = "more than chance" if p_value < config.alpha else "may be chance"
    reasons = [
        f"current rows are told from the reference's with an AUC of {auc:.3f} (limit {config.separation:g}: {size}), "
        f"p {rounded(p_value)} (limit {config.alpha:g}: {chance})"
    ]
    if most:
        reasons.append(f"most by {', '.join(name for name, _ in most)}")
    separable = auc >= config.separation and p_value < config.alpha
    return Separation(separable, tuple(reasons), auc, p_value, sides[0].height, sides[1].height, tuple(most))
