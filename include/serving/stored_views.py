"""The views of the online store whose rows make up an entity's features, and their rows, decoded."""

from __future__ import annotations

from collections.abc import Callable, MutableMapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import astuple

from include.features.online.rows import Row, RowStore, key_of
from include.serving.lookup import Key


class Stored(Struct, frozen=True):
    """A row of a view: its event time in microseconds since the epoch, and all of the view's features.

    Requests may share it: nobody changes it.
    """

    event: int
    values: dict[str, Any]


StoredRows = MutableMapping[
    tuple[str, bytes], Stored | None
]  # by the view's name and the key; None where there is none


@dataclass(frozen=True, eq=False)
class View:
    """A view whose rows are read. ``keys`` are columns of the entity's own row, ``ttl`` is in microseconds."""

    name: str
    stored: str
    keys: tuple[str, ...]
    ttl: int | None
    features: tuple[str, ...]

    @cached_property
    def _decode(self) -> Callable[[bytes], Struct]:
        # Feature names may be no Python names: the fields are numbered, and named where they are read.
        names = {f"f{number}": name for number, name in enumerate(self.features)}
        stored = msgspec.defstruct("Stored", [(field, Any, None) for field in names], rename=names)
        return msgspec.msgpack.Decoder(stored).decode

    @cached_property
    def nothing(self) -> dict[str, None]:
        """The features of an entity that has no row."""
        return dict.fromkeys(self.features)

    def decoded(self, row: Row | None) -> Stored | None:
        """With None for a feature that the row has not."""
        if row is None:
            return None
        return Stored(row.event, dict(zip(self.features, astuple(self._decode(row.values)), strict=True)))

    def key(self, known: Key) -> bytes | None:
        """The key of the view's row, None where the entity has none."""
        values = [*map(known.get, self.keys)]
        return None if None in values else key_of(values)


def read(
    store: RowStore, views: Sequence[View], known: Sequence[Key], kept: StoredRows
) -> dict[str, list[Stored | None]]:
    """By view the rows of entities of which this is known; what is not ``kept`` is read by one question, and kept."""
    keys = {view.name: [view.key(each) for each in known] for view in views}
    wanted = {
        view.stored: [key for key in dict.fromkeys(keys[view.name]) if key is not None and (view.name, key) not in kept]
        for view in views
    }
    if any(wanted.values()):
        answers = store.read(wanted)
        for view in views:
            for key, row in zip(wanted[view.stored], answers[view.stored], strict=True):
                kept[view.name, key] = view.decoded(row)
    return {view.name: [None if key is None else kept[view.name, key] for key in keys[view.name]] for view in views}
