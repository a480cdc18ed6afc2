"""The Feast feature store: its definitions, its contents offline and online, and what is asked of it."""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from include.contract.loading import Folder, load_use_cases
from include.features import catalogue, in_use, ownership, repository
from include.features.catalogue import Catalogue, DefinitionError
from include.features.describe import HASH_TAG, USE_CASE_TAG, category, describe, is_view
from include.features.inference import compare_without_descriptions, leave_out_descriptions
from include.features.plan import Plan, compare
from include.settings import get_settings

if TYPE_CHECKING:
    import pandas as pd
    from feast import FeatureService, FeatureStore, FeatureView

log = logging.getLogger(__name__)

EVENT_TIMESTAMP = "event_timestamp"
CREATED_TIMESTAMP = "created_timestamp"


def open_store() -> FeatureStore:
    """The feature store that ``feature_repo`` describes, with the stores that the settings name."""
    from feast import FeatureStore

    os.environ |= repository.variables(get_settings())
    return FeatureStore(repo_path=str(repository.FEATURE_REPO))


def definition_hash(use_case: Folder) -> str:
    """The hash of what defines the features: the code that computes them and their Feast definitions."""
    digest = hashlib.sha256()
    others = {"source.py", "expectations.py", "model.py"}  # what remains is what features.py may import
    for file in sorted(file for file in use_case.path.glob("*.py") if file.name not in others):
        digest.update(file.name.encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()


def definitions(use_case: Folder) -> list[Any]:
    """The Feast objects of a use case: entities, feature views, the feature service of its name and perhaps others.

    Each is tagged with the use case. ``DefinitionError`` where the catalogue would be incomplete.
    """
    module = use_case.module("feature_definitions")
    objects = [each for each in vars(module).values() if category(each) not in ("", "source")]
    found = list({(category(each), each.name): each for each in objects}.values())
    name, file = use_case.config.name, use_case.path / "feature_definitions.py"
    services = {each.name: each for each in found if category(each) == "service"}
    strange = [each for each in services if each != name and not each.startswith(f"{name}_")]
    if name not in services or strange:
        raise DefinitionError(
            f"{file}: needs the FeatureService {name!r}, which the model reads; "
            f"others are named {name}_...; found {sorted(services)}"
        )
    if problems := catalogue.incomplete(describe(name, found)):
        raise DefinitionError("\n".join(f"{file}: {problem}" for problem in problems))
    for each in ownership.with_sources(found):
        each.tags = {**(each.tags or {}), USE_CASE_TAG: name}
        if category(each) == "on-demand view":
            compare_without_descriptions(each)
    on_demand = {each.name for each in found if category(each) == "on-demand view"}
    for service in services.values():
        leave_out_descriptions(service, on_demand)
    services[name].tags = {**services[name].tags, HASH_TAG: definition_hash(use_case)}
    return found


def plans() -> list[Plan]:
    """What ``apply`` would do: a plan for each use case, and for each whose folder is gone. Nothing is written."""
    return _settle(load_use_cases().values()).plans


def apply() -> None:
    """Make the store know the definitions of all use cases, and no others of theirs.

    ``DefinitionError`` where that would take a feature from a model in production.
    """
    _apply(load_use_cases().values())


def ensure_applied(use_case: Folder) -> str:
    """Apply the definitions of a use case where the store has others, and return their hash. Errors as ``apply``."""
    _apply([use_case])
    return definition_hash(use_case)


@dataclass(frozen=True)
class _Settled:
    """What is to be done for some use cases; ``objects`` are all that they own, ``gone`` what they defined before."""

    plans: list[Plan]
    objects: list[Any]
    gone: list[Any]
    catalogues: list[Catalogue]


def _settle(use_cases: Iterable[Folder]) -> _Settled:
    there = load_use_cases()
    defined = {use_case.config.name: definitions(use_case) for use_case in use_cases}
    # Where nothing was ever applied there is no folder, and a plan makes none.
    known = ownership.registered(open_store()) if repository.has_registry(get_settings()) else []
    claimed = ownership.claims(defined, known, there)
    ownership.require_own_names(defined, claimed)
    after = {name: describe(name, objects) for name, objects in defined.items()}
    others = (catalogue.read(name) for name in there if name not in defined)
    ownership.require_same_entities([*after.values(), *(each for each in others if each is not None)])
    gone = ownership.no_longer_defined(defined, known)
    plans = []
    for name, objects in defined.items():
        registered = describe(name, ownership.before(name, objects, known, claimed, gone))
        before = catalogue.remembered(registered, catalogue.read(name))
        changes = compare(before, after[name])
        plans.append(Plan(name, changes, in_use.refusals(in_use.read(name), after[name]) if changes else ()))
    plans += [Plan(name, orphaned=tuple(left)) for name, left in ownership.without_use_case(known, there).items()]
    own = [each for name, objects in defined.items() for each in objects if claimed[ownership.name_of(each)] == name]
    return _Settled(plans, own, gone, list(after.values()))


def _apply(use_cases: Iterable[Folder]) -> None:
    with catalogue.changing():
        settled = _settle(use_cases)
        changed = [plan for plan in settled.plans if plan.changes]
        for line in (line for plan in settled.plans if plan.changes or plan.orphaned for line in plan.lines()):
            log.info("feature definitions: %s", line)
        if refused := [reason for plan in changed for reason in plan.refusals]:
            raise DefinitionError("\n".join(refused))
        # Written last: where it is behind, a process ended before the registry or the online store had everything.
        behind = [after for after in settled.catalogues if _differs(catalogue.read(after.use_case), after)]
        if changed or behind:
            _change_registry(settled.objects, settled.gone)
        now = datetime.now(UTC).isoformat(timespec="seconds")
        for after in behind:
            catalogue.write(replace(after, applied_at=now))


def _differs(written: Catalogue | None, after: Catalogue) -> bool:
    return written is None or bool(compare(written, after))


def _change_registry(objects: list[Any], gone: list[Any]) -> None:
    """Removes last, so that no service names a view that is not there; but first a view that becomes another kind."""
    store = open_store()
    views = {each.name for each in objects if is_view(each)}
    replaced = {each.name: each for each in gone if is_view(each) and each.name in views}
    if replaced:
        store.apply([], objects_to_delete=list(replaced.values()), partial=False)
    removed = [each for each in gone if not (is_view(each) and each.name in replaced)]
    store.apply(objects, objects_to_delete=removed, partial=False)


def batch_views(feature_store: FeatureStore, use_case: Folder) -> list[FeatureView]:
    """The use case's views that are computed by partition and served online, as the registry has them."""
    from feast import FeatureView

    own = {each.name for each in definitions(use_case) if isinstance(each, FeatureView)}
    registered = [*feature_store.list_batch_feature_views(), *feature_store.list_stream_feature_views()]
    return [view for view in registered if view.name in own and view.online]


def feature_names(service: FeatureService) -> list[str]:
    """The columns of a feature service, in alphabetical order.

    Feast's registry keeps a view's fields in an order that differs from one `apply` to the next; a training set, and
    a model that draws among its columns, must not.
    """
    return sorted(feature.name for projection in service.feature_view_projections for feature in projection.features)


def request_columns(feature_store: FeatureStore, use_case: str) -> list[str]:
    """What a request brings for the on-demand features; in history these are columns of the entity's view."""
    from include.features.on_demand import OnDemand

    return sorted(OnDemand.of(feature_store, feature_store.get_feature_service(use_case)).request_fields)


def historical(store: FeatureStore, use_case: str, entities: pd.DataFrame) -> pd.DataFrame:
    """The point-in-time join: for each row its features as known at its ``event_timestamp``, rows and order kept."""
    joined: pd.DataFrame = store.get_historical_features(
        entity_df=entities, features=store.get_feature_service(use_case)
    ).to_df()
    if len(joined) != len(entities):
        raise RuntimeError(f"{use_case}: the point-in-time join returned {len(joined)} rows for {len(entities)}")
    return joined
