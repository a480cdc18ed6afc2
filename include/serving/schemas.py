"""The requests and answers of the API, as its documentation shows them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StrictBool, model_validator

ROW_LIMIT = 1000

Row = dict[str, Annotated[Any, Field(json_schema_extra={"type": ["number", "string", "boolean", "null"]})]]


class PredictRequest(BaseModel):
    """What to predict: entities, whose features are looked up, or complete rows of features."""

    model_config = ConfigDict(extra="forbid")

    entities: list[Row] | None = Field(
        default=None,
        min_length=1,
        max_length=ROW_LIMIT,
        description="The key of each entity; its features come from the online store.",
    )
    rows: list[Row] | None = Field(
        default=None,
        min_length=1,
        max_length=ROW_LIMIT,
        description="All features of each row, `null` where a value is missing.",
    )
    as_of: AwareDatetime | None = Field(
        default=None,
        description=(
            "With entities: the moment to predict for, e.g. of a replay; now where it is left out. A feature that is "
            "older than its view's time to live at that moment, or newer than the moment, is missing."
        ),
    )
    explain: StrictBool = Field(
        default=False,
        description=(
            "Also answer the features that the model saw and what each of them contributed. Of at most 20 rows."
        ),
    )

    @model_validator(mode="after")
    def _one_of_them(self) -> PredictRequest:
        if (self.entities is None) == (self.rows is None):
            raise ValueError("expected exactly one of entities and rows")
        if self.rows is not None and self.as_of is not None:
            raise ValueError("as_of: complete rows are not looked up")
        return self


class ModelName(BaseModel):
    name: str
    version: int
    run_id: str


class FeatureContribution(BaseModel):
    column: str = Field(description="The feature.")
    value: float | str | bool | None = Field(description="Its value; null where it is missing.")
    effect: float = Field(description="What it did to the prediction, in the prediction's unit.")
    margin: float = Field(description="What it did to the margin, where the model adds up.")


class PredictionExplanation(BaseModel):
    """Shapley values of the features: `base` plus all effects is the prediction, `margin_base` plus all margins is
    `margin`."""

    prediction: float
    base: float = Field(description="The prediction at the mean margin of the rows that the version was tested on.")
    unit: Literal["probability", "value"] = Field(description="Of the prediction, the base and the effects.")
    margin: float = Field(description="What the model adds up: log-odds where `link` is logit.")
    margin_base: float = Field(description="The mean margin of the rows that the version was tested on.")
    link: Literal["identity", "logit", "log", "calibrated"] = Field(description="From the margin to the prediction.")
    method: str
    exact: bool = Field(description="false: an estimate by sampled orders of the features.")
    contributions: list[FeatureContribution] = Field(description="Every feature, the largest effect first.")


class Prediction(BaseModel):
    prediction: float = Field(description="The probability of the positive class, or the value.")
    decision: bool | None = Field(default=None, description="A classification: is the probability at the threshold?")
    entity: dict[str, Any] | None = Field(default=None, description="The key that was asked for.")
    event_timestamp: datetime | None = Field(default=None, description="Since when the entity's row is known.")
    feature_timestamps: dict[str, datetime | None] | None = Field(
        default=None, description="By feature view: the time of the values; null where the view has no row that counts."
    )
    features: dict[str, Any] | None = Field(default=None, description="With `explain`: what the model saw.")
    explanation: PredictionExplanation | None = Field(default=None, description="With `explain`: why.")


class PredictResponse(BaseModel):
    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "request_id": "4506ec2bff474b9ca7c2a0fbc866e04b",
                "model": {"name": "flight_delay", "version": 3, "run_id": "e3a605ca363947bc91afc351565a40c8"},
                "as_of": "2013-05-01T12:00:00Z",
                "features_from": "store",
                "predictions": [
                    {
                        "prediction": 0.162,
                        "decision": False,
                        "entity": {"flight_id": "UA-1545-EWR"},
                        "event_timestamp": "2013-05-01T12:00:00Z",
                        "feature_timestamps": {"flights": "2013-05-01T12:00:00Z", "weather": None},
                        "features": {"distance": 1400.0, "carrier": "UA"},
                        "explanation": {
                            "prediction": 0.162,
                            "base": 0.191,
                            "unit": "probability",
                            "margin": -1.643,
                            "margin_base": -1.443,
                            "link": "logit",
                            "method": "boosted trees",
                            "exact": True,
                            "contributions": [
                                {"column": "carrier", "value": "UA", "effect": -0.044, "margin": -0.3},
                                {"column": "distance", "value": 1400.0, "effect": 0.015, "margin": 0.1},
                            ],
                        },
                    }
                ],
            }
        }
    )

    request_id: str = Field(description="The prediction log knows the answer by it.")
    model: ModelName
    as_of: datetime = Field(description="The moment that was predicted for: the request's, or now.")
    features_from: Literal["request", "store", "defaults"] = Field(
        description="`defaults`: the online store could not be reached, and the use case says what then counts."
    )
    predictions: list[Prediction]


class FeatureDescription(BaseModel):
    name: str
    kind: Literal["numeric", "boolean", "categorical"]


class UseCaseStatus(BaseModel):
    """What is served for a use case, and what stands in the way."""

    use_case: str
    title: str
    alias: str
    ready: bool = Field(description="A model is served, or no version has the alias.")
    current: bool = Field(description="The version that has the alias is the one that is served.")
    wanted_version: int | None = Field(description="The version that has the alias, as last seen.")
    model: ModelName | None = Field(description="The champion, or the version that has another alias.")
    generation: int | None = Field(
        description="What is in production, by its number, where all of it is in force here; null where it is not."
    )
    challenger: int | None = Field(description="The version that is tried beside the champion.")
    mode: Literal["", "canary", "shadow"] = Field(description="How it is tried.")
    weight: float = Field(description="The share of requests that a canary answers.")
    digest: str | None
    data_revision: str | None
    task: str
    engine: Literal["compiled", "scikit-learn"] | None = Field(description="What predicts: the pipeline, or its code.")
    engine_reason: str | None = Field(description="Why this engine.")
    threshold: float | None
    loaded_at: datetime | None
    features: list[FeatureDescription]
    feature_views: list[str]
    entity_key: list[str]
    problems: list[str]


class Ready(BaseModel):
    """What anyone may know. Why a use case is waited for is told by its own status."""

    ready: bool
    waiting_for: list[str] = Field(description="The use cases whose model is not served yet.")
    registry_reachable: bool | None = Field(description="null before the first answer.")


class Entities(BaseModel):
    use_case: str
    entities: list[dict[str, Any]]
    as_of: datetime | None = Field(
        description="Where their features are older than the time to live: the moment to ask for; null is now."
    )


class FieldError(BaseModel):
    field: str
    detail: str


class ProblemDocument(BaseModel):
    """An error as in RFC 9457."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    instance: str
    errors: list[FieldError] = []
