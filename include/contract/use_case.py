"""The schema of ``use_case.yaml``: everything that is configured about a use case, with its defaults."""

from __future__ import annotations

from datetime import timedelta
from functools import cache
from typing import Annotated, Literal
from zoneinfo import available_timezones

from pydantic import Field, field_validator, model_validator

from include.contract.alerts import AlertsConfig
from include.contract.engine import EngineConfig
from include.contract.gate import GateConfig
from include.contract.monitoring import MonitoringConfig, RetrainingConfig
from include.contract.partitions import Cadence, Calendar
from include.contract.schema import Duration, Strict
from include.contract.serving import ApprovalConfig, PromotionConfig, ServingConfig
from include.contract.training import TrainingConfig

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


@cache
def _zones() -> set[str]:
    """All zones, for which the disk is searched once and not for each use case."""
    return available_timezones()


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
    engine: EngineConfig = EngineConfig()
    training: TrainingConfig = TrainingConfig()
    gate: GateConfig
    monitoring: MonitoringConfig
    retraining: RetrainingConfig = RetrainingConfig()
    alerts: AlertsConfig = AlertsConfig()
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
        if value not in _zones():
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
        hidden = {"hash": self.serving.log.hash, "leave_out": self.serving.log.leave_out}
        for key, columns in hidden.items():
            if keys := sorted({*columns} & {*self.entity.key}):
                raise ValueError(
                    f"serving.log.{key}: {', '.join(keys)} is the entity's key, by which the monitor finds the "
                    "features that a prediction should have had; give the entity a key that names nobody"
                )
        if self.serving.log.keep is not None and self.serving.log.keep < self.monitoring.window:
            raise ValueError(
                f"serving.log.keep: {self.serving.log.keep} is shorter than monitoring.window, whose predictions are "
                f"looked at together; keep at least {self.monitoring.window}"
            )
        if (worth := self.monitoring.value) and (self.task == "regression") != bool(worth.absolute_error):
            expected = "absolute_error" if self.task == "regression" else "true_positive and the like"
            raise ValueError(f"monitoring.value: a {self.task} is valued by {expected}")
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
