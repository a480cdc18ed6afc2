"""The maps that a CalibratedClassifierCV puts behind a score."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import expit
from sklearn.calibration import _SigmoidCalibration
from sklearn.isotonic import IsotonicRegression

from include.serving.compiled.columns import NotCompilable, Vector
from include.serving.compiled.estimators import Inverse


def calibrator(calibrated: Any) -> Inverse:
    """From scores to probabilities: what the fitted map of one calibrated classifier of two classes does."""
    (fitted,) = calibrated.calibrators
    if type(fitted) is _SigmoidCalibration:
        return _sigmoid(float(fitted.a_), float(fitted.b_))
    if type(fitted) is IsotonicRegression:
        return _isotonic(fitted)
    raise NotCompilable(f"CalibratedClassifierCV: method={calibrated.method!r}")


def _sigmoid(slope: float, intercept: float) -> Inverse:
    def probability(scores: Vector) -> Vector:
        return np.asarray(expit(-(slope * scores + intercept)))

    return probability


def _isotonic(fitted: Any) -> Inverse:
    """Straight lines between the fitted steps. ``NotCompilable`` where scores beyond them are not clipped."""
    if fitted.out_of_bounds != "clip":
        raise NotCompilable(f"IsotonicRegression: out_of_bounds={fitted.out_of_bounds!r}")
    at, steps = (np.array(each, dtype=np.float64) for each in (fitted.X_thresholds_, fitted.y_thresholds_))

    def probability(scores: Vector) -> Vector:
        mapped = np.interp(scores, at, steps)
        return np.where((mapped > 1) & (mapped <= 1 + 1e-5), 1.0, mapped)  # as CalibratedClassifierCV rounds

    return probability
