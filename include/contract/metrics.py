"""The metrics that configurations may name, and which way each is better.

The functions import scikit-learn when they are called: a configuration is also read where only its names matter.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]


@dataclass(frozen=True)
class Metric:
    """A scikit-learn metric of labels and predictions (a classification: probabilities of the positive class)."""

    name: str
    task: Literal["classification", "regression"]
    higher_is_better: bool
    function: str
    rowwise: bool = False  # a mean over rows, so that it can be compared row by row

    def __call__(self, labels: Vector, predictions: Vector) -> float:
        """The metric of vectors of one length; ``ValueError`` where it is not defined (one class, no rows)."""
        import sklearn.metrics

        function: Callable[..., Any] = getattr(sklearn.metrics, self.function)
        if len(labels) == 0:
            raise ValueError(f"{self.name} of no rows is not defined")
        if self.task == "classification" and len(set(labels.tolist())) < 2 and not self.rowwise:
            raise ValueError(f"{self.name} is not defined where only one class occurs")
        options = {"labels": [0, 1]} if self.name == "log_loss" else {}
        return float(function(labels, predictions, **options))

    def loss(self, value: float) -> float:
        """The value turned so that lower is better."""
        return -value if self.higher_is_better else value


METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("roc_auc", "classification", True, "roc_auc_score"),
        Metric("average_precision", "classification", True, "average_precision_score"),
        Metric("log_loss", "classification", False, "log_loss", rowwise=True),
        Metric("brier", "classification", False, "brier_score_loss", rowwise=True),
        Metric("rmse", "regression", False, "root_mean_squared_error"),
        Metric("mae", "regression", False, "mean_absolute_error", rowwise=True),
        Metric("r2", "regression", True, "r2_score"),
    )
}


def evaluate(task: str, labels: Vector, predictions: Vector) -> dict[str, float]:
    """Every metric of a task that is defined on these rows."""
    values: dict[str, float] = {}
    for metric in METRICS.values():
        if metric.task == task:
            try:
                values[metric.name] = metric(labels, predictions)
            except ValueError:
                continue  # a metric that is missing refuses at the gate
    return values
