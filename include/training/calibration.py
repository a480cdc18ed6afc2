"""Maps a classifier's scores to probabilities that hold: of what is given 30 %, 30 % happen.

The map is learned from predictions for rows that the predicting model had not learned from, made on rolling-origin
folds, and is put around the model that was fitted on all rows, so that none are lost to it. The models of the folds
learned from less than that model did, so that the map is, if anything, a little too cautious.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from include.training.fitting import Build, Examples, FitError, fit_unchecked, name_of
from include.training.folds import Fold

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray
    from sklearn.base import BaseEstimator

    Vector = NDArray[np.float64]

Method = Literal["sigmoid", "isotonic"]


@dataclass(frozen=True)
class Scores:
    """Out-of-fold scores, and by row the label and, if any, the weight: (rows,) each, folds in order."""

    values: Vector
    labels: Vector
    weights: Vector | None


def out_of_fold(build: Build, params: Mapping[str, Any], examples: Examples, folds: Sequence[Fold]) -> Scores:
    """Score the judged rows of each fold with a model of its learned ones; one fit a fold. ``FitError`` as in a fit."""
    import numpy as np

    values = [
        score(fit_unchecked(build, params, examples.take(fold.learn)), examples.take(fold.judge).frame)
        for fold in folds
    ]
    judged = examples.take(np.concatenate([fold.judge for fold in folds]))
    return Scores(np.concatenate(values), judged.labels, judged.weights)


def score(model: BaseEstimator, frame: pd.DataFrame) -> Vector:
    """What ``CalibratedClassifierCV`` maps: the decision function, or where there is none the probability. (rows,)"""
    import numpy as np

    if hasattr(model, "decision_function"):
        return np.asarray(model.decision_function(frame), dtype=np.float64)
    if hasattr(model, "predict_proba"):
        return np.asarray(model.predict_proba(frame), dtype=np.float64)[:, 1]
    raise FitError(f"{name_of(model)} has neither decision_function nor predict_proba; there is nothing to calibrate")


def calibrate(model: BaseEstimator, method: Method, scores: Scores) -> BaseEstimator:
    """The fitted binary ``model`` behind a map from its scores to probabilities, as a ``CalibratedClassifierCV``.

    ``sigmoid``: 1 / (1 + exp(a * score + b)), for few rows (Platt 1999, "Probabilistic Outputs for Support Vector
    Machines"). ``isotonic``: the rising steps nearest to the labels, for some thousand rows and more (Zadrozny & Elkan
    2002, "Transforming Classifier Scores into Accurate Multiclass Probability Estimates"), kept off 0 and 1 by the
    bounds that Platt gives his targets, since one surprise at 0 or 1 has an endless log-loss.

    ``FitError`` where scores are not finite, of one class, or fall where the labels rise.
    """
    import numpy as np

    if bad := int(np.count_nonzero(~np.isfinite(scores.values))):
        raise FitError(f"{name_of(model)}: {bad} of {len(scores.values)} scores are no finite numbers")
    counted = scores.labels if scores.weights is None else scores.labels[scores.weights > 0]
    positives = int(np.count_nonzero(counted))
    negatives = len(counted) - positives
    if not positives or not negatives:
        raise FitError(
            f"all {len(counted)} labels on the folds are of one class; learn from a longer training.window, or "
            f"set training.calibration: none"
        )
    return _assembled(model, method, scores, (1 / (negatives + 2), (positives + 1) / (positives + 2)))


def _assembled(model: Any, method: Method, scores: Scores, bounds: tuple[float, float]) -> BaseEstimator:
    """Puts together what ``CalibratedClassifierCV.fit`` would leave.

    Its ``fit`` takes no scores made elsewhere, and the map has no public class of its own. The private names are the
    ones that a saved model refers to anyway; a test holds the result to what ``fit`` gives.
    """
    import numpy as np
    from sklearn.calibration import CalibratedClassifierCV, _CalibratedClassifier, _SigmoidCalibration
    from sklearn.frozen import FrozenEstimator
    from sklearn.isotonic import IsotonicRegression

    low, high = bounds
    if method == "sigmoid":
        mapping = _SigmoidCalibration()
    else:
        mapping = IsotonicRegression(y_min=low, y_max=high, out_of_bounds="clip")
    mapping.fit(scores.values, scores.labels, scores.weights)
    ends = mapping.predict(np.array([scores.values.min(), scores.values.max()]))
    if ends[0] > ends[1]:
        raise FitError(
            f"{name_of(model)}: the higher its score on the folds, the rarer the label; a map would turn its order "
            f"around. Look at the features, or set training.calibration: none"
        )
    frozen = FrozenEstimator(model)
    calibrated = CalibratedClassifierCV(frozen, method=method)
    calibrated.classes_ = np.asarray(model.classes_)
    calibrated.calibrated_classifiers_ = [
        _CalibratedClassifier(frozen, [mapping], method=method, classes=calibrated.classes_)
    ]
    for name in ("n_features_in_", "feature_names_in_"):
        if hasattr(model, name):
            setattr(calibrated, name, getattr(model, name))
    return calibrated
