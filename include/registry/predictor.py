"""A loaded model version."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from include.contract.use_case import Task
from include.registry.artifacts import Contents, predict
from include.registry.model_input import Feature, to_model_input

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray
    from sklearn.base import BaseEstimator

    from include.registry.models import ModelVersion


@dataclass(frozen=True)
class Predictor:
    """A model version in memory; threads may share it."""

    version: ModelVersion
    model: BaseEstimator
    contents: Contents

    @property
    def features(self) -> tuple[Feature, ...]:
        """What the model needs, in the order of its columns."""
        return self.contents.features

    @property
    def task(self) -> Task:
        return self.contents.task

    @property
    def threshold(self) -> float | None:
        """The probability from which a classification says yes, as it was judged at the gate."""
        return self.contents.threshold

    def predict(self, frame: pd.DataFrame) -> NDArray[np.float64]:
        """The probability of the positive class, or the value, for each row.

        Other columns than the features are ignored. ``ValueError`` names missing columns and values of a wrong type.
        """
        return predict(self.model, self.task, to_model_input(frame, self.features))
