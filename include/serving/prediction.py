"""Answers one prediction request."""

from __future__ import annotations

import logging
import math
import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from include.serving.follower import Deployment
from include.serving.lookup import EntitiesNotFound, FeatureRow, Lookup
from include.serving.prediction_log import PredictionLog
from include.serving.problems import Problem
from include.serving.schemas import PredictRequest
from include.serving.validation import check_entities, check_rows

log = logging.getLogger(__name__)


def answer(name: str, deployment: Deployment, body: PredictRequest, predictions: PredictionLog) -> dict[str, Any]:
    """Predict, log, and only then answer."""
    features = deployment.predictor.features
    if body.rows is not None:
        check_rows(body.rows, features)
        found = [FeatureRow(row, None, {}) for row in body.rows]
        entities: Sequence[Mapping[str, Any] | None] = [None] * len(found)
    else:
        entities = body.entities or []
        found = look_up(name, deployment.lookup, body.entities or [], body.as_of)
    seen = [{feature.name: row.values.get(feature.name) for feature in features} for row in found]
    values = _predict(deployment, seen)
    request_id, time = uuid.uuid4().hex, datetime.now(UTC)
    version = deployment.version
    lines = [
        {
            "request_id": request_id,
            "model_version": version.version,
            "run_id": version.run_id,
            "entity": entity,
            "as_of": body.as_of or time,
            "event_timestamp": row.event_timestamp,
            "feature_timestamps": row.view_timestamps,
            "features": used,
            "prediction": value,
        }
        for entity, row, used, value in zip(entities, found, seen, values, strict=True)
    ]
    try:
        predictions.append(time, lines)
    except OSError as error:
        log.exception("%s: the prediction log cannot be written", name)
        raise Problem(503, "Not logged", f"the prediction could not be logged and is not answered: {error}") from error
    threshold = deployment.predictor.threshold
    return {
        "request_id": request_id,
        "model": {"name": name, "version": version.version, "run_id": version.run_id},
        "predictions": [
            {
                "prediction": value,
                "decision": None if threshold is None else value >= threshold,
                "entity": entity,
                "event_timestamp": row.event_timestamp,
                "feature_timestamps": row.view_timestamps or None,
                "features": used if body.explain else None,
            }
            for entity, row, used, value in zip(entities, found, seen, values, strict=True)
        ],
    }


def look_up(
    name: str, lookup: Lookup | None, entities: Sequence[Mapping[str, Any]], as_of: datetime | None
) -> list[FeatureRow]:
    """The entities' features, or the problem that says which is not known."""
    if lookup is None:
        raise Problem(503, "No features", f"the online store of {name} cannot be read; complete rows can be predicted")
    check_entities(entities, lookup.key_types, lookup.request_types, lookup.needed)
    try:
        return lookup.rows(entities, as_of)
    except EntitiesNotFound as error:
        when = f"that counts at {as_of.isoformat()}" if as_of else "that counts now"
        errors = [(f"entities[{at}]", f"{dict(entities[at])} has no row online {when}") for at in error.positions]
        detail = "; ".join(f"{field}: {message}" for field, message in errors[:3])
        raise Problem(404, "Entity not found", detail, errors[:20]) from error
    except Exception as error:
        log.exception("%s: the online store cannot be read", name)
        raise Problem(503, "No features", f"the online store cannot be read: {type(error).__name__}") from error


def _predict(deployment: Deployment, rows: Sequence[Mapping[str, Any]]) -> list[float]:
    try:
        values = deployment.served.predict([list(row.values()) for row in rows])
    except ValueError as error:
        raise Problem(422, "Model refused", f"version {deployment.version.version}: {error}") from error
    if not all(map(math.isfinite, values)):
        raise Problem(500, "No prediction", f"version {deployment.version.version} predicts a value that is not finite")
    return values
