"""The catalogue: what the feature store knows of each use case, as a record that is read without Feast.

It is written when definitions are applied, to ``<features>/catalogue/<use case>.json``.
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from include.files import read_json, write_json
from include.records import Record
from include.settings import get_settings

Kind = Literal["batch", "push", "stream", "on demand"]


class DefinitionError(ValueError):
    """Feature definitions that are refused; the message names the file, the object and the cure."""


@dataclass(frozen=True)
class Entity:
    """What features belong to; ``type`` is the value type of its join key."""

    name: str
    join_key: str
    type: str
    owner: str
    description: str
    tags: dict[str, str]


@dataclass(frozen=True)
class Field:
    """One feature; ``type`` is Feast's: ``Float64``, ``String``, ``Array(Int64)``."""

    name: str
    type: str
    description: str
    tags: dict[str, str]


@dataclass(frozen=True)
class View:
    """A feature view; ``source`` is the path, the push source's name, or what an on-demand view is computed from."""

    name: str
    kind: Kind
    entities: tuple[str, ...]
    join_keys: tuple[str, ...]
    ttl_seconds: float | None
    source: str
    owner: str
    description: str
    tags: dict[str, str]
    fields: tuple[Field, ...]


@dataclass(frozen=True)
class Service:
    """A feature service; its members are ``(view, feature)``."""

    name: str
    owner: str
    description: str
    tags: dict[str, str]
    members: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Catalogue(Record):
    """The definitions of one use case. ``applied_at`` is empty where they are not applied."""

    use_case: str
    definition_hash: str
    entities: tuple[Entity, ...]
    views: tuple[View, ...]
    services: tuple[Service, ...]
    applied_at: str = ""

    def view(self, name: str) -> View | None:
        return next((view for view in self.views if view.name == name), None)

    def members(self) -> frozenset[tuple[str, str]]:
        """``(view, feature)`` of the service of the use case's name, which the model reads."""
        return frozenset(
            member for service in self.services if service.name == self.use_case for member in service.members
        )


def file(use_case: str) -> Path:
    return get_settings().features / "catalogue" / f"{use_case}.json"


def read(use_case: str) -> Catalogue | None:
    """The catalogue as last applied; None before the first time."""
    path = file(use_case)
    return Catalogue.from_dict(read_json(path)) if path.is_file() else None


def write(catalogue: Catalogue) -> None:
    write_json(file(catalogue.use_case), catalogue.to_dict())


@contextmanager
def changing() -> Iterator[None]:
    """One process at a time changes the definitions, or which of their features are in use; the next waits."""
    folder = get_settings().features
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "definitions.lock").open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield


def remembered(registered: Catalogue, written: Catalogue | None) -> Catalogue:
    """The registry's side with what Feast does not read back: descriptions and tags of an on-demand view's fields."""
    known = {
        (view.name, field.name): field
        for view in (written.views if written is not None else ())
        for field in view.fields
    }

    def told(view: str, field: Field) -> Field:
        same = known.get((view, field.name), field)
        return replace(field, description=same.description, tags=same.tags)

    return replace(
        registered,
        views=tuple(
            replace(view, fields=tuple(told(view.name, field) for field in view.fields))
            if view.kind == "on demand"
            else view
            for view in registered.views
        ),
    )


def incomplete(catalogue: Catalogue) -> tuple[str, ...]:
    """What a reader of the catalogue would miss, each with its cure; empty where nothing is."""
    return (
        *(problem for entity in catalogue.entities for problem in _entity_problems(entity)),
        *(problem for view in catalogue.views for problem in _view_problems(view)),
    )


def _entity_problems(entity: Entity) -> Iterator[str]:
    yield from _missing(entity, f"entity {entity.name!r}", "owner", "description", "tags")
    if entity.type == "UNKNOWN":
        yield f"entity {entity.name!r}: has no value_type; give it one: value_type=ValueType.STRING"


def _view_problems(view: View) -> Iterator[str]:
    yield from _missing(view, f"view {view.name!r}", "owner", "description", "tags")
    if not view.fields:
        yield f"view {view.name!r}: declares no field; list its features: schema=[Field(...), ...]"
    for field in view.fields:
        yield from _missing(field, f"view {view.name!r}, field {field.name!r}", "description", "tags")


CURES = {
    "owner": 'owner="team@example.org"',
    "description": 'description="What it is, with its unit."',
    "tags": 'tags={"kind": "history"}',
}


def _missing(found: Entity | View | Field, where: str, *keys: str) -> Iterator[str]:
    for key in keys:
        if not getattr(found, key):
            yield f"{where}: has no {key}; give it one: {CURES[key]}"
