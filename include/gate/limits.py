"""The absolute limits: is the candidate good enough whatever the champion is?"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import ArrayLike

from include.contract.gate import Limit
from include.contract.metrics import METRICS, SCORERS
from include.contract.use_case import UseCase
from include.gate.check import Check, at_least, at_most
from include.resampling import Vector


def values(config: UseCase, labels: ArrayLike, predictions: ArrayLike) -> dict[str, float | None]:
    """The values of all metrics and scorers that ``gate.limits`` names; None where one is not defined on these rows.

    ``labels`` and ``predictions`` (rows,), of a classification 0 or 1 and the probability of 1. Scorers of decisions
    get what serving decides: a probability of at least ``serving.threshold`` means yes.
    """
    y, p = np.asarray(labels, dtype=np.float64), np.asarray(predictions, dtype=np.float64)
    return {name: _value(name, y, p, config.serving.threshold) for name in config.gate.limits}


def check(metrics: Mapping[str, float | None], limits: Mapping[str, Limit]) -> Iterator[Check]:
    """Both ends of each limit, themselves included; a metric that is missing, NaN or infinite fails."""
    for name, limit in sorted(limits.items()):
        if limit.min is not None:
            yield at_least(f"{name} min", metrics.get(name), limit.min, name)
        if limit.max is not None:
            yield at_most(f"{name} max", metrics.get(name), limit.max, name)


def _value(name: str, labels: Vector, predictions: Vector, threshold: float | None) -> float | None:
    from sklearn.exceptions import UndefinedMetricWarning

    with warnings.catch_warnings():
        # scikit-learn warns and answers 0 where it divides by nothing
        warnings.simplefilter("error", UndefinedMetricWarning)
        try:
            metric = METRICS.get(name)
            value = metric(labels, predictions) if metric else SCORERS[name](labels, predictions, threshold)
        except (ValueError, UndefinedMetricWarning):
            return None
    return value if math.isfinite(value) else None
