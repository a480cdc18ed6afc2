"""Are the decisions balanced, or does the threshold buy one kind of error with the other?"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from include.contract.gate import BalanceConfig
from include.gate.check import Check, at_least, not_computed, number
from include.records import Record


@dataclass(frozen=True)
class Balance(Record):
    """Precision and recall of the decisions at the threshold that serving uses."""

    precision: float | None  # None: no row was decided yes
    recall: float | None  # None: no row is positive
    prevalence: float  # share of rows that are positive
    selected: float  # share of rows that were decided yes


def measure(labels: ArrayLike, predictions: ArrayLike, threshold: float) -> Balance:
    """Of labels of 0 and 1 and probabilities (rows,); a probability of at least ``threshold`` means yes.

    ``ValueError`` where there are no rows, lengths differ or a prediction is not finite.
    """
    y, p = np.asarray(labels, dtype=np.float64), np.asarray(predictions, dtype=np.float64)
    if y.ndim != 1 or y.shape != p.shape or not len(y):
        raise ValueError(f"labels {y.shape} and predictions {p.shape} must be vectors of one length, not empty")
    if bad := int(np.count_nonzero(~np.isfinite(p))):
        raise ValueError(f"{bad} of {len(p)} predictions are not finite numbers")
    yes, positive = p >= threshold, y == 1
    hits, chosen, wanted = (int(np.count_nonzero(which)) for which in (yes & positive, yes, positive))
    return Balance(
        precision=hits / chosen if chosen else None,
        recall=hits / wanted if wanted else None,
        prevalence=wanted / len(y),
        selected=chosen / len(y),
    )


def check(balance: Balance | None, config: BalanceConfig) -> Iterator[Check]:
    """Neither of precision and recall is given up for the other, and yes means more than picking rows at random."""
    if balance is None:
        yield not_computed("balance", config.ratio, "precision and recall of the decisions")
        yield not_computed("lift", None, "the precision of the decisions")
        return
    yield _ratio(balance, config.ratio)
    yield _lift(balance, config.lift)


def _ratio(balance: Balance, least: float) -> Check:
    precision, recall = balance.precision, balance.recall
    if precision is None or recall is None:
        missing = "precision (no row was decided yes)" if precision is None else "recall (no row is positive)"
        return not_computed("balance", least, f"the ratio of precision and recall: {missing}")
    greater = max(precision, recall)
    ratio = min(precision, recall) / greater if greater > 0 else math.nan
    if not all(map(math.isfinite, (precision, recall, balance.selected))):
        ratio = math.nan
    what = f"the ratio of the smaller of precision ({number(precision)}) and recall ({number(recall)}) to the greater"
    why = f"the threshold gives up one for the other; it says yes to a share of {number(balance.selected)} of the rows"
    return at_least("balance", ratio, least, what, why=why)


def _lift(balance: Balance, lift: float) -> Check:
    if balance.precision is None:
        return not_computed("lift", None, "the precision of the decisions (no row was decided yes)")
    needed = lift * balance.prevalence
    if not math.isfinite(needed):
        return not_computed("lift", None, "the share of positives")
    what = f"precision (held against a prevalence of {number(balance.prevalence)}, times {number(lift)})"
    return at_least("lift", balance.precision, needed, what, why="a yes says no more than picking rows at random")
