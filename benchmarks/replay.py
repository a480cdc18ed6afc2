"""A year of flights replayed midnight by midnight: what the monitor knew of a model, and what became of decisions.

At every midnight the evidence of the monitor is put together for the model in use. A training learns, as the product's
does, from what had landed before its test stretch, and promises what it reaches there. Its model is in use from that
midnight on, without a gate, since it is the decision to train that is tried. To keep some hundred fits affordable the
estimator learns from every eighth flight, with the steps of ``benchmarks/staleness.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from benchmarks import flights
from benchmarks.drift_false_alarms import tutorial
from benchmarks.staleness import CONFIDENCE, RESAMPLES, STEPS, Year
from include.contract.metrics import METRICS
from include.contract.monitoring import RetrainingConfig
from include.gate.comparison import Comparison, compare_paired
from include.monitoring import drift, policy, quality
from include.monitoring.drift import FeatureDrift
from include.monitoring.policy import Evidence, RetrainingDecision
from include.monitoring.quality import Promise, Quality
from include.monitoring.reference import ReferenceProfile

FIRST = date(2013, 3, 1)  # day 0
END = (date(2014, 1, 1) - FIRST).days
AFTER = 28  # days in which a new model is held against the one that it replaced
SAMPLE = 8  # every so many flights are learned from
PREDICTION = "prediction"

Vector = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Champion:
    """A model, what the gate would have promised of it, and what it learned from."""

    origin: int  # the day at whose midnight it was learned
    model: Any
    promise: Promise
    profile: ReferenceProfile
    learned: pl.DataFrame


@dataclass(frozen=True, eq=False)
class Replay:
    """The flights in the order of time, and what was known at each midnight. Days are counted from ``FIRST``."""

    year: Year
    learned: dict[int, Champion] = field(default_factory=dict)
    predicted: dict[tuple[int, int], Vector] = field(default_factory=dict)  # by champion and week

    @cached_property
    def days(self) -> NDArray[np.int64]:
        return (self.year.days - np.datetime64(FIRST)).astype(np.int64)

    @cached_property
    def known(self) -> NDArray[np.datetime64]:
        return self.year.rows["known"].dt.replace_time_zone(None).to_numpy()

    @property
    def config(self) -> Any:
        return self.year.flights.use_case.config

    def midnight(self, day: int) -> datetime:
        return self.year.flights.midnight(FIRST + timedelta(days=day))

    def known_by(self, day: int) -> NDArray[np.bool_]:
        """Whether each flight had landed at the midnight at which a day begins."""
        return self.known <= np.datetime64(self.midnight(day).replace(tzinfo=None))

    def rows(self, start: int, end: int) -> slice:
        """The flights of the days from ``start`` on, before ``end``."""
        first, last = np.searchsorted(self.days, [start, end])
        return slice(int(first), int(last))

    def labels(self, start: int, end: int) -> Vector:
        return self.year.labels[self.rows(start, end)]

    def learn(self, origin: int) -> Champion:
        if origin not in self.learned:
            self.learned[origin] = self._learn(origin)
        return self.learned[origin]

    def _learn(self, origin: int) -> Champion:
        """As ``.train`` does: the latest stretch is kept for the promise and the reference of the predictions."""
        start = origin - self.config.training.test.days
        learned = np.flatnonzero(self.known_by(start))[::SAMPLE]
        model = self.year.flights.estimator(STEPS).fit(self.year.features.iloc[learned], self.year.labels[learned])
        tested = self.rows(start, origin)
        came = self.known_by(origin)[tested]
        predictions = model.predict_proba(self.year.features.iloc[tested])[came, 1]
        promise = Promise.of(
            METRICS[self.config.monitoring.quality.metric],
            self.year.labels[tested][came],
            predictions,
            self.days[tested][came],
            self.config.training.seed,
        )
        rows = self.year.rows[learned].select(self.year.flights.columns(self.year.rows))
        reference = ReferenceProfile.of(pl.DataFrame({PREDICTION: predictions}), prediction=PREDICTION)
        profile = replace(ReferenceProfile.of(rows), prediction_name=PREDICTION, prediction=reference.prediction)
        return Champion(origin, model, promise, profile, rows)

    def predict(self, champion: Champion, start: int, end: int) -> Vector:
        """Of the flights of the days from ``start`` on, before ``end``."""
        weeks = range(start // 7, (end - 1) // 7 + 1)
        first, wanted = self.rows(weeks[0] * 7, end).start, self.rows(start, end)
        found = np.concatenate([self._week(champion, week) for week in weeks])
        return found[wanted.start - first : wanted.stop - first]

    def _week(self, champion: Champion, week: int) -> Vector:
        key = champion.origin, week
        if key not in self.predicted:
            rows = self.year.features.iloc[self.rows(7 * week, 7 * week + 7)]
            self.predicted[key] = champion.model.predict_proba(rows)[:, 1]
        return self.predicted[key]


@dataclass(frozen=True, eq=False)
class Watch:
    """What the monitor measures of a champion at the midnight of a day (see ``include.monitoring.monitor``)."""

    replay: Replay
    qualities: dict[tuple[int, int], Quality] = field(default_factory=dict)
    predictions: dict[tuple[int, int], FeatureDrift | None] = field(default_factory=dict)
    features: dict[tuple[int, int], tuple[str, ...]] = field(default_factory=dict)

    def evidence(self, champion: Champion, day: int, asked: RetrainingConfig) -> Evidence:
        """Only what the configuration asks for is measured."""
        key, known = (champion.origin, day), self.replay.known_by
        if asked.on_quality_loss and key not in self.qualities:
            self.qualities[key] = self._quality(champion, day)
        if asked.on_prediction_drift and key not in self.predictions:
            self.predictions[key] = self._prediction(champion, day)
        if asked.on_feature_drift and key not in self.features:
            self.features[key] = self._features(champion, day)
        return Evidence(
            use_case=self.replay.config.name,
            partition=str(FIRST + timedelta(days=day - 1)),
            as_of=self.replay.midnight(day),
            champion=str(champion.origin),
            trained_until=self.replay.midnight(champion.origin),
            quality=self.qualities[key] if asked.on_quality_loss else None,
            prediction_drift=self.predictions[key] if asked.on_prediction_drift else None,
            drifted_features=self.features[key] if asked.on_feature_drift else (),
            labelled_since=int(known(day).sum() - known(champion.origin).sum()),
        )

    def current(self, champion: Champion, day: int) -> tuple[int, int]:
        """The days of the window that the champion predicted."""
        return max(day - self.replay.config.monitoring.window.days, champion.origin), day

    def _quality(self, champion: Champion, day: int) -> Quality:
        delay, config = self.replay.config.label.delay.days, self.replay.config
        start, end = max(day - delay - config.monitoring.window.days, champion.origin), day - delay
        made = self.replay.rows(start, max(start, end))
        came = self.replay.known_by(day)[made]
        return quality.measure(
            self.replay.year.labels[made][came],
            self.replay.predict(champion, start, end)[came] if came.size else np.empty(0),
            self.replay.days[made][came],
            predicted=len(came),
            config=config.monitoring.quality,
            task=config.task,
            promise=champion.promise,
            seed=config.training.seed,
        )

    def _prediction(self, champion: Champion, day: int) -> FeatureDrift | None:
        current = pl.DataFrame({PREDICTION: self.replay.predict(champion, *self.current(champion, day))})
        alone = replace(champion.profile, features={})
        return drift.compare(alone, current, self.replay.config.monitoring.drift).prediction

    def _features(self, champion: Champion, day: int) -> tuple[str, ...]:
        current = self.replay.year.rows[self.replay.rows(*self.current(champion, day))]
        alone = replace(champion.profile, prediction=None)
        return drift.compare(alone, current, self.replay.config.monitoring.drift).drifted

    def tutorial(self, champion: Champion, day: int) -> bool:
        """A week after the last training the rule looks, and every day from then on."""
        if self.replay.midnight(day) - self.replay.midnight(champion.origin) < timedelta(weeks=1):
            return False
        current = self.replay.year.rows[self.replay.rows(*self.current(champion, day))]
        return tutorial(champion.learned, current.select(champion.learned.columns))


Asks = Callable[[Champion, int], bool]


def product(watch: Watch, config: RetrainingConfig) -> Asks:
    """The product's decision, with the history of its own."""
    history: list[RetrainingDecision] = []

    def asks(champion: Champion, day: int) -> bool:
        history.append(policy.decide(watch.evidence(champion, day, config), config, history))
        return history[-1].action == "retrain"

    return asks


@dataclass(frozen=True, eq=False)
class Story:
    """The models that a policy brought into use until ``end``, and what they predicted."""

    replay: Replay
    champions: list[Champion]
    predictions: Vector
    end: int

    @property
    def labels(self) -> Vector:
        return self.replay.labels(0, self.end)

    @cached_property
    def weekly(self) -> dict[str, Vector]:
        weeks = self.replay.days[self.replay.rows(0, self.end)] // 7
        parts = [weeks == week for week in range(weeks.max() + 1)]
        return {
            name: np.array([METRICS[name](self.labels[part], self.predictions[part]) for part in parts])
            for name in ("log_loss", "roc_auc")
        }

    @property
    def loss(self) -> float:
        """The mean of the weeks."""
        return float(self.weekly["log_loss"].mean())

    @property
    def trainings(self) -> int:
        return len(self.champions) - 1

    @cached_property
    def gains(self) -> list[Comparison]:
        """Of each new model over the one that it replaced, on the days after it."""
        return [compare(self.replay, new, old, min(new.origin + AFTER, self.end)) for old, new in self.replaced]

    @property
    def replaced(self) -> Iterator[tuple[Champion, Champion]]:
        return pairwise(self.champions)

    @property
    def false_alarms(self) -> int:
        return sum(found.difference <= 0 for found in self.gains)

    @property
    def rows(self) -> int:
        """That were read by all trainings."""
        return sum(champion.learned.height for champion in self.champions[1:])


def compare(replay: Replay, new: Champion, old: Champion, end: int) -> Comparison:
    labels, days = replay.labels(new.origin, end), replay.days[replay.rows(new.origin, end)]
    return paired(labels, replay.predict(new, new.origin, end), replay.predict(old, new.origin, end), days)


def paired(labels: Vector, new: Vector, old: Vector, days: NDArray[np.int64]) -> Comparison:
    """By how much the pooled log-loss is lower."""
    options: dict[str, Any] = {"margin": 0.0, "confidence": CONFIDENCE, "resamples": RESAMPLES, "seed": 0}
    return compare_paired(labels, new, old, days, METRICS["log_loss"], **options)


def follow(replay: Replay, asks: Asks, end: int = END) -> Story:
    """Day after day: decide at midnight, then predict the day."""
    champions, predictions = [replay.learn(0)], []
    for day in range(end):
        if day and asks(champions[-1], day):
            champions.append(replay.learn(day))
        predictions.append(replay.predict(champions[-1], day, day + 1))
    return Story(replay, champions, np.concatenate(predictions), end)


def read() -> Replay:
    source = flights.read()
    rows = flights.known(source, flights.DURING).sort("event_timestamp", maintain_order=True)
    return Replay(Year(source, rows))
