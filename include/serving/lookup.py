"""What serving asks of the features of entities, and how it is answered."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

import msgspec
from msgspec import Raw, Struct

from include.contract.use_case import UseCase

Key = Mapping[str, Any]

_encode = msgspec.json.Encoder().encode


class EntitiesNotFound(LookupError):  # noqa: N818 - what it says is the answer
    """The online store has no row for these entities, by their positions in the request."""

    def __init__(self, positions: Sequence[int]) -> None:
        super().__init__(f"no row for the entities {list(positions)}")
        self.positions = tuple(positions)


class Seen(Struct, frozen=True, gc=False):
    """A row as a model sees it: the values of the features that it reads, and in JSON what is logged of them."""

    names: tuple[str, ...]
    values: list[Any]
    logged: Raw
    view_timestamps: Mapping[str, datetime | None] | Raw  # nothing in it where the row has none


class FeatureRow(Struct, eq=False):
    """One entity's features. A view without a row for it has no timestamp, and its features are None.

    Requests may share it: nobody changes it.
    """

    values: dict[str, Any]
    event_timestamp: datetime | None
    view_timestamps: dict[str, datetime | None]
    _last: Seen | None = None

    def seen(self, names: tuple[str, ...]) -> Seen:
        """For a model of these features; the last answer is kept, since it is mostly asked for by one model."""
        seen = self._last
        if seen is None or seen.names is not names:
            values = [*map(self.values.get, names)]
            stamps = self.view_timestamps
            seen = self._last = Seen(names, values, Raw(_encode(values)), stamps and Raw(_encode(stamps)))
        return seen


@dataclass(frozen=True)
class Known:
    """Keys of some entities that have features, and a moment at which they had."""

    entities: list[dict[str, Any]]
    as_of: datetime | None


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

    @property
    def request_types(self) -> dict[str, type]:
        """The type of each value that a request may bring beside the key."""
        ...

    @property
    def needed(self) -> frozenset[str]:
        """What each entity of a request must have: the key, and the request values that nothing stored stands for."""
        ...

    def rows(self, entities: Sequence[Key], as_of: datetime | None = None) -> list[FeatureRow]:
        """The entities' features in their order; raises ``EntitiesNotFound``.

        They are what counts now: a value beyond its view's time to live is missing. With ``as_of`` they are what
        counted then, as far as it is still there; a value of later is missing.
        """
        ...

    def known(self, limit: int) -> Known:
        """Some entities, to try the API with."""
        ...

    def newest(self) -> dict[str, datetime]:
        """The newest event time of each stored view that has rows."""
        ...


LookupFactory = Callable[[UseCase], Lookup]
