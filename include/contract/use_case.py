"""The schema of ``use_case.yaml``: everything that is configured about a use case, with its defaults."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from itertools import pairwise
from typing import Annotated, Literal
from zoneinfo import available_timezones

from pydantic import Field, field_validator, model_validator

from include.alerts import Severity
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
    alpha: float = Field(default=0.003, gt=0, lt=1, description="False discovery rate over the features.")
    effect: float = Field(default=0.08, gt=0, description="Smallest distance that matters (W1/sd, or TVD).")
    prediction_effect: float = Field(default=0.1, gt=0, description="The same for the predicted values.")
    label_effect: float = Field(default=0.1, gt=0, description="The same for the labels that have come.")
    outliers: float = Field(default=0.01, gt=0, le=1, description="Smallest rise of their share that matters.")
    separation: float = Field(
        default=0.6,
        gt=0.5,
        le=1,
        description="Smallest AUC that matters, of current rows told from the reference's.",
    )


class QualityConfig(Strict):
    metric: str = Field(description="The metric whose loss counts.")
    tolerance: float = Field(gt=0, description="By how much it may be worse than promised at the gate.")
    confidence: float = Field(default=0.9, gt=0.5, lt=1)
    minimum_rows: int = Field(default=500, ge=1)


class ConceptConfig(Strict):
    """The sequential test for a changed meaning of the inputs."""

    false_alarms: Duration = Field(
        default=timedelta(days=730), description="Mean time between two false alarms, where days are independent."
    )
    minimum_rows: int = Field(default=50, ge=1, description="Labelled rows a day that a slice must have.")

    @field_validator("false_alarms")
    @classmethod
    def _long_enough(cls, value: timedelta) -> timedelta:
        if value < timedelta(days=30):
            raise ValueError(f"false_alarms: {value} is too short to be told from noise; at least 30d")
        return value


class ValueConfig(Strict):
    """What an outcome gains, in any one unit; a cost is negative."""

    unit: str = Field(default="", description="What the values count, e.g. EUR.")
    true_positive: float = 0.0
    false_positive: float = 0.0
    true_negative: float = 0.0
    false_negative: float = 0.0
    absolute_error: float = Field(default=0.0, ge=0, description="Regression: cost of each unit that it is off by.")

    @model_validator(mode="after")
    def _says_something(self) -> ValueConfig:
        outcomes = (self.true_positive, self.false_positive, self.true_negative, self.false_negative)
        if not any(outcomes) and not self.absolute_error:
            raise ValueError("nothing gains or costs anything; name an outcome, or leave monitoring.value out")
        if any(outcomes) and self.absolute_error:
            raise ValueError("absolute_error: is for a regression, the outcomes are for a classification")
        return self


class MonitoringConfig(Strict):
    window: Duration = Field(default=timedelta(days=7), description="What is looked at together, up to the partition.")
    drift: DriftConfig = DriftConfig()
    quality: QualityConfig
    concept: ConceptConfig = ConceptConfig()
    value: ValueConfig | None = Field(default=None, description="Empty: no value is counted.")
    parity_sample: int = Field(
        default=1000, ge=1, description="Online predictions a run whose features are held against the offline store's."
    )
    incident: float = Field(
        default=0.05, gt=0, le=1, description="Share of quarantined rows from which on the data is in doubt."
    )


BUDGET_PERIOD = timedelta(days=30)  # in which retraining.budget counts


class RetrainingConfig(Strict):
    """When the monitor asks for a new model. A person may ask at any time, by a run of .train."""

    on_quality_loss: bool = True
    on_prediction_drift: bool = True
    on_feature_drift: bool = Field(default=False, description="On seasonal data it is found nearly always.")
    on_new_rows: int | None = Field(
        default=None, ge=1, description="So many labelled rows after the champion's training ask for one; empty: never."
    )
    every: Duration | None = Field(
        default=None, description="So long after the newest training, on the clock of the data; empty: never."
    )
    persistence: int = Field(
        default=2, ge=1, description="Partitions in a row in which a loss or a drift must be found."
    )
    cooldown: Duration = Field(default=timedelta(days=14), description="Least time after a training or a request.")
    budget: int = Field(default=4, ge=0, description="Requests in any 30 days.")
    minimum_coverage: float = Field(default=0.5, ge=0, le=1, description="Share of labels that must have come.")

    @model_validator(mode="after")
    def _every_is_affordable(self) -> RetrainingConfig:
        if self.every is None:
            return self
        if not self.every:
            raise ValueError("every: must be longer than nothing; leave it out to ask by other causes only")
        if self.every < self.cooldown:
            raise ValueError(f"every: {self.every} is shorter than the cooldown of {self.cooldown}; shorten that, too")
        asked = -(-BUDGET_PERIOD // self.every)
        if asked > self.budget:
            raise ValueError(
                f"every: {self.every} means up to {asked} requests in {BUDGET_PERIOD.days} days, and budget is "
                f"{self.budget}; raise budget or every"
            )
        return self


class AlertChannel(Strict):
    """Somebody who is told of alerts. ``connection`` names a connection of Airflow, which holds address and secret."""

    via: Literal["email", "slack", "webhook"]
    connection: str = Field(default="", description="Empty: smtp_default, slack_default, http_default.")
    to: tuple[str, ...] = Field(default=(), description="Addresses of an email.")
    least: Severity = Field(default="warning", description="Nothing less severe is sent.")

    @property
    def name(self) -> str:
        """What it is known by: a channel that is changed is another one."""
        told = "\n".join((self.via, self.connection, *self.to, self.least))
        return f"{self.via}-{hashlib.sha256(told.encode()).hexdigest()[:12]}"

    @model_validator(mode="after")
    def _addressed(self) -> AlertChannel:
        if (self.via == "email") != bool(self.to):
            raise ValueError("to: an email needs at least one address, the others have theirs in the connection")
        return self


class AlertsConfig(Strict):
    """Who is told of alerts. They are kept and shown on the Models page in any case."""

    notify: tuple[AlertChannel, ...] = ()
    monitor_within: Duration = Field(
        default=timedelta(hours=2), description="So long predictions may wait for the monitor without an alert."
    )


class ApprovalConfig(Strict):
    required: bool = False
    deadline: Duration = timedelta(days=1)


Step = Literal["shadow"] | Annotated[float, Field(gt=0, lt=1)]


class PromotionConfig(Strict):
    """How an approved candidate meets the requests before it becomes champion."""

    steps: tuple[Step, ...] = Field(
        default=(),
        description="shadow: it predicts every request unseen; a number: it answers that share; empty: neither.",
    )
    period: Duration = Field(default=timedelta(hours=1), description="So long each step lasts at least.")
    minimum_requests: int = Field(
        default=100, ge=1, description="Requests that the candidate must have predicted in each."
    )
    latency: float = Field(
        default=2.0, gt=0, description="Largest ratio of its 95th percentile of seconds to the champion's (canary)."
    )
    flipped: float = Field(
        default=0.4, gt=0, le=1, description="Largest share of decisions that may differ from the champion's."
    )
    difference: float = Field(
        default=1.0, gt=0, description="Largest distance of the predictions from the champion's (W1/sd)."
    )
    tolerance: float = Field(
        default=0.0, ge=0, lt=1, description="By how much its loss, in [0, 1], may be above the champion's."
    )
    alpha: float = Field(
        default=0.05, gt=0, lt=0.5, description="Probability to call it worse over all steps, where it is not."
    )

    @field_validator("steps", mode="before")
    @classmethod
    def _each_is_a_step(cls, value: object) -> object:
        for step in value if isinstance(value, list | tuple) else ():
            share = isinstance(step, int | float) and not isinstance(step, bool) and 0 < step < 1
            if step != "shadow" and not share:
                raise ValueError(f"{step!r} is no step; expected shadow, or a share above 0 and below 1")
        return value

    @model_validator(mode="after")
    def _ordered(self) -> PromotionConfig:
        shares = [step for step in self.steps if step != "shadow"]
        if "shadow" in self.steps[1:]:
            raise ValueError("steps: shadow can only be the first, since it answers nobody")
        if any(not former < latter for former, latter in pairwise(shares)):
            raise ValueError(f"steps: {', '.join(map(str, shares))} do not grow; each must be above the one before")
        return self


class PredictionLogConfig(Strict):
    """What is kept of online predictions."""

    sample: float = Field(default=1.0, gt=0, le=1, description="The share of requests that is logged.")
    hash: tuple[str, ...] = Field(default=(), description="Features that are logged as a keyed hash.")
    leave_out: tuple[str, ...] = Field(default=(), description="Features that are not logged.")
    keep: Duration | None = Field(
        default=None, ge=timedelta(days=1), description="How long online predictions are kept; empty: for ever."
    )

    @model_validator(mode="after")
    def _once(self) -> PredictionLogConfig:
        if both := sorted({*self.hash} & {*self.leave_out}):
            raise ValueError(f"leave_out: {', '.join(both)} is hashed too; name it in one of hash and leave_out")
        return self


class ServingConfig(Strict):
    threshold: float | None = Field(default=None, description="Classification: the probability that means yes.")
    on_missing_store: Literal["refuse", "defaults"] = Field(
        default="refuse",
        description="While the online store cannot be reached: refuse entities, or predict them from the defaults.",
    )
    defaults: dict[str, Scalar] = Field(
        default_factory=dict, description="By feature, what it then is; one that is not named is missing."
    )
    log: PredictionLogConfig = PredictionLogConfig()

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
