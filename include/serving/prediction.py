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
from include.serving.log_lines import Columns
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

    ``values`` are in the order of the model's features, ``known`` are values by name and may be more. ``logged``: the
    values in JSON, where that is known. ``view_stamps`` is empty where no features come from views.
    """

    values: Sequence[Any]
    known: Struct | Mapping[str, Any]
    logged: Raw | None = None
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
            found.append(structs.replace(row, values=[*map(known.get, names)], logged=None))
        return structs.replace(self, each=found)

    @classmethod
    def given(cls, rows: Sequence[Struct], as_of: datetime) -> Rows:
        """Complete rows of the request."""
        return cls([Row(structs.astuple(row), row) for row in rows], "request", as_of)

    @classmethod
    def looked_up(
        cls, names: tuple[str, ...], entities: Sequence[Mapping[str, Any]], found: Sequence[FeatureRow], as_of: datetime
    ) -> Rows:
        """The features of entities as the store has them; one that it has not is missing."""
        rows = []
        for entity, row in zip(entities, found, strict=True):
            seen = row.seen(names)
            rows.append(Row(seen.values, row.values, seen.logged, entity, row.event_timestamp, seen.view_timestamps))
        return cls(rows, "store", as_of)

    @classmethod
    def defaults(cls, row: Mapping[str, Any], entities: Sequence[Mapping[str, Any]], as_of: datetime) -> Rows:
        """The same row for all entities, whose features cannot be looked up."""
        return cls([Row([*row.values()], row, None, entity) for entity in entities], "defaults", as_of)


class Line(Struct, gc=False):
    """An answer in the log, as ``log_lines`` says, without what the log itself adds."""

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
    features: Raw | Sequence[Raw]
    prediction: float | Sequence[float]
    columns: str


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
            row.entity, row.stamp, row.view_stamps, row.logged or _values(row.values), value, deployment.columns.name,
        )  # fmt: skip
    complete = rows.source == "request"  # then there is nothing else to tell of them
    return Line(
        ONLINE, request_id, model.version, model.run_id, engine, client, rows.source, rows.as_of, seconds,
        None if complete else [row.entity for row in each],
        None if complete else [row.stamp for row in each],
        {} if complete else [row.view_stamps for row in each],
        _values([row.values for row in each]) if complete else [row.logged or _values(row.values) for row in each],
        values,
        deployment.columns.name,
    )  # fmt: skip


def _values(of: Sequence[Any]) -> Raw:
    return Raw(orjson.dumps(of, default=str))  # numbers in two thirds of the time that msgspec takes


def keep(line: Line, columns: Columns, predictions: PredictionLog) -> None:
    """Write the line to the log. What cannot be kept must not be answered: a ``Problem``."""
    try:
        predictions.append(datetime.now(UTC), line, columns)
    except OSError as error:
        log.exception("the prediction log cannot be written")
        raise Problem(503, "Not logged", f"the prediction could not be logged and is not answered: {error}") from error


def answer(
    request_id: str,
    deployment: Deployment,
    rows: Rows,
    values: Sequence[float],
    explained: Sequence[tuple[Mapping[str, Any], Explanation]] | None = None,
) -> bytes:
    """The answer as JSON; with ``explained`` also what the model saw of each row, and the explanation."""
    threshold = deployment.predictor.threshold
    found = [
        Prediction(
            value, None if threshold is None else value >= threshold, row.entity, row.stamp, row.view_stamps or None
        )
        for row, value in zip(rows.each, values, strict=True)
    ]
    for each, (seen, explanation) in zip(found, explained or (), strict=False):
        each.features, each.explanation = seen, explanation.to_dict()
    return _encode(Answer(request_id, deployment.model, rows.as_of, rows.source, found))
