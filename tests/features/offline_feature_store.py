"""A real Feast FeatureStore over our offline store: file registry, SQLite online store, Parquet files."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
from feast import Entity, FeatureStore, FeatureView, Field, FileSource, RepoConfig, ValueType
from feast.types import Int64, PrimitiveFeastType, String

BIG = 2**53 + 1
DAY = timedelta(days=1)
CARRIER = Entity(name="carrier", join_keys=["carrier"], value_type=ValueType.STRING)
TAIL = Entity(name="tail", join_keys=["tail"], value_type=ValueType.INT64)
AIRPORT = Entity(name="airport", join_keys=["airport"], value_type=ValueType.STRING)
Make = Callable[..., FeatureStore]


def at(day: int, hour: int = 0) -> datetime:
    return datetime(2024, 1, day, hour, tzinfo=UTC)


def rows(*values: tuple[Any, ...], names: str = "carrier event value created") -> pd.DataFrame:
    return pd.DataFrame(list(values), columns=names.split()[: len(values[0])])


def view(
    frame: pd.DataFrame | None,
    path: Path,
    *,
    name: str = "daily",
    keys: tuple[Entity, ...] = (CARRIER,),
    features: dict[str, PrimitiveFeastType] | None = None,
    ttl: timedelta = timedelta(0),
    created: bool | None = None,
    mapping: dict[str, str] | None = None,
    **more: Any,
) -> FeatureView:
    """A feature view over a folder <path>/<name> that holds `frame` as its one partition."""
    if frame is not None:
        (path / name).mkdir(parents=True, exist_ok=True)
        frame.to_parquet(path / name / "2024-01.parquet", index=False)
    if created is None:
        created = frame is not None and "created" in frame
    key_types = {ValueType.STRING: String, ValueType.INT64: Int64}
    return FeatureView(
        name=name,
        entities=list(keys),
        ttl=ttl,
        schema=[Field(name=key.join_key, dtype=key_types[key.value_type]) for key in keys]
        + [Field(name=feature, dtype=dtype) for feature, dtype in (features or {"value": Int64}).items()],
        source=FileSource(
            name=f"{name}_source",
            path=str(path / name),
            timestamp_field="event",
            created_timestamp_column="created" if created else "",
            field_mapping=mapping or {},
        ),
        **more,
    )


def maker(folder: Path) -> Make:
    """Builds feature stores in the folder, from the objects to apply and the options of the offline store."""

    def build(*objects: Any, pull_latest: bool = False, **offline: Any) -> FeatureStore:
        config = RepoConfig(
            project="test",
            provider="local",
            registry=str(folder / "registry.db"),
            online_store={"type": "sqlite", "path": str(folder / "online.db")},
            offline_store={"type": "include.features.offline.store.PolarsOfflineStore", **offline},
            materialization={"pull_latest_features": pull_latest},
            entity_key_serialization_version=3,
            repo_path=folder,
        )
        store = FeatureStore(config=config)
        store.apply([CARRIER, TAIL, AIRPORT, *objects])
        return store

    return build


def history(store: FeatureStore, entities: pd.DataFrame, *features: str, **options: Any) -> pd.DataFrame:
    job = store.get_historical_features(entities, list(features) or ["daily:value"], **options)
    frame: pd.DataFrame = job.to_df()
    return frame


def values(store: FeatureStore, *entities: tuple[Any, ...], **options: Any) -> list[Any]:
    """The feature daily:value for rows (carrier, time), with None where it is missing."""
    frame = pd.DataFrame(list(entities), columns=["carrier", "event_timestamp"])
    found = history(store, frame, **options)["value"]
    return [None if pd.isna(value) else value for value in found]


def online(store: FeatureStore, *carriers: str, feature: str = "daily:value") -> list[Any]:
    answer = store.get_online_features([feature], [{"carrier": carrier} for carrier in carriers]).to_dict()
    return list(answer[feature.split(":")[1]])
