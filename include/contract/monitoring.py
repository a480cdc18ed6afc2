"""What is watched, and when a new model is asked for, in ``use_case.yaml``."""

from __future__ import annotations

from datetime import timedelta

from pydantic import Field, field_validator, model_validator

from include.contract.schema import Duration, Strict

BUDGET_PERIOD = timedelta(days=30)  # in which retraining.budget counts
SHORTEST_SEASON = timedelta(weeks=13)  # of a shorter one the weeks around a window would be a good part


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
    season: Duration | None = Field(
        default=timedelta(weeks=52),
        description="In which the data comes round again; what moved is held against that time, too. Empty: never.",
    )
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
    evidently: bool = Field(
        default=False, description="A report of Evidently of the same rows; needs requirements-evidently.txt."
    )

    @field_validator("season")
    @classmethod
    def _whole_weeks(cls, value: timedelta | None) -> timedelta | None:
        if value is not None and (value % timedelta(weeks=1) or value < SHORTEST_SEASON):
            least = SHORTEST_SEASON.days // 7
            raise ValueError(f"season: {value} must be whole weeks, at least {least}w; a year is 52w")
        return value


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
