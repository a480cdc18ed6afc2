"""The features of entities from the online store.

Rows are read straight from the store, all views of a request in one round trip for all entities; where keys of other
views are columns of the entity's own row, these views take a second one. Feast's ``get_online_features`` gives the same
values at many times the cost. On-demand features are computed by Feast's own transformation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from include.contract.use_case import UseCase
from include.features.moments import EPOCH, MICROSECOND
from include.features.online.rows import key_of
from include.serving import stored_views
from include.serving.lookup import EntitiesNotFound, FeatureRow, Key, Known, Lookup, LookupFactory
from include.serving.remembered import Memory, Moment, Remembered, Span
from include.serving.stored_views import Stored, StoredRows, View

if TYPE_CHECKING:
    from feast import FeatureStore, FeatureView, ValueType

    from include.features.on_demand import OnDemand

FEW = 100  # entities of a request that are remembered: more are read by threads, whose memories would be many


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
        direct = [view for view in views.values() if set(view.keys) <= set(self._own.keys)]
        self._derived = tuple(view for view in views.values() if view not in direct)
        self._direct = tuple(direct)
        self._shown = tuple(view.name for view in projections if view.name in stored)
        self._stamped = tuple(dict.fromkeys([self._own.name, *self._shown]))
        kinds = {column.name: column.dtype.to_value_type() for column in self._entity_view.entity_columns}
        self._key_types = {name: _python_type(name, kinds[name]) for name in use_case.entity.key}
        self._brought = dict.fromkeys([*self._key_types, *self._on_demand.request_fields])
        self._remembered = Remembered()

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
        moment = Moment.of(as_of)
        version = self._rows.version() if len(entities) <= FEW else None
        if version is None:
            return self._composed(entities, moment, [Span() for _ in entities], {})
        memory, length = self._remembered.at(version), len(self._key_types)
        # Who brings values of his own is not remembered.
        keys = [self._own.key(entity) if len(entity) == length else None for entity in entities]
        rows = [None if key is None else memory.find(key, moment.as_of) for key in keys]
        if None in rows:
            self._fill(rows, keys, entities, moment, memory)
        return [row for row in rows if row is not None]

    def _fill(
        self, rows: list[FeatureRow | None], keys: Sequence[bytes | None], entities: Sequence[Key], moment: Moment,
        memory: Memory,
    ) -> None:  # fmt: skip
        """Put the rows that are missing in their places, and remember them."""
        missing = [at for at, row in enumerate(rows) if row is None]
        spans = [Span() for _ in missing]
        try:
            found = self._composed([entities[at] for at in missing], moment, spans, memory.shared)
        except EntitiesNotFound as error:
            raise EntitiesNotFound([missing[position] for position in error.positions]) from None
        for at, row, span in zip(missing, found, spans, strict=True):
            rows[at] = row
            if (key := keys[at]) is not None:
                memory.entities[key] = row, span

    def _composed(
        self, entities: Sequence[Key], moment: Moment, spans: Sequence[Span], shared: StoredRows
    ) -> list[FeatureRow]:
        """The rows of entities as the store has them; the spans are narrowed to the moments at which they are these.

        ``shared``: rows that several entities have in common, as far as they are known, and from now on.
        """
        found = self._read((self._own, *self._direct), entities, moment, spans, {})
        own = found[self._own.name]
        if None in own:
            raise EntitiesNotFound([position for position, row in enumerate(own) if row is None])
        known = [self._brought.copy() for _ in entities]
        for columns, row, entity in zip(known, own, entities, strict=True):
            columns.update(self._own.nothing if row is None else row.values)
            columns.update(entity)
        if self._derived:
            found |= self._read(self._derived, known, moment, spans, shared)
        for view in (*self._direct, *self._derived):
            for columns, row in zip(known, found[view.name], strict=True):
                columns.update(view.nothing if row is None else row.values)
        if self._on_demand.views:
            self._compute(known)
        return [
            self._row(columns, {name: rows[at] for name, rows in found.items()}) for at, columns in enumerate(known)
        ]

    def known(self, limit: int) -> Known:
        from include.features.offline.parquet_source import scan

        view, keys = self._entity_view, list(self._own.keys)
        frame = scan(view.batch_source, self._store.repo_path, f"feature view {view.name}").select(keys).tail(limit)
        candidates = frame.collect().drop_nulls().unique(maintain_order=True).to_dicts()
        rows = self._rows.read({self._own.stored: [key_of([each[name] for name in keys]) for each in candidates]})
        found = [(key, row) for key, row in zip(candidates, rows[self._own.stored], strict=True) if row]
        now = Moment.of(None)
        if all(Span().counts(row.event, self._own.ttl, now) for _, row in found):
            return Known([key for key, _ in found], None)
        newest = max((row for _, row in found), key=lambda row: row.event).event_timestamp
        then = Moment.of(newest)
        return Known([key for key, row in found if Span().counts(row.event, self._own.ttl, then)], newest)

    def newest(self) -> dict[str, datetime]:
        views = {view.stored: view.name for view in (self._own, *self._direct, *self._derived)}
        return {views[stored]: written.newest for stored, written in self._rows.written(views).items()}

    def _read(
        self, views: Sequence[View], known: Sequence[Key], moment: Moment, spans: Sequence[Span], kept: StoredRows
    ) -> dict[str, list[Stored | None]]:
        """By view the rows of entities of which this is known, as far as they count at the moment."""
        found = stored_views.read(self._rows, views, known, kept)
        return {
            view.name: [
                row if row is not None and span.counts(row.event, view.ttl, moment) else None
                for row, span in zip(found[view.name], spans, strict=True)
            ]
            for view in views
        }

    def _view(self, view: FeatureView) -> View:
        from include.features.online.store import view_name

        return View(
            name=view.name,
            stored=view_name(self._store.config, view),
            keys=tuple(self._columns[name] for name in sorted(view.join_keys)),
            ttl=view.ttl // MICROSECOND if view.ttl else None,
            features=tuple(feature.name for feature in view.features),
        )

    def _compute(self, known: Sequence[dict[str, Any]]) -> None:
        """Add the on-demand features to what is known of each entity."""
        computed = self._on_demand.compute({name: [each[name] for each in known] for name in self._on_demand.columns})
        for position, columns in enumerate(known):
            columns.update({name: values[position] for name, values in computed.items()})

    def _row(self, columns: Mapping[str, Any], rows: Mapping[str, Stored | None]) -> FeatureRow:
        stamps = {name: None if (row := rows[name]) is None else _time(row.event) for name in self._stamped}
        return FeatureRow(
            dict(zip(self._view_of, map(columns.__getitem__, self._view_of), strict=True)),
            stamps[self._own.name],
            {name: stamps[name] for name in self._shown},
        )


@lru_cache(1000)  # the rows of a day mostly have one time
def _time(event: int) -> datetime:
    return EPOCH + event * MICROSECOND


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
