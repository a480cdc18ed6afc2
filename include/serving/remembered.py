"""The rows of the entities that were asked for lately, for as long as nobody writes to the store.

To find out that nobody did costs a fraction of reading and composing a row, and no row is staler for it. A row is right
only at the moments at which the same stored values count: that is its span. On-demand features are part of it, since
they are functions of what they are given; who brings values of his own is not remembered.
"""

from __future__ import annotations

from collections.abc import Hashable
from datetime import UTC, datetime

from msgspec import Struct

from include.features.moments import microseconds
from include.serving.lookup import FeatureRow

MOST = 2000  # rows, of some kilobytes each; then it begins anew
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


class Remembered:
    """Rows by the stored form of the entity's key. Threads may share it, but it serves one best."""

    def __init__(self) -> None:
        self._kept: tuple[Hashable, dict[bytes, tuple[FeatureRow, Span]]] = (None, {})

    def find(self, version: Hashable, key: bytes, as_of: int) -> FeatureRow | None:
        """The row as the store of this version has it at a moment; None where it must be read."""
        of, rows = self._kept
        if of != version:
            return None
        found = rows.get(key)
        return found[0] if found is not None and found[1].first <= as_of <= found[1].last else None

    def keep(self, version: Hashable, key: bytes, row: FeatureRow, span: Span) -> None:
        """``version``: what the store told before the row was read."""
        of, rows = self._kept
        if of != version or len(rows) >= MOST:
            self._kept = (version, {key: (row, span)})
        else:
            rows[key] = (row, span)
