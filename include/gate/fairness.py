"""Does a model treat the groups of a column alike? The measures of group fairness, and the rules on them."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from include.contract.gate import FairnessConfig
from include.contract.metrics import Metric
from include.gate.check import Check, not_computed
from include.resampling import Vector


def statistic(
    measure: str, labels: Vector, predictions: Vector, metric: Metric, threshold: float | None
) -> float | None:
    """A measure on the rows of one group, vectors (rows,); None where it is not defined on them.

    A classification says yes from ``threshold`` on. The selection rate gives demographic parity (Calders et al. 2009,
    "Building Classifiers with Independency Constraints"; Dwork et al. 2012, "Fairness through Awareness"), the true
    positive rate equal opportunity and, with the false positive rate, equalized odds (Hardt et al. 2016, "Equality of
    Opportunity in Supervised Learning"), precision predictive parity (Chouldechova 2017, "Fair Prediction with
    Disparate Impact"). ``error`` is the metric. ``calibration`` and ``bias`` are the mean prediction less the mean
    label, with its sign: where one group's risk is overstated and another's understated, they differ by both.
    """
    if len(labels) == 0:
        return None
    if measure == "error":
        return defined(metric, labels, predictions)
    if measure in {"calibration", "bias"}:
        return float(np.mean(predictions - labels))
    if threshold is None:
        return None
    chosen, positive = predictions >= threshold, labels == 1
    if measure == "precision":
        return _share(positive, chosen)
    among = {"selection_rate": np.ones_like(chosen), "true_positive_rate": positive, "false_positive_rate": ~positive}
    return _share(chosen, among[measure])


def defined(metric: Metric, labels: Vector, predictions: Vector) -> float | None:
    """The metric; None where it is not defined on these rows, e.g. since they are of one class."""
    try:
        value = metric(labels, predictions)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def name(rule: FairnessConfig) -> str:
    """Of the rule's check."""
    return f"fairness: {rule.measure} by {rule.column}"


def check(rule: FairnessConfig, groups: Mapping[str, float | None], minimum_rows: int) -> Check:
    """The measure of any two groups differs by at most ``difference``; ``groups`` holds it by each group's name."""
    if len(groups) < 2:
        what = f"the {rule.measure} of two groups of {rule.column} with at least {minimum_rows} rows"
        return not_computed(name(rule), rule.difference, what)
    values = {group: value for group, value in groups.items() if value is not None}
    if absent := [group for group in groups if group not in values]:
        return not_computed(name(rule), rule.difference, f"the {rule.measure} of {', '.join(absent)}")
    least, most = min(values, key=values.__getitem__), max(values, key=values.__getitem__)
    difference = values[most] - values[least]
    passed = difference <= rule.difference
    reason = (
        f"the {rule.measure} is {values[most]:.4g} for {most} and {values[least]:.4g} for {least}: a difference of "
        f"{difference:.4g}, {'at most' if passed else 'above'} {rule.difference:g}"
    )
    return Check(name(rule), passed, difference, rule.difference, reason)


def _share(of: NDArray[np.bool_], among: NDArray[np.bool_]) -> float | None:
    return float(np.mean(of[among])) if among.any() else None
