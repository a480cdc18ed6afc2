"""Why the served models predicted what they did: an explainer for each version, made when it is first asked for."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from include.serving.problems import Problem
from include.serving.samples import sample

if TYPE_CHECKING:
    from include.registry.models import Predictor
    from include.training.explanation import Explainer, Explanation

log = logging.getLogger(__name__)

EXPLAINED_ROWS = 20  # of a request at most: one row costs what hundreds of predictions do
KEPT = 4  # versions whose explainers are kept


class Explanations:
    """Explains the rows of requests; threads may share it."""

    def __init__(self) -> None:
        self._making = threading.Lock()
        self._explainers: dict[tuple[str, str], Explainer] = {}

    def explain(self, predictor: Predictor, rows: Sequence[Mapping[str, Any]]) -> list[Explanation]:
        """One explanation a row of the model's features. ``Problem`` where the model has none."""
        try:
            return self._explainer(predictor).explain(rows)
        except Exception as error:
            version = predictor.version
            log.exception("%s version %d cannot be explained", version.use_case, version.version)
            detail = f"version {version.version} cannot be explained: {type(error).__name__}: {error}"
            raise Problem(503, "No explanation", f"{detail}; without explain it is predicted") from error

    def _explainer(self, predictor: Predictor) -> Explainer:
        from include.training.explanation import Explainer

        key = (predictor.version.use_case, predictor.version.digest)
        with self._making:
            if key not in self._explainers:
                found = Explainer.of(predictor.model, predictor.task, predictor.features, sample(predictor))
                kept = list(self._explainers.items())[-KEPT + 1 :]
                self._explainers = dict([*kept, (key, found)])
            return self._explainers[key]
