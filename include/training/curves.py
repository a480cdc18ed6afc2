"""Pictures of an evaluation as SVG.

Many points are drawn as a grid of hexagons or thinned, so that the size of a file does not grow with the rows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from include.contract.metrics import METRICS
from include.contract.use_case import Task
from include.figures import BLUE, GREY, ORANGE, day_axis, finished, framed, svg
from include.resampling import Sample
from include.training.evaluate import Evaluation
from include.training.importance import Importance
from include.training.shapley import evenly

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FOLDER = "curves"
POINTS = 300  # of a curve
SCATTERED = 2000  # rows from which on hexagons are drawn
BARS = 20
BINS = 40


def draw(
    task: Task,
    labels: ArrayLike,
    predictions: ArrayLike,
    blocks: ArrayLike,
    *,
    evaluation: Evaluation,
    metric: str,
    importance: Importance | None = None,
    unit: str = "",
) -> dict[str, bytes]:
    """The pictures of the task by name, e.g. ``curves/roc.svg``; those that are not defined are left out.

    Three vectors (rows,) as ``evaluate.measure`` takes them, with what it found; ``metric`` is the one drawn by day,
    ``unit`` that of the label. ``ValueError`` where lengths differ or a value is not finite.
    """
    sample = Sample.of(labels, predictions, blocks)
    keys = np.unique(np.asarray(blocks)).astype(str)
    found: dict[str, Figure | None] = {}
    if len(sample.labels):
        found |= _classification(sample, evaluation) if task == "classification" else _regression(sample, unit)
        found["by_day"] = _by_day(sample, [str(key) for key in keys], evaluation, metric)
    if importance is not None:
        found["importance"] = _importance(importance)
    return {f"{FOLDER}/{name}.svg": svg(figure) for name, figure in found.items() if figure is not None}


def _classification(sample: Sample, evaluation: Evaluation) -> dict[str, Figure | None]:
    both = 0 < sample.labels.sum() < len(sample.labels)
    return {
        "roc": _roc(sample, evaluation) if both else None,
        "precision_recall": _precision_recall(sample, evaluation) if both else None,
        "calibration": _calibration(sample, evaluation),
        "scores": _scores(sample),
    }


def _regression(sample: Sample, unit: str) -> dict[str, Figure | None]:
    shown = f" ({unit})" if unit else ""
    residuals = sample.labels - sample.predictions
    return {
        "predicted_actual": _against(sample.predictions, sample.labels, f"actual{shown}", f"predicted{shown}", "equal"),
        "residuals": _against(sample.predictions, residuals, f"actual - predicted{shown}", f"predicted{shown}", "zero"),
        "residual_distribution": _residuals(residuals, f"actual - predicted{shown}"),
    }


def _roc(sample: Sample, evaluation: Evaluation) -> Figure:
    from sklearn.metrics import roc_curve

    wrong, right, _ = roc_curve(sample.labels, sample.predictions)
    figure, axes = framed("ROC", len(sample.labels), "false positive rate", "true positive rate")
    axes.plot([0, 1], [0, 1], color=GREY, linestyle="--", label="by chance")
    axes.plot(*_thinned(wrong, right), color=BLUE, label=_named("roc_auc", evaluation))
    return finished(figure, axes)


def _precision_recall(sample: Sample, evaluation: Evaluation) -> Figure:
    from sklearn.metrics import precision_recall_curve

    precision, recall, _ = precision_recall_curve(sample.labels, sample.predictions)
    rate = float(sample.labels.mean())
    figure, axes = framed("Precision and recall", len(sample.labels), "recall", "precision")
    axes.axhline(rate, color=GREY, linestyle="--", label=f"by chance {rate:.3g}")
    axes.step(*_thinned(recall, precision), where="pre", color=BLUE, label=_named("average_precision", evaluation))
    axes.set_ylim(0, 1.02)
    return finished(figure, axes)


def _calibration(sample: Sample, evaluation: Evaluation) -> Figure | None:
    found = evaluation.calibration
    if found is None:
        return None
    figure, axes = framed("Calibration", len(sample.labels), "", "share of positives")
    axes.plot([0, 1], [0, 1], color=GREY, linestyle="--", label="perfect")
    label = f"{len(found.bins)} bins of equal mass, error {found.error:.3g}"
    axes.plot([b.predicted for b in found.bins], [b.observed for b in found.bins], "o-", color=BLUE, label=label)
    axes.legend(frameon=False)
    below = axes.inset_axes((0, -0.4, 1, 0.25), sharex=axes)
    below.hist(sample.predictions, bins=BINS, range=(0, 1), color=BLUE, alpha=0.6)
    below.set_xlabel("predicted probability")
    below.set_ylabel("rows")
    axes.tick_params(labelbottom=False)
    return figure


def _scores(sample: Sample) -> Figure:
    figure, axes = framed("Predictions by class", len(sample.labels), "predicted probability", "share of the class")
    for value, name, colour in ((0, "negative", BLUE), (1, "positive", ORANGE)):
        part = sample.predictions[sample.labels == value]
        if len(part):
            shares = np.full(len(part), 1 / len(part))
            label = f"{name}, n = {len(part):,}"
            axes.hist(part, bins=BINS, range=(0, 1), weights=shares, histtype="step", lw=1.8, color=colour, label=label)
    return finished(figure, axes)


def _against(x: NDArray[np.float64], y: NDArray[np.float64], y_name: str, x_name: str, line: str) -> Figure:
    title = "Predicted and actual" if line == "equal" else "Residuals"
    figure, axes = framed(title, len(x), x_name, y_name)
    if len(x) > SCATTERED:
        cells = axes.hexbin(x, y, gridsize=40, bins="log", mincnt=1, cmap="cividis_r", rasterized=True)
        figure.colorbar(cells, ax=axes, label="rows")
    else:
        axes.plot(x, y, "o", color=BLUE, markersize=3, alpha=0.4, label="one row", rasterized=True)
    if line == "equal":
        axes.axline((float(x.mean()), float(x.mean())), slope=1, color=ORANGE, linestyle="--", label="perfect")
    else:
        axes.axhline(0, color=ORANGE, linestyle="--", label="perfect")
    return finished(figure, axes)


def _residuals(residuals: NDArray[np.float64], name: str) -> Figure:
    figure, axes = framed("Distribution of residuals", len(residuals), name, "rows")
    axes.hist(residuals, bins=BINS, color=BLUE, alpha=0.7, label="rows")
    mean = float(residuals.mean())
    axes.axvline(mean, color=ORANGE, linestyle="--", label=f"mean {mean:.3g}")
    return finished(figure, axes)


def _by_day(sample: Sample, keys: list[str], evaluation: Evaluation, metric: str) -> Figure | None:
    """Each day's metric, and the whole stretch's with its interval, which is narrower than the days are spread."""
    measured = evaluation.metrics.get(metric)
    if measured is None:
        return None
    figure, axes = framed(f"{metric} by day", len(sample.labels), "day", metric)
    values = [_of_block(sample, code, metric) for code in range(sample.blocks)]
    axes.plot(range(len(values)), values, "o-", color=BLUE, markersize=4, label="one day")
    axes.axhline(measured.value, color=ORANGE, label=f"all days {measured.value:.4g}")
    if measured.interval is not None:
        low, high = measured.interval
        text = f"{low:.4g} to {high:.4g} (each end at {evaluation.confidence:.0%})"
        axes.axhspan(low, high, color=ORANGE, alpha=0.2, lw=0, label=text)
    day_axis(axes, keys)
    return finished(figure, axes)


def _of_block(sample: Sample, code: int, metric: str) -> float:
    labels, predictions = sample.block(code)
    try:
        return METRICS[metric](labels, predictions) if len(labels) > 1 else float("nan")
    except ValueError:
        return float("nan")


def _importance(found: Importance) -> Figure:
    shown = found.columns[:BARS]
    figure, axes = framed("Permutation importance", found.rows, f"rise of the loss ({found.metric})", "")
    figure.set_figheight(1.6 + 0.27 * len(shown))
    places = range(len(shown))
    label = f"mean and sd of {found.repeats} shuffles"
    spread = [each.spread for each in shown]
    axes.barh(places, [each.permutation for each in shown], xerr=spread, color=BLUE, ecolor=GREY, label=label)
    axes.set_yticks(places, [_short(each.column) for each in shown], parse_math=False)
    axes.invert_yaxis()
    return finished(figure, axes)


def _short(name: str) -> str:
    return name if len(name) <= 40 else f"{name[:37]}..."


def _named(metric: str, evaluation: Evaluation) -> str:
    measured = evaluation.metrics.get(metric)
    if measured is None:
        return metric
    interval = "" if measured.interval is None else f" ({measured.interval[0]:.3f} to {measured.interval[1]:.3f})"
    return f"{metric} {measured.value:.3f}{interval}"


def _thinned(x: NDArray[np.float64], y: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    chosen = evenly(len(x), POINTS)
    return x[chosen], y[chosen]
