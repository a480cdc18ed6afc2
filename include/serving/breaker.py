"""A circuit breaker: a store that fails again and again is left alone for a while (Nygard, Release It!, 2007).

Requests then are answered at once, and do not wait for what will not come.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

FAILURES = 3  # in a row, after which the store is left alone
PAUSE, LONGEST_PAUSE = 1.0, 30.0  # seconds; each further failure doubles the pause


class Breaker:
    """Counts the failures of one store; threads may share it."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._failures = 0
        self._until = 0.0

    def remaining(self) -> float:
        """Seconds for which the store is still left alone; 0 to whoever is to ask it, one at a time after a pause."""
        if self._failures < FAILURES:
            return 0.0
        with self._lock:
            now = self._clock()
            if self._failures < FAILURES or now >= self._until:
                self._until = now + self._pause()
                return 0.0
            return self._until - now

    def succeeded(self) -> None:
        if self._failures:
            with self._lock:
                self._failures = 0

    def failed(self) -> None:
        with self._lock:
            self._failures += 1
            self._until = self._clock() + self._pause()

    def _pause(self) -> float:
        return float(min(PAUSE * 2 ** min(max(self._failures - FAILURES, 0), 10), LONGEST_PAUSE))
