"""Collects what the gate judges a candidate by: everything is measured here, and decided there.

What cannot be computed is absent, with the error as its reason, and fails its check. Only an unreachable registry is
raised: it says nothing about the candidate.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any, TypeVar

import numpy as np
import polars as pl

from include.contract.loading import Folder
from include.contract.metrics import METRICS
from include.features.compute import LABEL
from include.gate import balance, behaviour, limits, slices, stability
from include.gate.comparison import Comparison, compare_paired
from include.gate.documents import Documents
from include.gate.evidence import Evidence
from include.gate.freshness import Freshness
from include.gate.staging import Trial
from include.history import log as history
from include.history.production import withdrawn
from include.ingestion import versions
from include.promotion import reads
from include.promotion.picture import gain_by_day
from include.promotion.rows import test_rows
from include.registry import models
from include.registry.models import ModelVersion, Predictor, RegistryUnavailable
from include.resampling import Vector
from include.settings import get_settings
from include.training.evaluate import PREDICTION
from include.training.reliability import calibration
from include.training.training_set import BLOCK

log = logging.getLogger(__name__)

T = TypeVar("T")


@dataclass
class _Collector:
    """Computes one thing after the other and keeps why one could not be."""

    failures: dict[str, str] = field(default_factory=dict)

    def get(self, what: str, compute: Callable[[], T]) -> T | None:
        try:
            return compute()
        except RegistryUnavailable:
            raise
        except Exception as error:
            log.exception("%s could not be computed", what)
            self.failures[what] = f"{type(error).__name__}: {error}"
            return None


@dataclass(frozen=True)
class Collected:
    """The evidence, and the comparison as a picture where there is one."""

    evidence: Evidence
    picture: bytes | None


@dataclass(frozen=True)
class _Stretch:
    """The candidate's test stretch, with its own predictions and the champion's of the same rows."""

    rows: pl.DataFrame
    labels: Vector
    candidate: Vector
    champion: Vector | None
    blocks: Any

    @classmethod
    def of(cls, rows: pl.DataFrame, champion: Vector | None) -> _Stretch:
        labels, predictions = (rows[name].to_numpy().astype(np.float64) for name in (LABEL, PREDICTION))
        return cls(rows, labels, predictions, champion, rows[BLOCK].to_numpy())


def collect(use_case: Folder, candidate: ModelVersion, champion: ModelVersion | None, trial: Trial | None) -> Collected:
    """The evidence on a candidate, on its test stretch, where the champion predicts the same rows."""
    config = use_case.config
    found = _Collector()
    rows = test_rows(candidate)
    predictor = models.load(candidate)
    theirs = found.get("the champion's predictions", partial(_predict, champion, rows)) if champion else None
    stretch = _Stretch.of(rows, theirs)
    binary, threshold = config.task == "classification", predictor.threshold
    reliability = found.get("calibration", partial(calibration, stretch.labels, stretch.candidate)) if binary else None
    comparison = found.get("the comparison", partial(_compare, use_case, stretch)) if champion else None
    evidence = Evidence(
        candidate=str(candidate.version),
        champion=str(champion.version) if champion else None,
        rows=rows.height,
        blocks=rows[BLOCK].n_unique(),
        positives=int(stretch.labels.sum()) if binary else None,
        metrics=limits.values(config, stretch.labels, stretch.candidate),
        comparison=comparison,
        same_digest=champion is not None and champion.digest == candidate.digest,
        withdrawn=_withdrawn(candidate),
        test_start=_instant(candidate, "test_start"),
        champion_learned_until=_instant(champion, "test_start") if champion else None,
        balance=balance.measure(stretch.labels, stretch.candidate, threshold) if threshold is not None else None,
        calibration=reliability,
        slices=found.get("slices", partial(_slices, use_case, stretch, threshold, champion is not None)),
        stability=found.get("stability", partial(_stability, use_case, stretch, predictor)),
        behaviours=found.get("behaviours", partial(_behaviours, use_case, rows, predictor)),
        trial=trial,
        signature=found.get("signature", lambda: reads.signature(use_case, predictor, champion)),
        skew=found.get("skew", lambda: reads.skew(use_case, predictor)),
        freshness=found.get("freshness", partial(_freshness, use_case, candidate)),
        documents=Documents(get_settings().card(config.name, candidate.version).is_file(), config.owners),
        failures=found.failures,
    )
    picture = None
    if comparison is not None and theirs is not None:
        picture = gain_by_day(comparison, stretch.labels, stretch.candidate, theirs, stretch.blocks)
    return Collected(evidence, picture)


def _predict(version: ModelVersion, rows: pl.DataFrame) -> Vector:
    predictor = models.load(version)
    return predictor.predict(rows.select([feature.name for feature in predictor.features]).to_pandas())


def _compare(use_case: Folder, stretch: _Stretch) -> Comparison | None:
    rule = use_case.config.gate.champion
    if stretch.champion is None:
        return None  # why is kept with the champion's predictions
    return compare_paired(
        stretch.labels,
        stretch.candidate,
        stretch.champion,
        stretch.blocks,
        METRICS[rule.metric],
        rule=rule.rule,
        margin=rule.margin,
        confidence=rule.confidence,
        resamples=rule.resamples,
        seed=use_case.config.training.seed,
    )


def _slices(use_case: Folder, stretch: _Stretch, threshold: float | None, compared: bool) -> slices.Slices | None:
    config = use_case.config
    if compared and stretch.champion is None:
        return None  # why is kept with the champion's predictions
    named = dict.fromkeys([*config.slices, *(rule.column for rule in config.gate.fairness)])
    columns = {column: stretch.rows[column].cast(pl.String).to_list() for column in named}
    return slices.measure(
        config.task,
        METRICS[config.gate.champion.metric],
        stretch.labels,
        stretch.candidate,
        stretch.champion,
        stretch.blocks,
        columns,
        config=config.gate,
        threshold=threshold,
        seed=config.training.seed,
    )


def _stability(use_case: Folder, stretch: _Stretch, predictor: Predictor) -> stability.Stability:
    return stability.measure(
        predictor.predict,
        stretch.rows.select([feature.name for feature in predictor.features]).to_pandas(),
        predictor.features,
        stretch.candidate,
        stretch.champion,
        threshold=predictor.threshold,
        config=use_case.config.gate.stability,
        seed=use_case.config.training.seed,
    )


def _behaviours(use_case: Folder, rows: pl.DataFrame, predictor: Predictor) -> tuple[behaviour.Outcome, ...]:
    return behaviour.examine(
        use_case.behaviours,
        lambda frame: predictor.predict(frame.to_pandas()),
        rows.select([feature.name for feature in predictor.features]),
        seed=use_case.config.training.seed,
    )


def _freshness(use_case: Folder, candidate: ModelVersion) -> Freshness:
    published = versions.keys(use_case.config.name, versions.head())
    learned_until = _instant(candidate, "as_of")
    if learned_until is None or not published:
        raise LookupError("the version does not say until when it learned, or nothing is published")
    return Freshness(learned_until, use_case.config.calendar.partition(published[-1]).cutoff)


def _withdrawn(candidate: ModelVersion) -> tuple[str, ...]:
    """Versions with the candidate's very bytes that a rollback has taken out of production."""
    out = withdrawn(history.read(candidate.use_case))
    return tuple(
        str(number) for number in sorted(out) if models.get(candidate.use_case, number).digest == candidate.digest
    )


def _instant(version: ModelVersion, tag: str) -> datetime | None:
    text = version.tags.get(tag)
    return datetime.fromisoformat(text) if text else None
