"""What was read of the online store lately, for as long as nobody writes to it.

To find out that nobody did costs a fraction of reading and composing a row, and no row is staler for it. An entity's
row is right only at the moments at which the same stored values count: that is its span. On-demand features are part of
it, since they are functions of what they are given. A view's row is as it is stored: whether it counts is seen anew.
"""

from __future__ import annotations

from collections.abc import Hashable
from datetime import UTC, datetime

from msgspec import Struct

from include.features.moments import microseconds
from include.serving.lookup import FeatureRow
from include.serving.stored_views import Stored

MOST = 2000  # entities, of some kilobytes each; then they are begun anew
MOST_SHARED = 10_000  # rows of views, likewise
BEGINNING, FOREVER = -(2**63), 2**63  # microseconds since the epoch, beyond every moment


class Moment(Struct, frozen=True):
    """What is asked about, in microseconds since the epoch.

    Of now nothing is refused as later, ``latest`` is None: the clocks of machines differ a little.
    """

    as_of: int
    latest: int | None

    @classmethod
    def of(cls, as_of: datetime | None) -> Moment:
        moment = microseconds(datetime.now(UTC) if as_of is None else as_of)
        return cls(moment, None if as_of is None else moment)


class Span(Struct, gc=False):
    """The moments, in microseconds since the epoch and both included, at which the same values of some rows count."""

    first: int = BEGINNING
    last: int = FOREVER

    def counts(self, event: int, ttl: int | None, moment: Moment) -> bool:
        """Whether a value of this event time counts, as ``rows.alive``, and is not later than what is asked about.

        The span is narrowed to the moments at which the answer is the same, as far as they are sure.
        """
        expires = FOREVER if ttl is None else event + ttl
        if moment.as_of > expires:
            self.first = max(self.first, expires + 1)
            return False
        if moment.latest is not None and event > moment.latest:
            self.last = BEGINNING  # who asks about now would see it
            return False
        self.first, self.last = max(self.first, event), min(self.last, expires)
        return True


class Memory(Struct):
    """What is known of the store as long as it is of one version; it is used by one thread.

    ``entities`` are rows by the stored form of the entity's key, ``shared`` the rows of views that several of them have
    in common, as the history of a carrier.
    """

    version: Hashable
    entities: dict[bytes, tuple[FeatureRow, Span]] = {}
    shared: dict[tuple[str, bytes], Stored | None] = {}

    def find(self, key: bytes, as_of: int) -> FeatureRow | None:
        """The entity's row at a moment; None where it must be read."""
        found = self.entities.get(key)
        return found[0] if found is not None and found[1].first <= as_of <= found[1].last else None


class Remembered:
    """The memory of the newest version of the store. Threads may share it, but it serves one best."""

    def __init__(self) -> None:
        self._memory = Memory(None)

    def at(self, version: Hashable) -> Memory:
        """What is remembered; ``version``: what the store has told just now, before anything is read."""
        memory = self._memory
        if memory.version != version:
            memory = self._memory = Memory(version)
        if len(memory.entities) >= MOST:
            memory.entities = {}
        if len(memory.shared) >= MOST_SHARED:
            memory.shared = {}
        return memory
