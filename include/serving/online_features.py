"""The features of entities from the online store.

Rows are read straight from the store, all views of a request in one round trip for all entities; where keys of other
views are columns of the entity's own row, these views take a second one. Feast's ``get_online_features`` gives the same
values at many times the cost. On-demand features are computed by Feast's own transformation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from include.contract.use_case import UseCase
from include.features.moments import microseconds
from include.features.online.rows import Row, alive, key_of
from include.serving.lookup import EntitiesNotFound, FeatureRow, Key, Known, Lookup, LookupFactory

if TYPE_CHECKING:
    from feast import FeatureStore, FeatureView, ValueType

    from include.features.on_demand import OnDemand


@dataclass(frozen=True)
class _View:
    """A view whose rows are read."""

    name: str
    stored: str
    keys: tuple[str, ...]
    ttl: timedelta | None
    features: tuple[str, ...]


class OnlineFeatures:
    """A use case's feature service in the online store. Threads may share it.

    The caller knows the entity's key; the keys of other views are columns of the entity's own view. Definitions are
    read once, when the object is made.
    """

    def __init__(self, use_case: UseCase, store: FeatureStore | None = None) -> None:
        from include.features.on_demand import OnDemand
        from include.features.online.store import rows_of
        from include.features.store import open_store

        self._store = store if store is not None else open_store()
        self._rows = rows_of(self._store)
        self._columns = use_case.join_keys
        service = self._store.get_feature_service(use_case.name)
        self._on_demand: OnDemand = OnDemand.of(self._store, service)
        projections = service.feature_view_projections
        self._view_of = {feature.name: view.name for view in projections for feature in view.features}
        wanted = {use_case.entity.view, *self._on_demand.inputs, *self._view_of.values()}
        stored = {
            view.name: view
            for view in [*self._store.list_batch_feature_views(), *self._store.list_stream_feature_views()]
            if view.name in wanted
        }
        self._entity_view = stored[use_case.entity.view]
        views = {name: self._view(view) for name, view in stored.items()}
        self._own = views.pop(use_case.entity.view)
        direct = {view for view in views.values() if {self._columns[key] for key in view.keys} <= set(self._own.keys)}
        self._direct = tuple(view for view in views.values() if view in direct)
        self._derived = tuple(view for view in views.values() if view not in direct)
        self._shown = tuple(view.name for view in projections if view.name in stored)
        kinds = {column.name: column.dtype.to_value_type() for column in self._entity_view.entity_columns}
        self._key_types = {name: _python_type(name, kinds[name]) for name in use_case.entity.key}

    @property
    def features(self) -> tuple[str, ...]:
        return tuple(self._view_of)

    @property
    def views(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(self._view_of.values()))

    @property
    def key_types(self) -> dict[str, type]:
        return self._key_types

    @property
    def request_types(self) -> dict[str, type]:
        return {name: _python_type(name, kind) for name, kind in self._on_demand.request_fields.items()}

    @property
    def needed(self) -> frozenset[str]:
        return frozenset(self._key_types) | (frozenset(self._on_demand.request_fields) - frozenset(self._own.features))

    def rows(self, entities: Sequence[Key], as_of: datetime | None = None) -> list[FeatureRow]:
        moment = _Moment.of(as_of)
        at_once = {view: [self._key(view, entity) for entity in entities] for view in (self._own, *self._direct)}
        found = self._read(at_once, moment)
        contents = [row.features() if row else None for row in found[self._own.name]]
        if absent := [position for position, columns in enumerate(contents) if columns is None]:
            raise EntitiesNotFound(absent)
        known = [{**(columns or {}), **entity} for columns, entity in zip(contents, entities, strict=True)]
        if self._derived:
            found |= self._read({view: [self._key(view, each) for each in known] for view in self._derived}, moment)
        return self._joined(known, found)

    def known(self, limit: int) -> Known:
        from include.features.offline.parquet_source import scan

        view, keys = self._entity_view, list(self._own.keys)
        frame = scan(view.batch_source, self._store.repo_path, f"feature view {view.name}").select(keys).tail(limit)
        candidates = frame.collect().drop_nulls().unique(maintain_order=True).to_dicts()
        rows = self._rows.read({self._own.stored: [key_of([each[name] for name in keys]) for each in candidates]})
        found = [(key, row) for key, row in zip(candidates, rows[self._own.stored], strict=True) if row]
        if all(_Moment.of(None).sees(row, self._own) for _, row in found):
            return Known([key for key, _ in found], None)
        newest = max((row for _, row in found), key=lambda row: row.event).event_timestamp
        return Known([key for key, row in found if _Moment.of(newest).sees(row, self._own)], newest)

    def newest(self) -> dict[str, datetime]:
        views = {view.stored: view.name for view in (self._own, *self._direct, *self._derived)}
        return {views[stored]: written.newest for stored, written in self._rows.written(views).items()}

    def _read(self, keys: Mapping[_View, Sequence[bytes | None]], moment: _Moment) -> dict[str, list[Row | None]]:
        """The rows of the keys by view that count at the moment; None for those that do not, and without a key."""
        asked = {view.stored: [key for key in wanted if key is not None] for view, wanted in keys.items()}
        answers = self._rows.read(asked)
        found: dict[str, list[Row | None]] = {}
        for view, wanted in keys.items():
            answer = iter(answers[view.stored])
            rows = [None if key is None else next(answer) for key in wanted]
            found[view.name] = [row if row and moment.sees(row, view) else None for row in rows]
        return found

    def _view(self, view: FeatureView) -> _View:
        from include.features.online.store import view_name

        return _View(
            name=view.name,
            stored=view_name(self._store.config, view),
            keys=tuple(sorted(view.join_keys)),
            ttl=view.ttl,
            features=tuple(feature.name for feature in view.features),
        )

    def _key(self, view: _View, known: Key) -> bytes | None:
        """The key of another view, None where the entity has none."""
        values = [known.get(self._columns[name]) for name in view.keys]
        return None if any(value is None for value in values) else key_of(values)

    def _joined(self, known: Sequence[Key], found: Mapping[str, Sequence[Row | None]]) -> list[FeatureRow]:
        """The rows of all views beside each other, and what is computed from them."""
        names = dict.fromkeys([*self._own.features, *self._key_types, *self._on_demand.request_fields])
        columns: dict[str, list[Any]] = {name: [each.get(name) for each in known] for name in names}
        for view in (*self._direct, *self._derived):
            contents = [row.features() if row else {} for row in found[view.name]]
            columns |= {name: [each.get(name) for each in contents] for name in view.features}
        columns |= self._on_demand.compute(columns)
        stamps = {name: [row.event_timestamp if row else None for row in rows] for name, rows in found.items()}
        return [
            FeatureRow(
                {name: columns[name][position] for name in self._view_of},
                stamps[self._own.name][position],
                {name: stamps[name][position] for name in self._shown},
            )
            for position in range(len(known))
        ]


@dataclass(frozen=True)
class _Moment:
    """What is asked about. Of now nothing is refused as later: the clocks of machines differ a little."""

    as_of: int
    latest: int | None

    @classmethod
    def of(cls, as_of: datetime | None) -> _Moment:
        moment = microseconds(datetime.now(UTC) if as_of is None else as_of)
        return cls(moment, None if as_of is None else moment)

    def sees(self, row: Row, view: _View) -> bool:
        return alive(row.event, view.ttl, self.as_of) and (self.latest is None or row.event <= self.latest)


def _python_type(name: str, kind: ValueType) -> type:
    known = {"INT32": int, "INT64": int, "STRING": str, "FLOAT": float, "DOUBLE": float, "BOOL": bool}
    if kind.name not in known:
        raise ValueError(f"{name} is of type {kind.name}; keys and request values are whole numbers, numbers or text")
    return known[kind.name]


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
