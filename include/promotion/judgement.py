"""Collects the evidence on a candidate and has the gate judge it."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from include.contract.loading import Folder
from include.contract.metrics import METRICS, evaluate
from include.features.compute import LABEL
from include.gate.check import Verdict
from include.gate.comparison import Comparison, compare_paired
from include.gate.decision import Evidence, judge
from include.promotion import decisions
from include.registry import models
from include.registry.runs import logged_file
from include.training.evaluate import PREDICTION
from include.training.recording import TEST_FILE
from include.training.training_set import BLOCK

if TYPE_CHECKING:
    from include.registry.models import ModelVersion

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Judgement:
    """A verdict and which versions it is about."""

    verdict: Verdict
    candidate: int
    champion: int | None

    def table(self) -> str:
        """The checks as a Markdown table, for the person who approves."""
        rows = [
            f"| {check.name} | {'passed' if check.passed else 'failed'} | {check.reason} |"
            for check in self.verdict.checks
        ]
        return "\n".join(["| check | verdict | reason |", "| --- | --- | --- |", *rows])


def examine(use_case: Folder, version: int, origin: str) -> Judgement:
    """Judge a version against the limits and the champion, and log the verdict with its numbers."""
    name = use_case.config.name
    candidate = models.get(name, version)
    champion = models.by_alias(name, models.CHAMPION)
    verdict = judge(collect(use_case, candidate, champion), use_case.config.gate)
    for check in verdict.checks:
        log.info("%s %s: %s", "passed" if check.passed else "FAILED", check.name, check.reason)
    decisions.append(
        decisions.Decision(
            use_case=name,
            kind="gate",
            origin=origin,
            outcome="approved" if verdict.approved else "refused",
            version=version,
            previous=champion.version if champion else None,
            reasons=verdict.reasons,
            details=verdict.to_dict(),
        )
    )
    return Judgement(verdict, version, champion.version if champion else None)


def collect(use_case: Folder, candidate: ModelVersion, champion: ModelVersion | None) -> Evidence:
    """The evidence on the candidate's test stretch, where the champion predicts the same rows."""
    config = use_case.config
    test = test_rows(candidate)
    labels, predictions = test[LABEL].to_numpy(), test[PREDICTION].to_numpy()
    return Evidence(
        candidate=str(candidate.version),
        champion=str(champion.version) if champion else None,
        metrics=evaluate(config.task, labels, predictions),
        rows=test.height,
        blocks=test[BLOCK].n_unique(),
        comparison=_compare(use_case, test, champion) if champion else None,
        positives=int(labels.sum()) if config.task == "classification" else None,
        same_digest=champion is not None and champion.digest == candidate.digest,
    )


def test_rows(version: ModelVersion) -> pl.DataFrame:
    """The rows of the version's test stretch with features, label and its predictions, as logged at training."""
    return pl.read_parquet(logged_file(version, TEST_FILE))


def _compare(use_case: Folder, test: pl.DataFrame, champion: ModelVersion) -> Comparison:
    rule = use_case.config.gate.champion
    predictor = models.load(champion)
    theirs = predictor.predict(test.select([feature.name for feature in predictor.features]).to_pandas())
    return compare_paired(
        test[LABEL].to_numpy(),
        test[PREDICTION].to_numpy(),
        theirs,
        test[BLOCK].to_numpy(),
        metric=METRICS[rule.metric],
        margin=rule.margin,
        confidence=rule.confidence,
        resamples=rule.resamples,
        seed=use_case.config.training.seed,
    )
