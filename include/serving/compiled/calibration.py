"""The maps that a CalibratedClassifierCV puts behind a score."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import expit
from sklearn.calibration import _SigmoidCalibration
from sklearn.isotonic import IsotonicRegression

from include.packaging.runtime.links import Isotonic
from include.serving.compiled.columns import NotCompilable, Vector
from include.serving.compiled.estimators import Inverse


def calibrator(calibrated: Any) -> Inverse:
    """From scores to probabilities: what the fitted map of one calibrated classifier of two classes does."""
    (fitted,) = calibrated.calibrators
    if type(fitted) is _SigmoidCalibration:
        return Sigmoid(float(fitted.a_), float(fitted.b_))
    if type(fitted) is IsotonicRegression:
        return _isotonic(fitted)
    raise NotCompilable(f"CalibratedClassifierCV: method={calibrated.method!r}")


@dataclass(frozen=True)
class Sigmoid:
    """``1 / (1 + exp(slope * score + intercept))`` (Platt 1999)."""

    slope: float
    intercept: float

    def __call__(self, scores: Vector) -> Vector:
        return np.asarray(expit(-(self.slope * scores + self.intercept)))


def _isotonic(fitted: Any) -> Isotonic:
    """Straight lines between the fitted steps. ``NotCompilable`` where scores beyond them are not clipped."""
    if fitted.out_of_bounds != "clip":
        raise NotCompilable(f"IsotonicRegression: out_of_bounds={fitted.out_of_bounds!r}")
    return Isotonic(*(np.array(each, dtype=np.float64) for each in (fitted.X_thresholds_, fitted.y_thresholds_)))
