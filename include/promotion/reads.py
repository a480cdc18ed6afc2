"""Does a candidate fit between the feature store and the clients? Its signature, and the skew of what it would read."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from include.contract.loading import Folder
from include.features import catalogue
from include.features.as_of import offline_features
from include.gate.signature import Signature
from include.gate.skew import Skew
from include.monitoring import parity
from include.registry import models
from include.registry.model_input import Feature, Kind
from include.registry.models import ModelVersion, Predictor
from include.serving import prediction_log
from include.serving.online_features import shared_store

COMPARED = 200  # entities whose online features are held against the offline ones
CLIENTS = timedelta(days=30)  # so far back the prediction log is asked who sends complete rows
KINDS: dict[str, Kind] = {
    **dict.fromkeys(("Int32", "Int64", "Float32", "Float64"), "numeric"),
    "Bool": "boolean",
    "String": "categorical",
}


def signature(use_case: Folder, predictor: Predictor, champion: ModelVersion | None) -> Signature:
    """What the candidate needs, what the feature store gives, and what clients send until now."""
    name = use_case.config.name
    before = models.load(champion).features if champion is not None else None
    changed = before is not None and set(before) != set(predictor.features)
    return Signature(
        required=predictor.features,
        given=stored_features(name),
        champion=before,
        row_requests=_row_requests(name) if changed else 0,
    )


def stored_features(use_case: str) -> tuple[Feature, ...]:
    """The members of the feature service with the kind that a model sees of each."""
    applied = catalogue.read(use_case)
    if applied is None:
        raise LookupError(
            f"{catalogue.file(use_case)}: missing; run {use_case}.features, which applies the definitions"
        )
    types = {(view.name, each.name): each.type for view in applied.views for each in view.fields}
    return tuple(
        Feature(name, KINDS[types[view, name]])
        for view, name in sorted(applied.members())
        if types.get((view, name)) in KINDS
    )


def skew(use_case: Folder, predictor: Predictor) -> Skew:
    """Read some entities as serving would, and hold the values against the offline store's for the same moment."""
    lookup = shared_store()(use_case.config)
    known = lookup.known(COMPARED)
    if not known.entities:
        return Skew(0, 0, {}, {}, ())
    moment = known.as_of or datetime.now(UTC)
    needed = [feature.name for feature in predictor.features]
    served = [
        {
            "request_id": "gate",
            "entity": entity,
            "as_of": moment.isoformat(),
            "features": {name: row.values.get(name) for name in needed},
            "feature_timestamps": {
                view: instant.isoformat() if instant else None for view, instant in row.view_timestamps.items()
            },
        }
        for entity, row in zip(known.entities, lookup.rows(known.entities, moment), strict=True)
    ]
    found = parity.compare(served, offline_features(use_case, [(entity, moment) for entity in known.entities]))
    return Skew(
        entities=len(served),
        compared=len(found),
        skewed={each.feature: each.skewed for each in found if each.skewed},
        late={each.feature: each.late for each in found if each.late},
        examples=tuple(
            f"{each.feature} of {each.examples[0].entity}: served {each.examples[0].served}, "
            f"offline {each.examples[0].offline}"
            for each in found
            if each.examples
        )[:3],
    )


def _row_requests(use_case: str) -> int:
    """Requests by complete rows that were answered lately."""
    today = datetime.now(UTC).date()
    lines = prediction_log.online_lines(use_case, today - CLIENTS, today)
    return len({line["request_id"] for line in lines if line["entity"] is None})
