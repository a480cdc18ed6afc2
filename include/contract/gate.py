"""The schema of ``gate`` in ``use_case.yaml``: the limits a candidate is held to, each with its default.

Every check is on. A limit can be set to what a use case needs; no check can be taken out.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Literal

from pydantic import Field, model_validator

from include.contract.schema import Duration, Strict


class Limit(Strict):
    """A bound on one metric."""

    min: float | None = None
    max: float | None = None

    @model_validator(mode="after")
    def _bounded(self) -> Limit:
        if self.min is None and self.max is None:
            raise ValueError("a limit needs min or max")
        return self


class ChampionConfig(Strict):
    """The paired comparison with the champion, over days."""

    metric: str = Field(description="The loss or score on which the two are compared.")
    rule: Literal["superiority", "non-inferiority"] = Field(
        default="superiority",
        description="Must the challenger be better by more than the margin, or not worse by more than the margin?",
    )
    margin: float = Field(default=0.0, ge=0, description="In units of the metric.")
    confidence: float = Field(default=0.9, gt=0.5, lt=1)
    resamples: int = Field(default=2000, ge=200)


class BalanceConfig(Strict):
    """Classification: precision and recall of the decisions at ``serving.threshold``."""

    ratio: float = Field(default=0.2, ge=0, le=1, description="Least ratio of the smaller of the two to the greater.")
    lift: float = Field(default=1.0, ge=0, description="Least ratio of the precision to the share of positives.")


class CalibrationConfig(Strict):
    """Classification: do the probabilities hold?"""

    error: float = Field(default=0.15, gt=0, le=1, description="Greatest expected calibration error.")
    slope: tuple[float, float] = Field(default=(0.4, 2.5), description="Least and greatest slope; 1 is perfect.")


class SlicesConfig(Strict):
    """Groups of rows, by the values of each column of ``slices``."""

    minimum_rows: int = Field(default=200, ge=1, description="A group with fewer rows is not judged.")
    ratio: float = Field(
        default=2.0, ge=1, description="How many times the error of all rows the worst group's may be."
    )
    tolerance: float = Field(
        default=0.05, ge=0, description="By how much (of the champion's error) a group may be worse than before."
    )
    confidence: float = Field(default=0.95, gt=0.5, lt=1, description="Over all groups together (Bonferroni).")


class FairnessConfig(Strict):
    """The greatest difference between any two groups of a column."""

    column: str
    measure: Literal[
        "selection_rate", "true_positive_rate", "false_positive_rate", "precision", "calibration", "error", "bias"
    ]
    difference: float = Field(gt=0, description="Greatest difference between two groups with enough rows.")


class StabilityConfig(Strict):
    """Does the model answer the same to the same, nearly the same to nearly the same, and not all else than before?"""

    noise: float = Field(default=0.01, gt=0, description="Noise put on numeric features, in standard deviations.")
    flipped_by_noise: float = Field(
        default=0.05, ge=0, le=1, description="Greatest share of decisions it may flip; regression: mean change in sd."
    )
    flipped: float = Field(
        default=0.4, ge=0, le=1, description="Classification: greatest share of decisions unlike the champion's."
    )
    moved: float = Field(
        default=2.0,
        gt=0,
        description="Regression: greatest mean change from the champion's predictions, in their sd; seasons move it.",
    )


class CostConfig(Strict):
    """What an answer of the real serving process may cost."""

    single_p50: float = Field(default=100.0, gt=0, description="Milliseconds for one row, median.")
    single_p99: float = Field(default=500.0, gt=0, description="Milliseconds for one row, 99th percentile.")
    batch_p99: float = Field(default=5000.0, gt=0, description="Milliseconds for a full batch of rows.")
    memory: float = Field(default=1024.0, gt=0, description="MiB that the serving process holds.")
    file: float = Field(default=512.0, gt=0, description="MiB of the model's files.")


class GateConfig(Strict):
    limits: dict[str, Limit] = Field(
        min_length=1, description="Absolute limits on the test stretch, by metric or by a scorer of scikit-learn."
    )
    champion: ChampionConfig
    minimum_rows: int = Field(default=200, ge=1)
    minimum_blocks: int = Field(default=7, ge=2, description="Days (partitions) the test stretch must hold.")
    balance: BalanceConfig = BalanceConfig()
    calibration: CalibrationConfig = CalibrationConfig()
    slices: SlicesConfig = SlicesConfig()
    fairness: tuple[FairnessConfig, ...] = ()
    stability: StabilityConfig = StabilityConfig()
    cost: CostConfig = CostConfig()
    maximum_age: Duration = Field(
        default=timedelta(days=30), description="Oldest data the candidate may have learned from, before the newest."
    )
