"""Predicts the rows of a request, keeps what was predicted, and puts the answer into words."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

import msgspec
from msgspec import Raw, Struct, structs

from include.serving.followed import Deployment
from include.serving.lookup import FeatureRow
from include.serving.prediction_log import ONLINE, PredictionLog, Source
from include.serving.problems import Problem

if TYPE_CHECKING:
    from include.training.explanation import Explanation

log = logging.getLogger(__name__)

FeaturesFrom = Literal["request", "store", "defaults"]

_encode = msgspec.json.Encoder(decimal_format="number").encode


class Rows(Struct, frozen=True):
    """What a request is predicted from, by row.

    ``values`` are in the order of the model's features, ``features`` the same by name, or in JSON; ``known`` may hold
    more. A row without features of views has {} for its ``view_stamps``.
    """

    values: Sequence[Sequence[Any]]
    features: Sequence[Struct | Mapping[str, Any] | Raw]
    known: Sequence[Struct | Mapping[str, Any]]
    source: FeaturesFrom
    entities: Sequence[Mapping[str, Any] | None]
    stamps: Sequence[datetime | None]
    view_stamps: Sequence[Mapping[str, datetime | None] | Raw]
    as_of: datetime

    def of(self, names: Sequence[str]) -> Rows:
        """The same rows for a model that reads these features."""
        known = [row if isinstance(row, Mapping) else msgspec.to_builtins(row) for row in self.known]
        values = [[row.get(name) for name in names] for row in known]
        return structs.replace(self, values=values, features=[dict(zip(names, row, strict=True)) for row in values])

    @classmethod
    def given(cls, rows: Sequence[Struct], as_of: datetime) -> Rows:
        """Complete rows of the request."""
        nothing: list[None] = [None] * len(rows)
        return cls(
            [structs.astuple(row) for row in rows], rows, rows, "request", nothing, nothing, [{}] * len(rows), as_of
        )

    @classmethod
    def looked_up(
        cls, names: tuple[str, ...], entities: Sequence[Mapping[str, Any]], found: Sequence[FeatureRow], as_of: datetime
    ) -> Rows:
        """The features of entities as the store has them; one that it has not is missing."""
        seen = [row.seen(names) for row in found]
        return cls(
            [each.values for each in seen],
            [each.features for each in seen],
            [row.values for row in found],
            "store",
            entities,
            [row.event_timestamp for row in found],
            [each.view_timestamps if row.view_timestamps else {} for row, each in zip(found, seen, strict=True)],
            as_of,
        )

    @classmethod
    def defaults(cls, row: Mapping[str, Any], entities: Sequence[Mapping[str, Any]], as_of: datetime) -> Rows:
        """The same row for all entities, whose features cannot be looked up."""
        count = len(entities)
        nothing: list[None] = [None] * count
        same = [row] * count
        return cls([[*row.values()]] * count, same, same, "defaults", entities, nothing, [{}] * count, as_of)


class Line(Struct, gc=False):
    """A prediction in the log, without what the log itself adds."""

    source: Source
    request_id: str
    model_version: int
    run_id: str
    engine: str
    client: str | None
    features_from: FeaturesFrom
    entity: Mapping[str, Any] | None
    as_of: datetime
    event_timestamp: datetime | None
    feature_timestamps: Mapping[str, datetime | None] | Raw
    features: Any
    prediction: float
    seconds: float  # since the request began


class Model(Struct, gc=False):
    name: str
    version: int
    run_id: str


class Prediction(Struct, gc=False):
    prediction: float
    decision: bool | None
    entity: Mapping[str, Any] | None
    event_timestamp: datetime | None
    feature_timestamps: Mapping[str, datetime | None] | Raw | None
    features: Any = None
    explanation: Any = None


class Answer(Struct, gc=False):
    """What ``schemas.PredictResponse`` documents."""

    request_id: str
    model: Model
    as_of: datetime
    features_from: FeaturesFrom
    predictions: list[Prediction]


def predict(deployment: Deployment, rows: Sequence[Sequence[Any]]) -> list[float]:
    """The predictions of rows in the order of the model's features; ``Problem`` where it takes them not."""
    try:
        values = deployment.served.predict(rows)
    except ValueError as error:
        raise Problem(422, "Model refused", f"version {deployment.version.version}: {error}") from error
    if not all(map(math.isfinite, values)):
        raise Problem(500, "No prediction", f"version {deployment.version.version} predicts a value that is not finite")
    return values


def lines_of(  # noqa: PLR0917
    request_id: str, deployment: Deployment, rows: Rows, values: Sequence[float], client: str | None, begun: float
) -> list[Line]:
    """The lines of the log, one a row; ``begun``: when the request began, by ``time.perf_counter``."""
    seconds = round(time.perf_counter() - begun, 6)
    version, engine = deployment.version, deployment.served.engine
    seen = zip(rows.entities, rows.stamps, rows.view_stamps, rows.features, values, strict=True)
    return [
        Line(
            ONLINE, request_id, version.version, version.run_id, engine, client, rows.source,
            entity, rows.as_of, stamp, stamps, features, value, seconds,
        )
        for entity, stamp, stamps, features, value in seen
    ]  # fmt: skip


def keep(lines: Sequence[Line], predictions: PredictionLog) -> None:
    """Write the lines to the log. What cannot be kept must not be answered: a ``Problem``."""
    try:
        predictions.append(datetime.now(UTC), lines)
    except OSError as error:
        log.exception("the prediction log cannot be written")
        raise Problem(503, "Not logged", f"the prediction could not be logged and is not answered: {error}") from error


def answer(
    request_id: str,
    deployment: Deployment,
    rows: Rows,
    values: Sequence[float],
    explanations: Sequence[Explanation] | None = None,
) -> bytes:
    """The answer as JSON; with ``explanations``, one a row, it also has what the model saw."""
    version, threshold = deployment.version, deployment.predictor.threshold
    found = [
        Prediction(value, None if threshold is None else value >= threshold, entity, stamp, stamps or None)
        for entity, stamp, stamps, value in zip(rows.entities, rows.stamps, rows.view_stamps, values, strict=True)
    ]
    for each, features, explanation in zip(found, rows.features, explanations or (), strict=False):
        each.features, each.explanation = features, explanation.to_dict()
    model = Model(version.use_case, version.version, version.run_id)
    return _encode(Answer(request_id, model, rows.as_of, rows.source, found))
