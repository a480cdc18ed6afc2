"""How feature rows are kept online, and what every store of them holds to.

A key has one row in a view: the newest by (event time, created time) that was ever written, in whatever order it was
written; of equal times the last written. Which row is too old is decided when it is read, by the view's time to live
and the moment that is asked about.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

import msgspec

from include.features.moments import EPOCH, MICROSECOND

UNKNOWN = -(2**63)  # a created time that is not known loses to any that is
KEEP = timedelta(days=7)  # so long an expired row stays, for a look at what was served before a pause
PUSHED = ""  # the source of rows that no partition holds

EXACT = (str, int, bytes)  # bool is an int

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder().decode


class Row(msgspec.Struct, frozen=True):
    """One row of a view. Times are microseconds since the epoch; ``values`` are the features, encoded."""

    key: bytes
    event: int
    created: int
    values: bytes

    def features(self) -> dict[str, Any]:
        features: dict[str, Any] = _decode(self.values)
        return features

    @property
    def event_timestamp(self) -> datetime:
        return EPOCH + self.event * MICROSECOND


@dataclass(frozen=True)
class Written:
    """How new a view is online: its newest event time, and when it was last written to."""

    newest: datetime
    at: datetime


class RowStore(Protocol):
    """A store of rows by view and key. Threads and processes may share it."""

    def write(self, view: str, rows: Sequence[Row], *, source: str, keep: timedelta | None) -> None:
        """Keep each row, unless its key has a newer one. ``source``: the partition that holds the rows.

        After ``keep``, counted from now, the rows may be dropped; None keeps them.
        """
        ...

    def read(self, wanted: Mapping[str, Sequence[bytes]]) -> dict[str, list[Row | None]]:
        """The rows of these keys by view, in the order of the keys, in one round trip."""
        ...

    def version(self) -> Hashable | None:
        """What stays equal as long as nobody writes, be it another thread or process: what was read is what would be.

        None where asking would cost as much as reading.
        """
        ...

    def forget(self, view: str, source: str, kept: Collection[bytes]) -> int:
        """Remove the rows that came from ``source`` and whose keys it holds no more; how many they were."""
        ...

    def written(self, views: Iterable[str]) -> dict[str, Written]:
        """How new each of the views is; one that was never written to is absent."""
        ...

    def drop(self, view: str) -> None:
        """Remove the view with all its rows."""
        ...


def key_of(values: Sequence[Any]) -> bytes:
    """The stored form of a key: the values of its join keys in the order of their names.

    Raises TypeError for a value that is not text, a whole number, a truth value or bytes: it would not compare exactly.
    """
    for value in values:
        if not isinstance(value, EXACT):
            raise TypeError(f"a key is text, a whole number, a truth value or bytes, not {type(value).__name__}")
    return _encode(list(values))


def encoder(features: Sequence[str]) -> Callable[[Sequence[Any]], bytes]:
    """Encodes the values of these features, given in their order."""
    # Feature names may be no Python names: the fields are numbered, and named where they are written.
    names = {f"f{number}": name for number, name in enumerate(features)}
    struct = msgspec.defstruct("Features", [(field, Any) for field in names], rename=names)
    return lambda values: _encode(struct(*values))


def alive(event: int, ttl: timedelta | None, as_of: int) -> bool:
    """A value counts from its event time until it is ``ttl`` old, both included; without a ttl it counts for ever."""
    return not ttl or event >= as_of - ttl // MICROSECOND
