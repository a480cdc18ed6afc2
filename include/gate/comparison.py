"""The paired comparison of a challenger with the champion on the same rows.

The gain is by how much the challenger's loss is lower. Each end of its interval is a one-sided bound: the rules ask

- superiority: is the lower bound above the margin?
- non-inferiority: is it above minus the margin? The challenger may then be worse, but surely by less than the margin:
  one of the two one-sided tests of Schuirmann (1987), "A Comparison of the Two One-Sided Tests Procedure and the Power
  Approach for Assessing the Equivalence of Average Bioavailability", and what the FDA (2016), "Non-Inferiority Clinical
  Trials to Establish Effectiveness", section III, asks of the confidence interval.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, Self, get_args

import numpy as np
from numpy.typing import ArrayLike

from include.contract.metrics import Metric
from include.records import Record
from include.resampling import Sample, Vector, bounds, draw, limited, probability_above, statistic

Rule = Literal["superiority", "non-inferiority"]


@dataclass(frozen=True)
class Outcomes(Record):
    """How probable it is that the challenger is better, alike or worse, told apart by the margin; they add up to 1.

    The region of practical equivalence of Benavoli et al. (2017), "Time for a Change: a Tutorial for Comparing Multiple
    Classifiers Through Bayesian Analysis", with bootstrap confidences for the posterior: ``better`` is the confidence
    at which the lower bound would just reach the margin.
    """

    better: float  # gain > margin
    alike: float  # -margin <= gain <= margin
    worse: float  # gain < -margin

    @classmethod
    def of(cls, gains: Vector, margin: float, blocks: int) -> Self:
        """From resampled gains (resamples,) over so many blocks (see ``include.resampling``)."""
        better, worse = probability_above(gains, margin, blocks), probability_above(-gains, margin, blocks)
        return cls(better, max(0.0, 1 - better - worse), worse)


@dataclass(frozen=True)
class Comparison(Record):
    """By how much the challenger's loss is lower than the champion's, in units of the loss; positive: better."""

    metric: str
    rule: Rule
    champion_value: float
    challenger_value: float
    difference: float
    interval: tuple[float, float]  # each end is a one-sided bound at ``confidence``
    margin: float  # at least 0
    confidence: float
    probabilities: Outcomes
    identical: bool  # both predicted the same for every row
    rows: int
    blocks: int
    resamples: int

    @property
    def least(self) -> float:
        """The gain that the lower bound must be above."""
        return self.margin if self.rule == "superiority" else -self.margin

    @property
    def convincing(self) -> bool:
        """Whether the lower bound is where the rule wants it. What is not a number never convinces."""
        return all(map(math.isfinite, (self.difference, *self.interval))) and self.interval[0] > self.least


def compare_paired(
    labels: ArrayLike,
    challenger: ArrayLike,
    champion: ArrayLike,
    blocks: ArrayLike,
    metric: Metric,
    *,
    rule: Rule = "superiority",
    margin: float,
    confidence: float,
    resamples: int,
    seed: int,
) -> Comparison:
    """Compare two models' predictions of the same rows; all four vectors are (rows,), ``blocks`` holds partition keys.

    Both models are measured on the same drawn blocks, so that a hard day is hard for both (paired block bootstrap, see
    ``include.resampling``). Metrics that cannot be had from sums by block use at most 500 resamples.
    Raises ``ValueError`` where values are not finite, there are fewer than two blocks, the metric is not defined, or
    rule, margin, confidence or resamples are none.
    """
    _refuse_unanswerable(rule, margin, confidence, resamples)
    ours, theirs = Sample.of(labels, challenger, blocks), Sample.of(labels, champion, blocks)
    if ours.blocks < 2:
        raise ValueError(f"a comparison over blocks needs at least 2 of them, got {ours.blocks}")
    used = limited(metric, resamples)
    weights = draw(ours.blocks, used, seed)
    turn = metric.loss(1.0)
    gains = turn * (statistic(metric, theirs)(weights) - statistic(metric, ours)(weights))
    ours_value = metric(ours.labels, ours.predictions)
    theirs_value = metric(theirs.labels, theirs.predictions)
    return Comparison(
        metric=metric.name,
        rule=rule,
        champion_value=theirs_value,
        challenger_value=ours_value,
        difference=metric.loss(theirs_value) - metric.loss(ours_value),
        interval=bounds(gains, confidence, ours.blocks),
        margin=margin,
        confidence=confidence,
        probabilities=Outcomes.of(gains, margin, ours.blocks),
        identical=bool(np.array_equal(ours.predictions, theirs.predictions)),
        rows=len(ours.labels),
        blocks=ours.blocks,
        resamples=used,
    )


def _refuse_unanswerable(rule: Rule, margin: float, confidence: float, resamples: int) -> None:
    if rule not in get_args(Rule):
        raise ValueError(f"the rule of a comparison is {' or '.join(get_args(Rule))}, got {rule!r}")
    if not 0 <= margin < math.inf:
        raise ValueError(f"the margin of a comparison is a number of at least 0, got {margin}")
    if not 0.5 < confidence < 1:
        raise ValueError(f"the confidence of a comparison is between 0.5 and 1, got {confidence}")
    if resamples < 1:
        raise ValueError(f"a comparison needs at least 1 resample, got {resamples}")
