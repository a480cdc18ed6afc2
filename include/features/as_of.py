"""What the offline store says of entities at given moments: their features, and how old these are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import polars as pl

from include.contract.loading import Folder
from include.features import store
from include.features.compute import INSTANT
from include.features.store import CREATED_TIMESTAMP, EVENT_TIMESTAMP

if TYPE_CHECKING:
    from feast import FeatureStore, FeatureView

    from include.features.on_demand import OnDemand


@dataclass(frozen=True)
class OfflineFeatures:
    """Features of entities, a value for each; and by view the event time of the row they are from, None without one.

    ``views_of`` names the stored views that a feature comes from: its own, or those that an on-demand view reads.
    """

    values: dict[str, list[Any]]
    timestamps: dict[str, list[datetime | None]]
    views_of: dict[str, tuple[str, ...]]


def offline_features(use_case: Folder, moments: Sequence[tuple[Mapping[str, Any], datetime]]) -> OfflineFeatures:
    """The features of each entity as known at its moment. An entity has its key, and perhaps values of its request."""
    from include.features.on_demand import OnDemand

    feature_store = store.open_store()
    service = feature_store.get_feature_service(use_case.config.name)
    on_demand = OnDemand.of(feature_store, service)
    stored = {view.name: view for view in store.batch_views(feature_store, use_case)}
    rows = pl.DataFrame([dict(entity) for entity, _ in moments], infer_schema_length=None).with_columns(
        pl.Series(EVENT_TIMESTAMP, [moment for _, moment in moments], dtype=INSTANT)
    )
    entities = _with_entity_columns(use_case, feature_store, stored[use_case.config.entity.view], on_demand, rows)
    names = store.feature_names(service)
    joined = pl.from_pandas(store.historical(feature_store, use_case.config.name, entities.to_pandas())[names])
    asked = service.feature_view_projections
    views_of: dict[str, tuple[str, ...]] = {
        feature.name: (view.name,) for view in asked for feature in view.features if view.name in stored
    }
    views_of |= {feature.name: on_demand.inputs for view in on_demand.views for feature in view.features}
    return OfflineFeatures(
        values={name: joined[name].to_list() for name in names},
        timestamps={
            name: _known(feature_store, stored[name], entities, {"at": EVENT_TIMESTAMP})["at"].to_list()
            for name in {view for views in views_of.values() for view in views}
        },
        views_of=views_of,
    )


def _with_entity_columns(
    use_case: Folder, feature_store: FeatureStore, view: FeatureView, on_demand: OnDemand, rows: pl.DataFrame
) -> pl.DataFrame:
    """Add what the entity's own row says: the keys of other views, and request values that the request left out."""
    config = use_case.config
    columns = {key: column for key, column in config.join_keys.items() if key not in config.entity.key}
    own = {feature.name for feature in view.features}
    request = {name: name for name in on_demand.request_fields if name in own}
    found = _known(feature_store, view, rows, columns | request)
    given = [pl.coalesce(rows[name], found[name]).alias(name) for name in request if name in rows.columns]
    absent = [found[name] for name in request if name not in rows.columns]
    return rows.with_columns(*(found[key] for key in columns), *given, *absent)


def _known(
    feature_store: FeatureStore, view: FeatureView, rows: pl.DataFrame, values: Mapping[str, str]
) -> pl.DataFrame:
    """Columns of a view's rows as known at the moments of ``rows``."""
    from include.features.offline.parquet_source import scan
    from include.features.offline.point_in_time import AsOf, values_as_of

    name = f"feature view {view.name}"
    rule = AsOf(
        name=name,
        keys=tuple((key, key) for key in view.join_keys),
        entity_time=EVENT_TIMESTAMP,
        event_time=EVENT_TIMESTAMP,
        created_time=CREATED_TIMESTAMP,
        ttl=view.ttl or None,
    )
    return values_as_of(rows, scan(view.batch_source, feature_store.repo_path, name), rule, values)
