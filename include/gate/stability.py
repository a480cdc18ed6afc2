"""Does a model answer the same to the same, nearly the same to nearly the same, and not all else than the champion?"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from include.contract.gate import StabilityConfig
from include.gate.check import Check, not_computed
from include.records import Record
from include.registry.model_input import Feature, to_model_input

if TYPE_CHECKING:
    import pandas as pd

Vector = NDArray[np.float64]

MOST_ROWS = 2000  # that are predicted again
ALONE = 20  # of them one by one, as a service is asked
TOLERANCE = 1e-9  # what sums in another order may differ by
TWICE, SINGLE, ORDER = "same answer twice", "same answer alone", "same answer in another order"
NOISE, CHANGE = "change by noise", "change against the champion"


@dataclass(frozen=True)
class Stability(Record):
    """How predictions change where the input does not, or hardly.

    Differences are the greatest over the rows, relative where a prediction is greater than 1. Changes are, of a
    classification, the share of decisions that flip, and of a regression the mean absolute change in standard
    deviations of the predictions before it. None: not a finite number, or (champion) there is none.
    """

    decisions: bool  # a classification: changes are shares of decisions
    rows: int  # predicted again
    repeated: float | None  # the same frame twice
    alone: float | None  # a row by itself and in the batch
    reordered: float | None  # the batch shuffled
    noise_flipped: float | None  # with noise on numeric features
    champion_flipped: float | None  # from the champion's predictions to these, all rows
    champion_distance: float | None  # between both distributions: W1 in standard deviations of the champion's


def measure(
    predict: Callable[[pd.DataFrame], Vector],
    frame: pd.DataFrame,
    features: Sequence[Feature],
    predictions: Vector,
    champion: Vector | None,
    *,
    threshold: float | None,
    config: StabilityConfig,
    seed: int,
) -> Stability:
    """Predict at most ``MOST_ROWS`` rows again, drawn by the seed.

    ``frame`` (rows, features) is what ``Predictor.predict`` takes, ``predictions`` and ``champion`` (rows,) are those
    of its rows; ``threshold`` is the probability that means yes (None: a regression). Noise is Gaussian, of
    ``config.noise`` standard deviations of each numeric feature that has a spread; what is missing stays missing.
    ``ValueError`` where there are no rows or lengths differ.
    """
    lengths = {len(frame), len(predictions), len(frame if champion is None else champion)}
    if len(lengths) > 1 or not len(frame):
        raise ValueError(f"frame and predictions must have rows, and as many: {sorted(lengths)}")
    generator = np.random.default_rng(seed)
    inputs = to_model_input(frame, features)
    sample = inputs.iloc[np.sort(generator.permutation(len(inputs))[:MOST_ROWS])]
    first = predict(sample)
    order = generator.permutation(len(sample))
    single = generator.permutation(len(sample))[:ALONE]
    noisy = _with_noise(sample, inputs, features, config.noise, generator)
    return Stability(
        decisions=threshold is not None,
        rows=len(sample),
        repeated=_greatest(first, predict(sample)),
        alone=_greatest(first[single], np.concatenate([predict(sample.iloc[[row]]) for row in single])),
        reordered=_greatest(first[order], predict(sample.iloc[order])),
        noise_flipped=_change(first, predict(noisy), threshold),
        champion_flipped=None if champion is None else _change(champion, predictions, threshold),
        champion_distance=None if champion is None else _distance(champion, predictions),
    )


def check(stability: Stability | None, config: StabilityConfig, champion: str | None) -> Iterator[Check]:
    """The same input has the same output, little noise changes little, and most decisions are the champion's.

    ``champion`` is its version; where there is none, there is nothing to differ from.
    """
    if stability is None:
        for name, limit in ((TWICE, TOLERANCE), (SINGLE, TOLERANCE), (ORDER, TOLERANCE)):
            yield not_computed(name, limit, "the prediction of the same rows again")
        yield not_computed(NOISE, config.flipped_by_noise, "the prediction of rows with noise")
        yield not_computed(CHANGE, config.flipped, "the change against the champion")
        return
    yield _same(TWICE, stability.repeated, f"the same {stability.rows} rows are predicted twice")
    yield _same(SINGLE, stability.alone, "a row is predicted by itself and among others")
    yield _same(ORDER, stability.reordered, f"the same {stability.rows} rows are predicted in another order")
    noise = f"noise of {config.noise:g} standard deviations on numeric features"
    yield _little(NOISE, stability.noise_flipped, config.flipped_by_noise, noise, stability.decisions)
    limit = config.flipped if stability.decisions else config.moved
    if champion is None:
        yield Check(CHANGE, True, None, limit, "there is no champion yet to differ from")
    else:
        cause = f"to take the place of champion {champion}"
        yield _little(CHANGE, stability.champion_flipped, limit, cause, stability.decisions)


def _same(name: str, difference: float | None, when: str) -> Check:
    passed = difference is not None and difference <= TOLERANCE
    found = "is not a finite number" if difference is None else f"is {difference:.3g}"
    words = "at most" if passed else "and must be at most"
    return Check(name, passed, difference, TOLERANCE, f"where {when} the difference {found}, {words} {TOLERANCE:g}")


def _little(name: str, change: float | None, limit: float, cause: str, decisions: bool) -> Check:
    if change is None:
        return not_computed(name, limit, f"the change of predictions by {cause}")
    passed = change <= limit
    side = "at most" if passed else "above"
    if decisions:
        return Check(name, passed, change, limit, f"{cause} flips {change:.2%} of the decisions, {side} {limit:.2%}")
    reason = f"{cause} changes the predictions by {change:.3g} standard deviations on average, {side} {limit:g}"
    return Check(name, passed, change, limit, reason)


def _with_noise(
    sample: pd.DataFrame, inputs: pd.DataFrame, features: Sequence[Feature], size: float, generator: np.random.Generator
) -> pd.DataFrame:
    noisy = sample.copy()
    for feature in features:
        if feature.kind != "numeric":
            continue
        values = inputs[feature.name].to_numpy()
        finite = values[np.isfinite(values)]
        if len(finite) and (spread := float(np.std(finite))) > 0:
            noisy[feature.name] = sample[feature.name] + generator.normal(0, size * spread, len(sample))
    return noisy


def _greatest(before: Vector, after: Vector) -> float | None:
    if before.shape != after.shape:
        return None
    return _finite(float(np.max(np.abs(before - after) / np.maximum(1.0, np.abs(before)))))


def _change(before: Vector, after: Vector, threshold: float | None) -> float | None:
    if before.shape != after.shape or not (np.isfinite(before).all() and np.isfinite(after).all()):
        return None
    if threshold is not None:
        return float(np.mean((before >= threshold) != (after >= threshold)))
    mean = float(np.mean(np.abs(after - before)))
    spread = float(np.std(before))
    return _finite(mean / spread) if spread > 0 else (0.0 if mean == 0 else None)


def _distance(before: Vector, after: Vector) -> float | None:
    from scipy.stats import wasserstein_distance

    spread = float(np.std(before))
    return _finite(float(wasserstein_distance(before, after)) / spread) if spread > 0 else None


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
