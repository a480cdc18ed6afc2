"""Features of entities from the online store."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from include.contract.use_case import UseCase

if TYPE_CHECKING:
    from feast import FeatureStore

Key = Mapping[str, Any]


class EntitiesNotFound(LookupError):  # noqa: N818 - what it says is the answer
    """The online store has no row for these entities, by their positions in the request."""

    def __init__(self, positions: Sequence[int]) -> None:
        super().__init__(f"no row for the entities {list(positions)}")
        self.positions = tuple(positions)


@dataclass(frozen=True)
class FeatureRow:
    """One entity's features. A view without a row for it has no timestamp, and its features are None."""

    values: dict[str, Any]
    event_timestamp: datetime | None
    view_timestamps: dict[str, datetime | None]


class Lookup(Protocol):
    """What serving asks of an online store."""

    @property
    def features(self) -> tuple[str, ...]:
        """The features that a row has."""
        ...

    @property
    def views(self) -> tuple[str, ...]: ...

    @property
    def key_types(self) -> dict[str, type]:
        """The type of each column of the entity's key."""
        ...

    def rows(self, entities: Sequence[Key]) -> list[FeatureRow]:
        """The entities' features in their order; raises ``EntitiesNotFound``."""
        ...

    def known(self, limit: int) -> list[dict[str, Any]]:
        """Keys of some entities that have features, to try the API with."""
        ...


LookupFactory = Callable[[UseCase], Lookup]


class OnlineFeatures:
    """A use case's feature service in Feast's online store. Threads may share it.

    The caller knows the entity's key; the keys of other views are columns of the entity's own view. Definitions are
    read once, when the object is made.
    """

    def __init__(self, use_case: UseCase, store: FeatureStore | None = None) -> None:
        from include.features.store import open_store

        entity = use_case.entity
        self._store = store if store is not None else open_store()
        self._service = self._store.get_feature_service(use_case.name)
        self._entity_view = self._store.get_feature_view(entity.view)
        self._key = entity.key
        self._others = {key: column for key, column in entity.join_keys.items() if key not in entity.key}
        projections = self._service.feature_view_projections
        self._view_of = {feature.name: view.name for view in projections for feature in view.features}
        stored = {view.name: view for view in self._store.list_batch_feature_views()}
        self._keys_of = {view.name: tuple(stored[view.name].join_keys) for view in projections if view.name in stored}
        asked = [self._entity_view, *(stored[name] for name in self._keys_of)]
        types = {column.name: _python_type(column) for view in asked for column in view.entity_columns}
        self._key_types = {name: types[name] for name in entity.key}
        self._placeholders = {name: types[name]() for name in self._others if name in types}
        # the entity's view is always asked by itself: it knows the other keys, and whether the entity is known
        columns = {column for column in self._others.values() if column not in entity.key}
        self._first = sorted(columns) or [self._entity_view.features[0].name]

    @property
    def features(self) -> tuple[str, ...]:
        return tuple(self._view_of)

    @property
    def views(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(self._view_of.values()))

    @property
    def key_types(self) -> dict[str, type]:
        return self._key_types

    def rows(self, entities: Sequence[Key]) -> list[FeatureRow]:
        own = self._entity_rows(entities)
        absent = [position for position, (stamp, _) in enumerate(own) if stamp is None]
        if absent:
            raise EntitiesNotFound(absent)
        keys = []
        for entity, (_, columns) in zip(entities, own, strict=True):
            known = {**columns, **entity}
            others = {name: known[column] for name, column in self._others.items()}
            keys.append({**{name: entity[name] for name in self._key}, **others})
        # Feast takes no null key: a placeholder goes in, and what it finds is not used
        asked = [
            {name: self._placeholders[name] if value is None else value for name, value in key.items()} for key in keys
        ]
        answer = self._ask(self._service, asked)
        return [self._row(answer, position, key, own[position][0]) for position, key in enumerate(keys)]

    def known(self, limit: int) -> list[dict[str, Any]]:
        from include.features.offline.parquet_source import scan

        frame = scan(self._entity_view.batch_source, self._store.repo_path, f"feature view {self._entity_view.name}")
        found = frame.select(self._key).tail(limit).collect().unique(maintain_order=True).to_dicts()
        own = self._entity_rows(found)
        return [key for key, (stamp, _) in zip(found, own, strict=True) if stamp is not None]

    def _entity_rows(self, entities: Sequence[Key]) -> list[tuple[datetime | None, dict[str, Any]]]:
        """The time of each entity's own row, None where there is none, and the columns that are keys of other views."""
        if not entities:
            return []
        keys = [{name: entity[name] for name in self._key} for entity in entities]
        answer = self._ask([f"{self._entity_view.name}:{column}" for column in self._first], keys)
        return [
            (
                next(
                    (answer[column][position].stamp for column in self._first if answer[column][position].there), None
                ),
                {column: answer[column][position].value for column in self._first},
            )
            for position in range(len(keys))
        ]

    def _row(self, answer: dict[str, list[_Cell]], position: int, key: Key, stamp: datetime | None) -> FeatureRow:
        values: dict[str, Any] = {}
        stamps: dict[str, datetime | None] = dict.fromkeys(self._keys_of)
        for name, view in self._view_of.items():
            cell = answer[name][position]
            usable = cell.there and all(key[each] is not None for each in self._keys_of.get(view, ()))
            values[name] = cell.value if usable else None
            if usable and view in stamps:
                stamps[view] = cell.stamp
        return FeatureRow(values, stamp, stamps)

    def _ask(self, features: Any, keys: list[dict[str, Any]]) -> dict[str, list[_Cell]]:
        from feast.protos.feast.serving.ServingService_pb2 import FieldStatus
        from feast.type_map import feast_value_type_to_python_type

        response = self._store.get_online_features(features=features, entity_rows=keys).proto
        there = (FieldStatus.PRESENT, FieldStatus.NULL_VALUE)
        return {
            name: [
                _Cell(status in there, feast_value_type_to_python_type(value), _instant(stamp))
                for value, stamp, status in zip(column.values, column.event_timestamps, column.statuses, strict=True)
            ]
            for name, column in zip(response.metadata.feature_names.val, response.results, strict=True)
        }


class _Cell(NamedTuple):
    there: bool
    value: Any
    stamp: datetime


def _instant(stamp: Any) -> datetime:
    instant: datetime = stamp.ToDatetime(tzinfo=UTC)
    return instant


def _python_type(column: Any) -> type:
    from feast import types

    known = {types.Int32: int, types.Int64: int, types.String: str, types.Float32: float, types.Float64: float}
    if column.dtype not in known:
        raise ValueError(f"the key {column.name} is of type {column.dtype}; expected whole numbers, text or numbers")
    return known[column.dtype]


def shared_store() -> LookupFactory:
    """Lookups of all use cases over one store, whose definitions are read anew for each lookup that is made."""
    store: list[FeatureStore] = []

    def make(use_case: UseCase) -> Lookup:
        from include.features.store import open_store

        if store:
            store[0].refresh_registry()
        else:
            store.append(open_store())
        return OnlineFeatures(use_case, store[0])

    return make
