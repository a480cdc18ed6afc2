"""Turns Feast's objects, as defined or as registered, into a catalogue."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from include.features.catalogue import Catalogue, Entity, Field, Kind, Service, View

HASH_TAG = "definition_hash"
USE_CASE_TAG = "use_case"


def category(obj: Any) -> str:
    """Under which of Feast's kinds the registry keeps an object: it is known by this and its name."""
    from feast import Entity as FeastEntity
    from feast import FeatureService, FeatureView
    from feast.data_source import DataSource
    from feast.on_demand_feature_view import OnDemandFeatureView
    from feast.stream_feature_view import StreamFeatureView

    kinds = {
        FeastEntity: "entity",
        StreamFeatureView: "stream view",  # before FeatureView, of which it is one
        FeatureView: "view",
        OnDemandFeatureView: "on-demand view",
        FeatureService: "service",
        DataSource: "source",
    }
    return next((name for kind, name in kinds.items() if isinstance(obj, kind)), "")


def is_view(obj: Any) -> bool:
    return category(obj).endswith("view")


def sources(view: Any) -> list[Any]:
    """The data sources that are registered with a view."""
    if category(view) == "on-demand view":
        return list(view.source_request_sources.values())
    found = [view.stream_source, view.batch_source, getattr(view.stream_source, "batch_source", None)]
    return list({source.name: source for source in found if source is not None}.values())


def entity_names(view: Any) -> list[str]:
    """The entities of a view, without the one that Feast puts in place of none."""
    from feast.feature_view import DUMMY_ENTITY_NAME

    return [str(name) for name in view.entities if name != DUMMY_ENTITY_NAME]


def describe(use_case: str, objects: Iterable[Any]) -> Catalogue:
    """The catalogue of these entities, views and services; others are left out.

    The definition hash is that of which the service of the use case's name carries the tag.
    """
    found = list(objects)
    service = next((each for each in found if (category(each), each.name) == ("service", use_case)), None)
    entities = tuple(_entity(each) for each in found if category(each) == "entity")
    join_keys = {entity.name: entity.join_key for entity in entities}
    return Catalogue(
        use_case=use_case,
        definition_hash=(service.tags or {}).get(HASH_TAG, "") if service is not None else "",
        entities=entities,
        views=tuple(_view(each, join_keys) for each in found if is_view(each)),
        services=tuple(_service(each) for each in found if category(each) == "service"),
    )


def _entity(entity: Any) -> Entity:
    return Entity(
        entity.name,
        entity.join_key,
        entity.value_type.name,
        entity.owner or "",
        entity.description or "",
        dict(entity.tags or {}),
    )


def _view(view: Any, join_keys: Mapping[str, str]) -> View:
    ttl = getattr(view, "ttl", None)
    names = entity_names(view)
    return View(
        name=view.name,
        kind=_kind(view),
        entities=tuple(names),
        join_keys=tuple(join_keys.get(name, name) for name in names),
        ttl_seconds=ttl.total_seconds() if ttl else None,
        source=_source(view),
        owner=view.owner or "",
        description=view.description or "",
        tags=dict(view.tags or {}),
        fields=tuple(
            Field(field.name, str(field.dtype), field.description, dict(field.tags or {})) for field in view.features
        ),
    )


def _kind(view: Any) -> Kind:
    from feast import PushSource

    if category(view) == "on-demand view":
        return "on demand"
    if view.stream_source is None:
        return "batch"
    return "push" if isinstance(view.stream_source, PushSource) else "stream"


def _source(view: Any) -> str:
    if category(view) == "on-demand view":
        views = [projection.name for projection in view.source_feature_view_projections.values()]
        return ", ".join(sorted([*views, *(source.name for source in sources(view))]))
    source = view.stream_source or view.batch_source
    return str(getattr(source, "path", "") or source.name) if source is not None else ""


def _service(service: Any) -> Service:
    members = [(each.name, feature.name) for each in service.feature_view_projections for feature in each.features]
    tags = {key: value for key, value in (service.tags or {}).items() if key != HASH_TAG}
    return Service(service.name, service.owner or "", service.description or "", tags, tuple(members))
