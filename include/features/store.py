"""The Feast feature store: its definitions, its contents offline and online, and what is asked of it."""

from __future__ import annotations

import hashlib
import logging
import os
from datetime import datetime
from typing import TYPE_CHECKING, Any

from include.contract.loading import Folder, load_use_cases
from include.settings import REPOSITORY, get_settings

if TYPE_CHECKING:
    import pandas as pd
    from feast import FeatureService, FeatureStore

log = logging.getLogger(__name__)

FEATURE_REPO = REPOSITORY / "feature_repo"
HASH_TAG = "definition_hash"
EVENT_TIMESTAMP = "event_timestamp"
CREATED_TIMESTAMP = "created_timestamp"


def open_store() -> FeatureStore:
    """The feature store that ``feature_repo/feature_store.yaml`` describes."""
    from feast import FeatureStore

    os.environ["EVERGREEN_FEATURES"] = str(get_settings().features)
    return FeatureStore(repo_path=str(FEATURE_REPO))


def definition_hash(use_case: Folder) -> str:
    """The hash of what defines the features: the code that computes them and their Feast definitions."""
    digest = hashlib.sha256()
    for name in ("features.py", "feature_definitions.py"):
        digest.update((use_case.path / name).read_bytes())
    return digest.hexdigest()


def definitions(use_case: Folder) -> list[Any]:
    """The Feast objects of a use case: entities, feature views, the feature service of its name and perhaps others."""
    from feast import Entity, FeatureService, FeatureView
    from feast.on_demand_feature_view import OnDemandFeatureView

    module = use_case.module("feature_definitions")
    kinds = (Entity, FeatureView, OnDemandFeatureView, FeatureService)
    found = {(type(each).__name__, each.name): each for each in vars(module).values() if isinstance(each, kinds)}
    name = use_case.config.name
    services = {each.name: each for each in found.values() if isinstance(each, FeatureService)}
    strange = [each for each in services if each != name and not each.startswith(f"{name}_")]
    if name not in services or strange:
        raise ValueError(
            f"{use_case.path / 'feature_definitions.py'}: needs the FeatureService {name!r}, which the model reads; "
            f"others are named {name}_...; found {sorted(services)}"
        )
    services[name].tags = {**(services[name].tags or {}), HASH_TAG: definition_hash(use_case)}
    return list(found.values())


def apply() -> None:
    """Make the store know the definitions of all use cases."""
    get_settings().features.mkdir(parents=True, exist_ok=True)
    objects = [each for use_case in load_use_cases().values() for each in definitions(use_case)]
    open_store().apply(objects)


def ensure_applied(use_case: Folder) -> str:
    """Apply the definitions of a use case where the store has others, and return their hash."""
    from feast.errors import FeastObjectNotFoundException

    store, wanted = open_store(), definition_hash(use_case)
    try:
        service = store.get_feature_service(use_case.config.name)
        known = (service.tags or {}).get(HASH_TAG)
    except FeastObjectNotFoundException:
        known = None
    if known != wanted:
        log.info("applying the feature definitions %s of %s", wanted[:12], use_case.config.name)
        store.apply(definitions(use_case))
    return wanted


def materialize(use_case: str, start: datetime, end: datetime) -> None:
    """Bring the newest values of ``[start, end]`` into the online store.

    What is older than a view's time to live at ``end`` would not be served, so it is not written either.
    """
    store = open_store()
    service = {projection.name for projection in store.get_feature_service(use_case).feature_view_projections}
    by_start: dict[datetime, list[str]] = {}
    for view in store.list_batch_feature_views():
        if view.name in service:
            begin = max(start, end - view.ttl) if view.ttl else start
            by_start.setdefault(begin, []).append(view.name)
    for begin, views in sorted(by_start.items()):
        store.materialize(start_date=begin, end_date=end, feature_views=views)
        log.info("materialized %s from %s to %s", ", ".join(views), begin.isoformat(), end.isoformat())


def feature_names(service: FeatureService) -> list[str]:
    """The columns of a feature service, in alphabetical order.

    Feast's registry keeps a view's fields in an order that differs from one `apply` to the next; a training set, and
    a model that draws among its columns, must not.
    """
    return sorted(feature.name for projection in service.feature_view_projections for feature in projection.features)


def historical(store: FeatureStore, use_case: str, entities: pd.DataFrame) -> pd.DataFrame:
    """The point-in-time join: for each row its features as known at its ``event_timestamp``, rows and order kept."""
    joined: pd.DataFrame = store.get_historical_features(
        entity_df=entities, features=store.get_feature_service(use_case)
    ).to_df()
    if len(joined) != len(entities):
        raise RuntimeError(f"{use_case}: the point-in-time join returned {len(joined)} rows for {len(entities)}")
    return joined
