"""Rate limits by client: the token bucket."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Limit:
    """``rate`` requests per second in the long run, ``burst`` of them at once."""

    rate: float
    burst: int

    @classmethod
    def of(cls, rate: float | None, burst: int | None) -> Limit | None:
        """None without a rate. Without a burst, the requests of a second may come at once, and always one."""
        return None if rate is None else cls(rate, burst or max(1, math.ceil(rate)))


class Limiter:
    """One bucket a client, in the memory of one process; a full one is no news, so that clients need no beginning.

    A bucket holds at most ``burst`` and gains ``rate`` a second; a request takes its cost out, or waits (Turner 1986,
    "New directions in communications (or which way to the information age?)"). In a window of t seconds no more than
    burst + rate * t is let through. It is used from one thread, that of the event loop; each call is O(1).
    """

    def __init__(self) -> None:
        self._buckets: dict[str, tuple[float, float]] = {}  # what is in it, and when that was so

    def allow(self, client: str, limit: Limit, now: float, cost: float = 1.0) -> float:
        """Seconds to wait until ``cost`` is there; 0 where it was and has been taken.

        ``now``: seconds of a clock that does not go back. ``ValueError``: the cost is above the burst and never there.
        """
        if cost > limit.burst:
            raise ValueError(f"{client}: a cost of {cost:g} is above the burst of {limit.burst} and can never be paid")
        content, since = self._buckets.get(client, (float(limit.burst), now))
        content = min(float(limit.burst), content + max(0.0, now - since) * limit.rate)
        if content < cost:
            self._buckets[client] = (content, now)
            return (cost - content) / limit.rate
        self._buckets[client] = (content - cost, now)
        return 0.0
