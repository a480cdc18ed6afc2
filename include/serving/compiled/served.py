"""A model as it answers requests: compiled where that predicts the same, as it is otherwise."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Literal

from include.registry.model_input import to_model_input
from include.registry.predictor import Predictor
from include.serving.compiled.columns import NotCompilable
from include.serving.compiled.compile import Compiled, compile_model
from include.serving.compiled.reading import Value
from include.serving.compiled.verification import verify

if TYPE_CHECKING:
    import pandas as pd

log = logging.getLogger(__name__)

Engine = Literal["compiled", "scikit-learn"]


@dataclass(frozen=True)
class Served:
    """A predictor of rows of Python values, and why it runs on its engine; threads may share it."""

    predictor: Predictor
    compiled: Compiled | None
    reason: str

    @cached_property
    def engine(self) -> Engine:
        return "scikit-learn" if self.compiled is None else "compiled"

    def predict(self, rows: Sequence[Sequence[Value]]) -> list[float]:
        """The probability of the positive class, or the value, for rows in the order of the model's features.

        ``None`` and NaN are missing. ``ValueError`` says what of a row the model does not take.
        """
        if self.compiled is not None:
            return self.compiled.predict(rows)
        if not rows:
            return []
        names = [feature.name for feature in self.predictor.features]
        frame = to_model_input([dict(zip(names, row, strict=True)) for row in rows], self.predictor.features)
        return [float(value) for value in self.predictor.predict(frame)]


def accelerate(predictor: Predictor, sample: pd.DataFrame | None = None) -> Served:
    """Compile the model and hold it to its pipeline on rows made from ``sample``, and on those themselves.

    ``sample`` has the model's features, as rows of the training set do; without it, it is the model's example. Never
    fails because of the model: what cannot be compiled or verified is served by scikit-learn, with the reason.
    """
    try:
        compiled = compile_model(predictor.model, predictor.task, predictor.features)
        known = to_model_input([predictor.contents.example], predictor.features) if sample is None else sample
        verification = verify(compiled, predictor.model, predictor.task, known)
    except NotCompilable as error:
        return Served(predictor, None, str(error))
    except Exception as error:
        log.exception("%s: cannot be compiled or verified", type(predictor.model).__name__)
        return Served(predictor, None, f"{type(error).__name__}: {error}")
    return Served(predictor, compiled if verification.agrees else None, verification.reason)
