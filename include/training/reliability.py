"""Whether probabilities hold: the calibration of predictions against what came true."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from include.records import Record
from include.resampling import Vector

BINS = 10
CLOSEST = 1e-7  # predictions of 0 and 1 have no log-odds and are taken as this far from it


@dataclass(frozen=True)
class Bin(Record):
    """Rows of similar predictions."""

    predicted: float  # mean probability
    observed: float  # share of positives
    rows: int


@dataclass(frozen=True)
class Calibration(Record):
    """Whether of the rows with a probability of 30 % about 30 % are positive.

    ``error``: the expected calibration error, ``sum_b n_b / n * |observed_b - predicted_b|`` (Naeini et al. 2015,
    "Obtaining Well Calibrated Probabilities Using Bayesian Binning") over bins of equal mass; equal predictions share a
    bin. It is not debiased, and never 0: ``chance`` is what to expect of it with perfect probabilities and independent
    rows, ``sum_b n_b / n * sqrt(2 p_b (1 - p_b) / (pi n_b))``.
    ``slope``, ``intercept``: of a logistic regression of the label on the log-odds of the prediction (Cox 1958, "Two
    further applications of a model for binary regression"), 1 and 0 where nothing is to be corrected; a slope below 1
    means too extreme. None where one class or one prediction is all there is, or the predictions separate the classes.
    """

    error: float
    chance: float
    slope: float | None
    intercept: float | None
    bins: tuple[Bin, ...]


def calibration(labels: Vector, predictions: Vector, bins: int = BINS) -> Calibration:
    """The calibration of probabilities (rows,), at least one, against labels of 0 and 1."""
    edges = np.unique(np.quantile(predictions, np.linspace(0, 1, bins + 1)[1:-1]))
    _, codes = np.unique(np.searchsorted(edges, predictions, "left"), return_inverse=True)
    counts = np.bincount(codes)
    predicted = np.bincount(codes, weights=predictions) / counts
    observed = np.bincount(codes, weights=labels) / counts
    shares = counts / len(labels)
    spread = np.sqrt(2 * np.clip(predicted * (1 - predicted), 0, None) / (math.pi * counts))
    slope, intercept = _recalibration(labels, predictions) or (None, None)
    return Calibration(
        error=float(shares @ np.abs(observed - predicted)),
        chance=float(shares @ spread),
        slope=slope,
        intercept=intercept,
        bins=tuple(Bin(float(p), float(o), int(n)) for p, o, n in zip(predicted, observed, counts, strict=True)),
    )


def _recalibration(labels: Vector, predictions: Vector) -> tuple[float, float] | None:
    from scipy.special import logit
    from sklearn.linear_model import LogisticRegression

    odds = logit(np.clip(predictions, CLOSEST, 1 - CLOSEST))
    no, yes = odds[labels == 0], odds[labels == 1]
    if not len(no) or not len(yes) or np.ptp(odds) == 0 or no.max() <= yes.min() or yes.max() <= no.min():
        return None  # no finite solution
    fitted = LogisticRegression(C=np.inf, solver="newton-cholesky", tol=1e-8).fit(odds[:, None], labels)
    return float(fitted.coef_[0, 0]), float(fitted.intercept_[0])
