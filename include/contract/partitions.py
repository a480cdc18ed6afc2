"""The partition: the piece of time that is ingested, computed, scored and monitored as one.

Everything written for a partition carries its key and can be written again with the same result. A run that treats
several partitions carries their span, ``first/last`` (an ISO 8601 interval, both ends included), as its key.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

Cadence = Literal["hourly", "daily", "weekly"]

KEY_FORMAT: dict[Cadence, str] = {"hourly": "%Y-%m-%dT%H", "daily": "%Y-%m-%d", "weekly": "%Y-%m-%d"}
CRON: dict[Cadence, str] = {"hourly": "0 * * * *", "daily": "0 0 * * *", "weekly": "0 0 * * 1"}


@dataclass(frozen=True, order=True)
class Partition:
    """One partition, ``[start, end)``; ``end`` is also the moment at which its content is known (the cut-off)."""

    start: datetime
    end: datetime
    key: str

    @property
    def day(self) -> date:
        """The local date on which the partition starts."""
        return self.start.date()

    @property
    def cutoff(self) -> datetime:
        """The end as a UTC instant."""
        return self.end.astimezone(UTC)


@dataclass(frozen=True)
class Calendar:
    """Turns keys into partitions in the time zone of a use case. Local days may last 23 or 25 hours."""

    cadence: Cadence
    timezone: str

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.timezone)

    def partition(self, key: str) -> Partition:
        """The partition of a key; ``ValueError`` names the expected form."""
        try:
            naive = datetime.strptime(key, KEY_FORMAT[self.cadence])  # noqa: DTZ007 - the zone is attached below
        except ValueError:
            example = datetime(2013, 1, 7).strftime(KEY_FORMAT[self.cadence])  # noqa: DTZ001
            raise ValueError(
                f"{key!r} is not the key of a {self.cadence} partition; expected e.g. {example!r}"
            ) from None
        if self.cadence == "weekly" and naive.weekday() != 0:
            raise ValueError(f"{key!r} is not the key of a weekly partition: weeks start on Mondays")
        return self._from_local(naive)

    def containing(self, moment: datetime) -> Partition:
        """The partition in which an instant lies."""
        local = moment.astimezone(self.zone)
        if self.cadence == "hourly":
            return self._from_local(datetime.combine(local.date(), time(local.hour)))
        back = local.weekday() if self.cadence == "weekly" else 0
        return self._from_local(datetime.combine(local.date() - timedelta(days=back), time()))

    def shift(self, partition: Partition, steps: int) -> Partition:
        """The partition ``steps`` later (earlier, if negative)."""
        unit = {"hourly": timedelta(hours=1), "daily": timedelta(days=1), "weekly": timedelta(weeks=1)}[self.cadence]
        return self._from_local(partition.start.replace(tzinfo=None) + steps * unit)

    def span(self, first: Partition, last: Partition) -> list[Partition]:
        """All partitions from ``first`` to ``last``, both included."""
        if last < first:
            raise ValueError(f"the span ends ({last.key}) before it starts ({first.key})")
        partitions = [first]
        while partitions[-1] < last:
            partitions.append(self.shift(partitions[-1], 1))
        return partitions

    def spans(self, partitions: Iterable[Partition]) -> list[list[Partition]]:
        """The partitions in order, each once, parted into stretches without a gap."""
        stretches: list[list[Partition]] = []
        for partition in sorted(set(partitions)):
            if stretches and self.shift(stretches[-1][-1], 1) == partition:
                stretches[-1].append(partition)
            else:
                stretches.append([partition])
        return stretches

    def parse(self, key: str) -> list[Partition]:
        """The partitions that a run's key names: one key, or a span ``first/last``."""
        first, _, last = key.partition("/")
        start = self.partition(first)
        return self.span(start, self.partition(last) if last else start)

    def _from_local(self, naive: datetime) -> Partition:
        unit = {"hourly": timedelta(hours=1), "daily": timedelta(days=1), "weekly": timedelta(weeks=1)}[self.cadence]
        start, end = naive.replace(tzinfo=self.zone), (naive + unit).replace(tzinfo=self.zone)
        return Partition(start=start, end=end, key=naive.strftime(KEY_FORMAT[self.cadence]))


def span_key(partitions: list[Partition]) -> str:
    """The key of a run over consecutive partitions: the inverse of :meth:`Calendar.parse`."""
    if not partitions:
        raise ValueError("a run needs at least one partition")
    first, last = partitions[0].key, partitions[-1].key
    return first if first == last else f"{first}/{last}"
