"""The paired comparison of a challenger with the champion on the same rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from include.contract.metrics import Metric
from include.records import Record
from include.resampling import Sample, bounds, draw, limited, probability_above, statistic


@dataclass(frozen=True)
class Comparison(Record):
    """By how much the challenger's loss is lower than the champion's, in units of the loss; positive: better."""

    metric: str
    champion_value: float
    challenger_value: float
    difference: float
    interval: tuple[float, float]  # each end is a one-sided bound at ``confidence``
    margin: float
    confidence: float
    probability_better: float  # the confidence with which the difference is above the margin
    better: bool  # the lower end of the interval is above the margin
    identical: bool  # both predicted the same for every row
    rows: int
    blocks: int
    resamples: int


def compare_paired(
    labels: ArrayLike,
    challenger: ArrayLike,
    champion: ArrayLike,
    blocks: ArrayLike,
    metric: Metric,
    *,
    margin: float,
    confidence: float,
    resamples: int,
    seed: int,
) -> Comparison:
    """Compare two models' predictions of the same rows; all four vectors are (rows,), ``blocks`` holds partition keys.

    Both models are measured on the same drawn blocks, so that a hard day is hard for both (paired block bootstrap, see
    ``include.resampling``). Metrics that cannot be had from sums by block use at most 500 resamples.
    Raises ``ValueError`` where values are not finite, there are fewer than two blocks, or the metric is not defined.
    """
    ours, theirs = Sample.of(labels, challenger, blocks), Sample.of(labels, champion, blocks)
    if ours.blocks < 2:
        raise ValueError(f"a comparison over blocks needs at least 2 of them, got {ours.blocks}")
    used = limited(metric, resamples)
    weights = draw(ours.blocks, used, seed)
    turn = metric.loss(1.0)
    differences = turn * (statistic(metric, theirs)(weights) - statistic(metric, ours)(weights))
    ours_value = metric(ours.labels, ours.predictions)
    theirs_value = metric(theirs.labels, theirs.predictions)
    interval = bounds(differences, confidence, ours.blocks)
    return Comparison(
        metric=metric.name,
        champion_value=theirs_value,
        challenger_value=ours_value,
        difference=metric.loss(theirs_value) - metric.loss(ours_value),
        interval=interval,
        margin=margin,
        confidence=confidence,
        probability_better=probability_above(differences, margin, ours.blocks),
        better=interval[0] > margin,
        identical=bool(np.array_equal(ours.predictions, theirs.predictions)),
        rows=len(ours.labels),
        blocks=ours.blocks,
        resamples=used,
    )
