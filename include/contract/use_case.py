"""The schema of ``use_case.yaml``: everything that is configured about a use case, with its defaults."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal
from zoneinfo import available_timezones

from pydantic import Field, field_validator, model_validator

from include.contract.gate import GateConfig
from include.contract.partitions import Cadence, Calendar
from include.contract.schema import Duration, Strict

Task = Literal["classification", "regression"]

ChangeKind = Literal[
    "new table", "gone table", "new column", "gone column", "renamed column", "retyped column", "new category",
    "unit change",
]  # fmt: skip
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=60)]


class EntityConfig(Strict):
    """What a prediction is about."""

    view: Name = Field(description="The feature view whose rows are what is predicted.")
    key: tuple[str, ...] = Field(min_length=1, description="Its join keys.")
    join_keys: dict[str, str] = Field(
        default_factory=dict, description="Join keys of other views: the column of the entity view that holds each."
    )


class LabelConfig(Strict):
    """What is predicted, and how long after the prediction time it is known."""

    name: str
    delay: Duration = Field(description="After this time nearly all labels are known.")


class IngestionConfig(Strict):
    """How long a delivery may take, and how it is held against the recent past."""

    ask_every: Duration = Field(default=timedelta(minutes=30), description="Pause between two looks for a delivery.")
    late_after: Duration = Field(
        default=timedelta(hours=6), description="From then on after the partition's end an alert says that it is late."
    )
    give_up_after: Duration = Field(default=timedelta(days=2), description="So long a run waits before it fails.")
    lookback: int = Field(default=28, ge=1, description="Partitions of the past that a delivery is held against.")
    quarantine_limit: float = Field(
        default=0.1, gt=0, le=1, description="Where more than this share of rows fails a check, the batch is refused."
    )
    largest_value: int = Field(default=1_000_000, ge=1, description="Bytes that one value may have.")
    changes: dict[ChangeKind, Literal["batch", "warn"]] = Field(
        default_factory=dict,
        description="What a change of the source means, where it is not the default: batch refuses the partition.",
    )

    def severity(self, change: ChangeKind) -> Literal["batch", "warn"]:
        """Where columns are gone or mean something else, features would be wrong; what is new harms nobody."""
        harmless = ("new table", "new column", "new category")
        return self.changes.get(change, "warn" if change in harmless else "batch")


Scalar = float | int | str | bool | None


class Range(Strict):
    """Numbers to choose from, both ends included; whole ones where both ends are."""

    low: float | int
    high: float | int
    log: bool = Field(default=False, description="Equally likely on a logarithmic scale.")
    step: float | int | None = None

    @model_validator(mode="after")
    def _ordered(self) -> Range:
        if not self.low < self.high:
            raise ValueError(f"low: {self.low:g} is not below high: {self.high:g}")
        if self.log and (self.low <= 0 or self.step is not None):
            raise ValueError("log: needs low above 0, and no step")
        return self


class Choices(Strict):
    """Values to choose from."""

    choices: tuple[Scalar, ...] = Field(min_length=1)


class SearchConfig(Strict):
    """The search for hyperparameters, on rolling-origin folds of the training stretch."""

    space: dict[str, Range | Choices] = Field(min_length=1, description="By parameter of model.py's build().")
    trials: int = Field(default=30, ge=1)
    timeout: Duration = Field(default=timedelta(minutes=30), description="No trial is begun after it.")
    folds: int = Field(default=3, ge=2)
    pruning: bool = Field(default=True, description="Give up a trial that is worse than the median after a fold.")


class TrainingConfig(Strict):
    schedule: str | None = Field(default=None, description="Cron; empty: only on request.")
    window: Duration | None = Field(default=None, description="Length of history to learn from; empty: all of it.")
    test: Duration = Field(default=timedelta(days=14), description="The latest stretch, kept for the gate.")
    minimum_rows: int = Field(default=1000, ge=10, description="Labelled rows needed on the training side.")
    params: dict[str, Scalar] = Field(default_factory=dict)
    search: SearchConfig | None = Field(default=None, description="Empty: the parameters are those of params.")
    calibration: Literal["none", "sigmoid", "isotonic"] = Field(
        default="none", description="Classification: map scores to probabilities, learned on rolling-origin folds."
    )
    seed: int = 20130101


class DriftConfig(Strict):
    alpha: float = Field(default=0.01, gt=0, lt=1, description="False discovery rate over the features.")
    effect: float = Field(default=0.08, gt=0, description="Smallest distance that matters (W1/sd, or TVD).")
    prediction_effect: float = Field(default=0.1, gt=0, description="The same for the predicted values.")


class QualityConfig(Strict):
    metric: str = Field(description="The metric whose loss counts.")
    tolerance: float = Field(gt=0, description="By how much it may be worse than promised at the gate.")
    confidence: float = Field(default=0.9, gt=0.5, lt=1)
    minimum_rows: int = Field(default=500, ge=1)


class MonitoringConfig(Strict):
    window: Duration = Field(default=timedelta(days=7), description="What is looked at together, up to the partition.")
    drift: DriftConfig = DriftConfig()
    quality: QualityConfig
    parity_sample: int = Field(
        default=1000, ge=1, description="Online predictions a run whose features are held against the offline store's."
    )
    incident: float = Field(
        default=0.05, gt=0, le=1, description="Share of quarantined rows from which on the data is in doubt."
    )


class RetrainingConfig(Strict):
    """When the monitor asks for a new model."""

    on_quality_loss: bool = True
    on_prediction_drift: bool = True
    cooldown: Duration = Field(default=timedelta(days=7), description="Least time between two requests.")
    minimum_coverage: float = Field(default=0.5, ge=0, le=1, description="Share of labels that must have come.")


class ApprovalConfig(Strict):
    required: bool = False
    deadline: Duration = timedelta(days=1)


class PromotionConfig(Strict):
    """How an approved candidate meets the requests before it becomes champion."""

    rollout: Literal["none", "shadow", "canary"] = Field(
        default="none",
        description="shadow: it predicts every request unseen; canary: it answers a share of them; none: neither.",
    )
    weight: float = Field(default=0.1, gt=0, lt=1, description="The share of requests that a canary answers.")
    period: Duration = Field(default=timedelta(hours=1), description="So long the rollout lasts.")
    minimum_requests: int = Field(
        default=100, ge=1, description="Requests that the candidate must have predicted in it."
    )
    flipped: float = Field(
        default=0.4, gt=0, le=1, description="Largest share of decisions that may differ from the champion's."
    )
    difference: float = Field(
        default=1.0, gt=0, description="Largest distance of the predictions from the champion's (W1/sd)."
    )


class ServingConfig(Strict):
    threshold: float | None = Field(default=None, description="Classification: the probability that means yes.")
    on_missing_store: Literal["refuse", "defaults"] = Field(
        default="refuse",
        description="While the online store cannot be reached: refuse entities, or predict them from the defaults.",
    )
    defaults: dict[str, Scalar] = Field(
        default_factory=dict, description="By feature, what it then is; one that is not named is missing."
    )

    @model_validator(mode="after")
    def _defaults_are_used(self) -> ServingConfig:
        if self.defaults and self.on_missing_store != "defaults":
            raise ValueError("defaults: nothing uses them while on_missing_store is refuse; write defaults there")
        return self


class UseCase(Strict):
    """One use case, as its ``use_case.yaml`` says it."""

    name: Name
    title: str
    description: str
    owners: tuple[str, ...] = Field(min_length=1)
    tags: tuple[str, ...] = ()
    task: Task
    cadence: Cadence = "daily"
    timezone: str = "UTC"
    history: int = Field(
        default=1, ge=1, description="Partitions that the features of one look back on, itself included."
    )
    entity: EntityConfig
    label: LabelConfig
    slices: tuple[str, ...] = ()
    ingestion: IngestionConfig = IngestionConfig()
    training: TrainingConfig = TrainingConfig()
    gate: GateConfig
    monitoring: MonitoringConfig
    retraining: RetrainingConfig = RetrainingConfig()
    approval: ApprovalConfig = ApprovalConfig()
    promotion: PromotionConfig = PromotionConfig()
    serving: ServingConfig = ServingConfig()

    @property
    def calendar(self) -> Calendar:
        return Calendar(self.cadence, self.timezone)

    @property
    def join_keys(self) -> dict[str, str]:
        """Every join key of the feature service: the column of the entity view that holds it."""
        return {key: key for key in self.entity.key} | self.entity.join_keys

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        if value not in available_timezones():
            raise ValueError(f"{value!r} is no IANA time zone; expected e.g. UTC or America/New_York")
        return value

    @model_validator(mode="after")
    def _consistent(self) -> UseCase:
        from include.contract.metrics import METRICS, why_no_limit

        if self.cadence == "hourly" and self.timezone != "UTC":
            raise ValueError("cadence: hourly partitions are counted in UTC, since a local hour can occur twice")
        if self.task == "regression" and self.training.calibration != "none":
            raise ValueError("training.calibration: only a classification has probabilities to calibrate")
        if (self.task == "classification") != (self.serving.threshold is not None):
            raise ValueError("serving.threshold: a classification needs it, a regression has none")
        named = {
            "gate.champion.metric": self.gate.champion.metric,
            "monitoring.quality.metric": self.monitoring.quality.metric,
        }
        for key, metric in named.items():
            known = sorted(name for name, known in METRICS.items() if known.task == self.task)
            if metric not in known:
                raise ValueError(f"{key}: {metric!r} is no metric of a {self.task}; expected one of {', '.join(known)}")
        for name, limit in self.gate.limits.items():
            if why := why_no_limit(name, self.task):
                raise ValueError(f"gate.limits.{name}: {why}")
            if name.startswith("neg_") and limit.max is not None and limit.max >= 0:
                raise ValueError(
                    f"gate.limits.{name}.max: {limit.max:g} limits nothing, since {name} is never above 0; "
                    f"an error of at most {limit.max:g} is min: {-limit.max:g}"
                )
        return self
