"""What applying the definitions would change: a comparison of two catalogues."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from include.features.catalogue import Catalogue, Entity, Field, Service, View

Sign = Literal["+", "~", "-"]
ENTITY_KEYS = ("join_key", "type", "owner", "description", "tags")
VIEW_KEYS = ("kind", "entities", "join_keys", "ttl_seconds", "source", "owner", "description", "tags")
FIELD_KEYS = ("type", "description", "tags")
SERVICE_KEYS = ("owner", "description", "tags")


@dataclass(frozen=True)
class Change:
    """One thing that is created (+), changed (~) or removed (-), and what of it."""

    sign: Sign
    what: str
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.sign} {self.what}" + (f": {self.detail}" if self.detail else "")


@dataclass(frozen=True)
class Plan:
    """The changes of one use case, why they are refused, and what stays though no use case defines it any more."""

    use_case: str
    changes: tuple[Change, ...] = ()
    refusals: tuple[str, ...] = ()
    orphaned: tuple[str, ...] = ()

    def lines(self) -> list[str]:
        if self.orphaned:
            return [
                f"{self.use_case}: its folder is gone; these stay in the registry: {', '.join(self.orphaned)}",
            ]
        if not self.changes:
            return [f"{self.use_case}: nothing to change"]
        return [
            f"{self.use_case}:",
            *(f"  {change}" for change in self.changes),
            *(f"  refused: {reason}" for reason in self.refusals),
        ]


Changed = Callable[[str, Any, Any], Iterator[Change]]


def compare(before: Catalogue, after: Catalogue) -> tuple[Change, ...]:
    """The way from one catalogue to the other; the order of fields and members means nothing."""
    changes = [
        *_compare("entity ", before.entities, after.entities, _entity),
        *_compare("view ", before.views, after.views, _view),
        *_compare("service ", before.services, after.services, _service),
    ]
    if before.definition_hash != after.definition_hash:
        hashes = f"{before.definition_hash[:12] or 'none'} -> {after.definition_hash[:12]}"
        changes.append(Change("~", "definition hash", hashes))
    return tuple(changes)


def _compare(kind: str, before: Iterable[Any], after: Iterable[Any], changed: Changed) -> Iterator[Change]:
    old, new = _by_name(before), _by_name(after)
    for name in sorted({*old, *new}):
        what = f"{kind}{name}"
        if name not in old:
            yield Change("+", what, _summary(new[name]))
        elif name not in new:
            yield Change("-", what, _summary(old[name]))
        else:
            yield from changed(what, old[name], new[name])


def _entity(what: str, old: Entity, new: Entity) -> Iterator[Change]:
    yield from _attributes(what, old, new, ENTITY_KEYS)


def _view(what: str, old: View, new: View) -> Iterator[Change]:
    yield from _attributes(what, old, new, VIEW_KEYS)
    yield from _compare(f"field {new.name}:", old.fields, new.fields, _field)


def _field(what: str, old: Field, new: Field) -> Iterator[Change]:
    yield from _attributes(what, old, new, FIELD_KEYS)


def _service(what: str, old: Service, new: Service) -> Iterator[Change]:
    yield from _attributes(what, old, new, SERVICE_KEYS)
    for view, feature in sorted({*new.members} - {*old.members}):
        yield Change("+", what, f"{view}:{feature}")
    for view, feature in sorted({*old.members} - {*new.members}):
        yield Change("-", what, f"{view}:{feature}")


def _attributes(what: str, old: Any, new: Any, keys: Iterable[str]) -> Iterator[Change]:
    for key in keys:
        was, will_be = _unordered(getattr(old, key)), _unordered(getattr(new, key))
        if was != will_be:
            yield Change("~", what, f"{key} {_text(was)} -> {_text(will_be)}")


def _summary(found: Entity | View | Field | Service) -> str:
    if isinstance(found, View):
        by = f" by {', '.join(found.entities)}" if found.entities else ""
        return f"{found.kind}{by}, with {', '.join(sorted(field.name for field in found.fields))}"
    if isinstance(found, Service):
        return f"{len(found.members)} features"
    return found.type


def _unordered(value: Any) -> Any:
    return tuple(sorted(value)) if isinstance(value, tuple) else value


def _text(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {each}" for key, each in sorted(value.items())) + "}"
    if isinstance(value, tuple):
        return f"({', '.join(value)})"
    return repr(value) if isinstance(value, str) else str(value)


def _by_name(found: Iterable[Any]) -> dict[str, Any]:
    return {each.name: each for each in found}
