"""Does something now and then, in a thread of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable

IDLE = 60.0  # seconds after which it is done though nobody asked


class Timer:
    """Calls ``work`` at most ``delay`` seconds after each ``due``; several of these in between are one.

    ``work`` may not raise. The thread begins with the first ``due``; after ``stop``, the next one begins another.
    """

    def __init__(self, work: Callable[[], None], delay: float, name: str) -> None:
        self._work = work
        self._delay = delay
        self._name = name
        self._due, self._stopping = threading.Event(), threading.Event()
        self._thread: threading.Thread | None = None

    def due(self) -> None:
        """Called by one thread at a time; costs next to nothing while it is due anyway."""
        if not self._due.is_set():
            self._due.set()
            if self._thread is None:
                self._stopping.clear()
                self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
                self._thread.start()

    def stop(self) -> None:
        """End the thread, when it has done what it is doing. What is due then is left to the caller."""
        if self._thread is not None:
            self._stopping.set()
            self._due.set()
            self._thread.join()
            self._thread = None
            self._due.clear()

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._due.wait(IDLE)
            self._stopping.wait(self._delay)
            self._due.clear()  # before the work: what becomes due during it is done again
            self._work()
