"""Whose each object of the shared registry is: its tag ``use_case`` says so, and only its owner removes it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from include.features.catalogue import Catalogue, DefinitionError, Entity
from include.features.describe import USE_CASE_TAG, category, entity_names, is_view, sources

if TYPE_CHECKING:
    from feast import FeatureStore

Key = tuple[str, str]
Objects = Sequence[Any]


def registered(store: FeatureStore) -> list[Any]:
    """Every entity, view, service and data source in the registry; views without the code they hold."""
    from feast.feature_view import DUMMY_ENTITY_NAME

    views = store.registry.list_all_feature_views(store.project, skip_udf=True)
    found = [*store.list_entities(), *views, *store.list_feature_services(), *store.list_data_sources()]
    return [each for each in found if each.name != DUMMY_ENTITY_NAME]


def owner(obj: Any) -> str:
    """The use case that an object belongs to; empty where it carries no tag."""
    return str((obj.tags or {}).get(USE_CASE_TAG, ""))


def with_sources(objects: Iterable[Any]) -> list[Any]:
    """The objects and the data sources of their views."""
    found = list(objects)
    return [*found, *(source for each in found if is_view(each) for source in sources(each))]


def claims(defined: Mapping[str, Objects], known: Objects, use_cases: Collection[str]) -> dict[Key, str]:
    """Which use case owns each name.

    ``defined`` holds the definitions that are to be applied, by use case; the first that defines a name owns it. For
    the other ``use_cases`` the registry tells. Whose folder is gone owns nothing.
    """
    found = {name_of(each): owner(each) for each in known if owner(each) in {*use_cases} - {*defined}}
    for use_case, objects in defined.items():
        for each in with_sources(objects):
            found.setdefault(name_of(each), use_case)
    return found


def require_own_names(defined: Mapping[str, Objects], claimed: Mapping[Key, str]) -> None:
    """``DefinitionError`` where two use cases define the same view, service or data source."""
    for use_case, objects in defined.items():
        for each in with_sources(objects):
            claimant = claimed[name_of(each)]
            if claimant != use_case and category(each) != "entity":
                raise DefinitionError(
                    f"feature_definitions.py of {use_case}: {' '.join(name_of(each))!r} is also that of {claimant}, "
                    "and the registry has one of each name: rename one of them; where the other has given it up, "
                    "`make up` applies all use cases together"
                )


def require_same_entities(catalogues: Iterable[Catalogue]) -> None:
    """``DefinitionError`` where use cases that share an entity disagree on its join key or its type."""
    first: dict[str, tuple[str, Entity]] = {}
    for catalogue in catalogues:
        for mine in catalogue.entities:
            other, theirs = first.setdefault(mine.name, (catalogue.use_case, mine))
            if (mine.join_key, mine.type) != (theirs.join_key, theirs.type):
                raise DefinitionError(
                    f"feature_definitions.py of {catalogue.use_case}: entity {mine.name!r} has join key and type "
                    f"{mine.join_key} {mine.type}, that of {other} has {theirs.join_key} {theirs.type}: make them "
                    "equal, or rename one of them; `make up` applies all use cases together"
                )


def before(use_case: str, objects: Objects, known: Objects, claimed: Mapping[Key, str], gone: Objects) -> list[Any]:
    """The registry's side of a use case's plan.

    An entity that another use case owns stands for itself: it is not this one's to change.
    """
    names = {_key(each) for each in objects}
    leaving = {_key(each) for each in gone if owner(each) == use_case}
    own = [
        each for each in known if _key(each) in leaving or (_key(each) in names and claimed[name_of(each)] == use_case)
    ]
    return [*own, *(each for each in objects if claimed[name_of(each)] != use_case)]


def no_longer_defined(defined: Mapping[str, Objects], known: Objects) -> list[Any]:
    """What the registry holds of these use cases, and they do not define any more.

    Entities and data sources stay as long as a view of any use case has them.
    """
    wanted = with_sources(each for objects in defined.values() for each in objects)
    keys = {_key(each) for each in wanted}
    gone = [each for each in known if owner(each) in defined and _key(each) not in keys]
    going = {_key(each) for each in gone}
    staying = [each for each in [*known, *wanted] if is_view(each) and _key(each) not in going]
    used = {("entity", name) for view in staying for name in entity_names(view)}
    used |= {("source", source.name) for view in staying for source in sources(view)}
    return [each for each in gone if _key(each) not in used]


def without_use_case(known: Objects, use_cases: Collection[str]) -> dict[str, list[str]]:
    """The views and services in the registry of use cases that are not there any more."""
    found: dict[str, list[str]] = {}
    for each in known:
        if owner(each) and owner(each) not in use_cases and (is_view(each) or category(each) == "service"):
            found.setdefault(owner(each), []).append(f"{category(each)} {each.name}")
    return found


def _key(obj: Any) -> Key:
    return category(obj), obj.name


def name_of(obj: Any) -> Key:
    """What must be unique: views of all kinds share their names."""
    return "view" if is_view(obj) else category(obj), obj.name
