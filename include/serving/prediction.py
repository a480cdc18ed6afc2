"""Predicts the rows of a request, keeps what was predicted, and puts the answer into words."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

import msgspec
import orjson
from msgspec import Raw, Struct, structs

from include.serving.followed import Deployment, Model
from include.serving.lookup import FeatureRow
from include.serving.prediction_log import ONLINE, PredictionLog, Source
from include.serving.problems import Problem

if TYPE_CHECKING:
    from include.training.explanation import Explanation

log = logging.getLogger(__name__)

FeaturesFrom = Literal["request", "store", "defaults"]

_encode = msgspec.json.Encoder(decimal_format="number").encode


class Row(Struct, frozen=True, gc=False):
    """What a row is predicted from.

    ``values`` are in the order of the model's features, ``features`` the same by name, or in JSON; ``known`` may hold
    more. ``view_stamps`` is empty where no features come from views.
    """

    values: Sequence[Any]
    features: Struct | Mapping[str, Any] | Raw
    known: Struct | Mapping[str, Any]
    entity: Mapping[str, Any] | None = None
    stamp: datetime | None = None
    view_stamps: Mapping[str, datetime | None] | Raw = {}


class Rows(Struct, frozen=True, gc=False):
    """The rows of a request, where their features are from, and the moment that they are about."""

    each: Sequence[Row]
    source: FeaturesFrom
    as_of: datetime

    def of(self, names: Sequence[str]) -> Rows:
        """The same rows for a model that reads these features."""
        found = []
        for row in self.each:
            known = row.known if isinstance(row.known, Mapping) else msgspec.to_builtins(row.known)
            features = {name: known.get(name) for name in names}
            found.append(structs.replace(row, values=[*features.values()], features=features))
        return structs.replace(self, each=found)

    @classmethod
    def given(cls, rows: Sequence[Struct], as_of: datetime, sent: Raw | None = None) -> Rows:
        """Complete rows of the request; ``sent``: the JSON of the only one."""
        if sent is not None:
            return cls([Row(structs.astuple(rows[0]), sent, rows[0])], "request", as_of)
        return cls([Row(structs.astuple(row), row, row) for row in rows], "request", as_of)

    @classmethod
    def looked_up(
        cls, names: tuple[str, ...], entities: Sequence[Mapping[str, Any]], found: Sequence[FeatureRow], as_of: datetime
    ) -> Rows:
        """The features of entities as the store has them; one that it has not is missing."""
        rows = []
        for entity, row in zip(entities, found, strict=True):
            seen = row.seen(names)
            rows.append(Row(seen.values, seen.features, row.values, entity, row.event_timestamp, seen.view_timestamps))
        return cls(rows, "store", as_of)

    @classmethod
    def defaults(cls, row: Mapping[str, Any], entities: Sequence[Mapping[str, Any]], as_of: datetime) -> Rows:
        """The same row for all entities, whose features cannot be looked up."""
        return cls([Row([*row.values()], row, row, entity) for entity in entities], "defaults", as_of)


class Line(Struct, omit_defaults=True, gc=False):
    """An answer in the log, without what the log itself adds; that of several rows is as ``segments`` says."""

    source: Source
    request_id: str
    model_version: int
    run_id: str
    engine: str
    client: str | None
    features_from: FeaturesFrom
    as_of: datetime
    seconds: float  # since the request began
    entity: Mapping[str, Any] | Sequence[Mapping[str, Any] | None] | None
    event_timestamp: datetime | Sequence[datetime | None] | None
    feature_timestamps: Mapping[str, datetime | None] | Raw | Sequence[Mapping[str, datetime | None] | Raw]
    features: Any
    prediction: float | Sequence[float]
    columns: Raw | None = None


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


def line_of(  # noqa: PLR0917
    request_id: str, deployment: Deployment, rows: Rows, values: Sequence[float], client: str | None, begun: float
) -> Line:
    """The line of the log; ``begun``: when the request began, by ``time.perf_counter``."""
    seconds = round(time.perf_counter() - begun, 6)
    model, engine, each = deployment.model, deployment.served.engine, rows.each
    if len(each) == 1:
        row, value = each[0], values[0]
        return Line(
            ONLINE, request_id, model.version, model.run_id, engine, client, rows.source, rows.as_of, seconds,
            row.entity, row.stamp, row.view_stamps, row.features, value,
        )  # fmt: skip
    complete = rows.source == "request"  # then there is nothing else to tell of them
    return Line(
        ONLINE, request_id, model.version, model.run_id, engine, client, rows.source, rows.as_of, seconds,
        None if complete else [row.entity for row in each],
        None if complete else [row.stamp for row in each],
        {} if complete else [row.view_stamps for row in each],
        Raw(orjson.dumps([row.values for row in each])) if complete else [row.values for row in each],
        values,
        deployment.columns,
    )  # fmt: skip


def keep(line: Line, predictions: PredictionLog) -> None:
    """Write the line to the log. What cannot be kept must not be answered: a ``Problem``."""
    try:
        predictions.append(datetime.now(UTC), line)
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
    threshold = deployment.predictor.threshold
    found = [
        Prediction(
            value, None if threshold is None else value >= threshold, row.entity, row.stamp, row.view_stamps or None
        )
        for row, value in zip(rows.each, values, strict=True)
    ]
    for each, row, explanation in zip(found, rows.each, explanations or (), strict=False):
        each.features, each.explanation = row.features, explanation.to_dict()
    return _encode(Answer(request_id, deployment.model, rows.as_of, rows.source, found))
