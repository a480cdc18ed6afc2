"""Feast online stores in which the newest value wins and a value beyond its time to live is missing.

Use one in any feature repository that has this project on its Python path:

    online_store:
        type: include.features.online.store.SqliteOnlineStore
        path: online.sqlite

    online_store:
        type: include.features.online.store.RedisOnlineStore
        url: redis://127.0.0.1:6379/0
"""

from __future__ import annotations

import threading
from abc import abstractmethod
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from feast import Entity, FeatureStore, FeatureView
from feast.infra.online_stores.online_store import OnlineStore
from feast.protos.feast.types.EntityKey_pb2 import EntityKey
from feast.protos.feast.types.Value_pb2 import Value
from feast.repo_config import FeastConfigBaseModel, RepoConfig
from feast.type_map import feast_value_type_to_python_type, python_values_to_proto_values
from pydantic import StrictStr
from typing_extensions import override

from include.features.moments import microseconds
from include.features.online.rows import KEEP, PUSHED, UNKNOWN, Row, RowStore, alive, encoder, key_of


class PointInTimeOnlineStore(OnlineStore):  # type: ignore[misc]
    """The newest value of a key wins, whatever the order of writing; beyond its time to live it is missing.

    Feast reads as of now. Who reads as of another moment, or many views in one round trip, asks the ``rows``.
    """

    def __init__(self) -> None:
        self._rows: RowStore | None = None
        self._opening = threading.Lock()

    @abstractmethod
    def open(self, config: RepoConfig) -> RowStore:
        """The store of rows that the configuration names."""

    def rows(self, config: RepoConfig) -> RowStore:
        """The store of rows; opened once."""
        with self._opening:
            if self._rows is None:
                self._rows = self.open(config)
            return self._rows

    @override
    def online_write_batch(
        self,
        config: RepoConfig,
        table: FeatureView,
        data: list[tuple[EntityKey, dict[str, Value], datetime, datetime | None]],
        progress: Callable[[int], Any] | None,
    ) -> None:
        """Write rows that Feast materializes or that are pushed; those that are older than what is there are not."""
        names = [feature.name for feature in table.features]
        encode = encoder(names)
        rows = [
            Row(
                key=_key(key),
                event=microseconds(event),
                created=UNKNOWN if created is None else microseconds(created),
                values=encode([_python(values.get(name)) for name in names]),
            )
            for key, values, event, created in data
        ]
        if rows:
            self.rows(config).write(view_name(config, table), rows, source=PUSHED, keep=kept_for(table))
        if progress:
            progress(len(rows))

    @override
    def online_read(
        self,
        config: RepoConfig,
        table: FeatureView,
        entity_keys: list[EntityKey],
        requested_features: list[str] | None = None,
    ) -> list[tuple[datetime | None, dict[str, Value] | None]]:
        """The rows of the keys in their order; (None, None) where there is none within the time to live."""
        name, now = view_name(config, table), microseconds(datetime.now(UTC))
        found = self.rows(config).read({name: [_key(key) for key in entity_keys]})[name]
        types = {feature.name: feature.dtype.to_value_type() for feature in table.features}
        asked = {each: types[each] for each in requested_features or types}
        return [
            (row.event_timestamp, _protos(row.features(), asked))
            if row is not None and alive(row.event, table.ttl, now)
            else (None, None)
            for row in found
        ]

    @override
    def update(
        self,
        config: RepoConfig,
        tables_to_delete: Sequence[FeatureView],
        tables_to_keep: Sequence[FeatureView],
        entities_to_delete: Sequence[Entity],
        entities_to_keep: Sequence[Entity],
        partial: bool,
    ) -> None:
        """Remove the rows of views that are gone; a new view needs nothing."""
        for table in tables_to_delete:
            self.rows(config).drop(view_name(config, table))

    @override
    def teardown(self, config: RepoConfig, tables: Sequence[FeatureView], entities: Sequence[Entity]) -> None:
        for table in tables:
            self.rows(config).drop(view_name(config, table))


class SqliteOnlineStoreConfig(FeastConfigBaseModel):  # type: ignore[misc]
    """Configuration of SqliteOnlineStore."""

    type: StrictStr = "include.features.online.store.SqliteOnlineStore"
    path: StrictStr = "online.sqlite"
    """The file; a relative path starts at the feature repository."""


class SqliteOnlineStore(PointInTimeOnlineStore):
    """Online features in a SQLite file."""

    @override
    def open(self, config: RepoConfig) -> RowStore:
        from include.features.online.sqlite import SqliteRows

        return SqliteRows(Path(config.repo_path or "") / config.online_store.path)


class RedisOnlineStoreConfig(FeastConfigBaseModel):  # type: ignore[misc]
    """Configuration of RedisOnlineStore."""

    type: StrictStr = "include.features.online.store.RedisOnlineStore"
    url: StrictStr = "redis://127.0.0.1:6379/0"
    """The address as redis-py reads it: redis:// or rediss://, with user, password and database."""


class RedisOnlineStore(PointInTimeOnlineStore):
    """Online features in Redis."""

    @override
    def open(self, config: RepoConfig) -> RowStore:
        from include.features.online.redis import RedisRows

        return RedisRows(config.online_store.url)


def rows_of(feature_store: FeatureStore) -> RowStore:
    """The store of rows behind a feature store."""
    online = feature_store._get_provider().online_store
    if not isinstance(online, PointInTimeOnlineStore):
        raise TypeError(
            f"feature_store.yaml: online_store.type must be a class of include.features.online.store, not "
            f"{type(online).__name__}, which serves values beyond their time to live"
        )
    return online.rows(feature_store.config)


def view_name(config: RepoConfig, table: FeatureView) -> str:
    """The name under which a view's rows are kept."""
    return f"{config.project}:{table.name}"


def kept_for(table: FeatureView) -> timedelta | None:
    """How long a row is kept after it was written; None for ever."""
    return table.ttl + KEEP if table.ttl else None


def _key(key: EntityKey) -> bytes:
    values = dict(zip(key.join_keys, key.entity_values, strict=True))
    return key_of([_python(values[name]) for name in sorted(values)])


def _python(value: Value | None) -> Any:
    return None if value is None else feast_value_type_to_python_type(value)


def _protos(features: dict[str, Any], asked: dict[str, Any]) -> dict[str, Value]:
    return {
        name: python_values_to_proto_values([value], kind)[0] if (value := features.get(name)) is not None else Value()
        for name, kind in asked.items()
    }
