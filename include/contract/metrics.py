"""The metrics and scorers that configurations may name, and which way each is better.

The functions import scikit-learn when they are called: a configuration is also read where only its names matter.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]

Response = Literal["decision", "probability", "value"]


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


@dataclass(frozen=True)
class Scorer:
    """A scorer of scikit-learn, by its name there; a greater score is better, so that errors are negative.

    ``response``: whether it scores decisions (0 or 1), probabilities of the positive class, or values of a regression.
    """

    name: str
    response: Response

    @property
    def task(self) -> Literal["classification", "regression"]:
        return "regression" if self.response == "value" else "classification"

    def __call__(self, labels: Vector, predictions: Vector, threshold: float | None = None) -> float:
        """The score of vectors of one length, as scikit-learn gives it; of a decision, yes from ``threshold`` on.

        ``ValueError`` where it is not defined (one class, values that the scorer cannot take), and where a decision
        has no threshold. scikit-learn itself warns (``UndefinedMetricWarning``) where it divides by nothing.
        """
        import numpy as np
        from sklearn.metrics import get_scorer

        if not np.all(np.isfinite(predictions)):
            raise ValueError(f"{self.name} of predictions that are not finite numbers is not defined")
        if self.task == "classification" and len(np.unique(labels)) < 2:
            raise ValueError(f"{self.name} is not defined where only one class occurs")
        if self.response == "decision":
            if threshold is None:
                raise ValueError(f"{self.name} scores decisions and needs their threshold")
            predictions = (predictions >= threshold).astype(np.float64)
        return float(get_scorer(self.name)(_Answers(self.task), predictions, labels))


@dataclass(frozen=True)
class _Answers:
    """A fitted estimator that answers its input, since scorers ask estimators."""

    task: Literal["classification", "regression"]

    @property
    def classes_(self) -> Vector:
        import numpy as np

        return np.array([0.0, 1.0])

    def predict(self, answers: Vector) -> Vector:
        return answers

    def predict_proba(self, answers: Vector) -> Vector:
        import numpy as np

        return np.column_stack([1 - answers, answers])

    def __sklearn_tags__(self) -> Any:
        from sklearn.utils import ClassifierTags, RegressorTags, Tags, TargetTags

        kind = "classifier" if self.task == "classification" else "regressor"
        tags = {"classifier_tags": ClassifierTags()} if kind == "classifier" else {"regressor_tags": RegressorTags()}
        return Tags(estimator_type=kind, target_tags=TargetTags(required=True), **tags)


def _averaged(*names: str) -> tuple[str, ...]:
    return tuple(f"{name}{average}" for name in names for average in ("", "_macro", "_micro", "_weighted"))


_RESPONSES: dict[Response, tuple[str, ...]] = {
    "decision": (
        "accuracy", "balanced_accuracy", "matthews_corrcoef", "positive_likelihood_ratio",
        "neg_negative_likelihood_ratio", *_averaged("f1", "jaccard", "precision", "recall"),
    ),
    "probability": (
        "average_precision", "d2_brier_score", "d2_log_loss_score", "neg_brier_score", "neg_log_loss", "roc_auc",
    ),
    "value": (
        "d2_absolute_error_score", "explained_variance", "neg_max_error", "neg_mean_absolute_error",
        "neg_mean_absolute_percentage_error", "neg_mean_gamma_deviance", "neg_mean_poisson_deviance",
        "neg_mean_squared_error", "neg_mean_squared_log_error", "neg_median_absolute_error",
        "neg_root_mean_squared_error", "neg_root_mean_squared_log_error", "r2",
    ),
}  # fmt: skip

SCORERS: dict[str, Scorer] = {name: Scorer(name, response) for response, names in _RESPONSES.items() for name in names}

UNFIT: dict[str, str] = {
    **dict.fromkeys(
        (
            "adjusted_mutual_info_score", "adjusted_rand_score", "completeness_score", "fowlkes_mallows_score",
            "homogeneity_score", "mutual_info_score", "normalized_mutual_info_score", "rand_score", "v_measure_score",
        ),
        "it compares clusterings",
    ),
    **dict.fromkeys(
        ("f1_samples", "jaccard_samples", "precision_samples", "recall_samples"), "it is for several labels a row"
    ),
    **dict.fromkeys(
        ("roc_auc_ovo", "roc_auc_ovo_weighted", "roc_auc_ovr", "roc_auc_ovr_weighted"),
        "it is for more than two classes; for two it is roc_auc",
    ),
    "top_k_accuracy": "it is for more than two classes; of two, the best two always hold the right one",
}  # fmt: skip


def why_no_limit(name: str, task: str) -> str | None:
    """Why an absolute limit of a task cannot be on ``name``, with the cure; None where it can."""
    known: dict[str, Metric | Scorer] = {**SCORERS, **METRICS}
    if name in known and known[name].task == task:
        return None
    said = f"{name!r} is no metric of a {task}"
    if name in known:
        return f"{said} but of a {known[name].task}"
    if name in UNFIT:
        return f"{said}: {UNFIT[name]}"
    ours = [each for each, metric in known.items() if metric.task == task]
    if close := get_close_matches(name, ours):
        return f"{said}; did you mean {' or '.join(close)}?"
    own = ", ".join(sorted(each for each, metric in METRICS.items() if metric.task == task))
    return f"{said}; expected {own}, or another scorer of scikit-learn (sklearn.metrics.get_scorer_names())"


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
