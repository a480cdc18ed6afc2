"""How many requests are worked on, how many wait for that, and until when."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import TypeVar

from include.serving.access.refusal import Refusal, later

Result = TypeVar("Result")


class Admission:
    """A queue with an end: at most ``limit`` requests in progress and ``waiting`` in front of them, first come first.

    More are refused at once with 503, which a client learns sooner than that an endless queue answers too late. It is
    used from one event loop. Blocking work runs in ``limit`` threads of its own.
    """

    def __init__(self, limit: int, waiting: int) -> None:
        self._limit = limit
        self._waiting = waiting
        self._waiters: deque[asyncio.Future[None]] = deque()
        self._threads = ThreadPoolExecutor(limit, "request")
        self._empty = asyncio.Event()
        self._empty.set()
        self._closed = False
        self.in_progress = 0

    @property
    def waiting(self) -> int:
        return len(self._waiters)

    @asynccontextmanager
    async def slot(self, seconds: float) -> AsyncIterator[None]:
        """For work on the event loop. ``Refusal``: 503 where no slot is free in time, 504 where the work is not done.

        What is not done is cancelled where it next waits; code that never waits is not interrupted.
        """
        deadline = asyncio.get_running_loop().time() + seconds
        await self._enter(deadline)
        try:
            async with asyncio.timeout_at(deadline) as timer:
                yield
        except TimeoutError:
            if not timer.expired():
                raise
            raise _too_slow(seconds) from None
        finally:
            self._leave()

    async def in_thread(self, work: Callable[[], Result], seconds: float) -> Result:
        """For blocking work; refusals as of ``slot``.

        A thread cannot be interrupted: after 504 its work goes on to its end, and only then its slot is free again, so
        that a store that hangs cannot pile up work.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        await self._enter(deadline)
        try:
            future = loop.run_in_executor(self._threads, work)
        except BaseException:
            self._leave()
            raise
        future.add_done_callback(self._ended)
        done, _ = await asyncio.wait((future,), timeout=deadline - loop.time())
        if not done:
            raise _too_slow(seconds)
        return future.result()

    def close(self) -> None:
        """Refuse what comes from now on; what was let in goes on."""
        self._closed = True

    async def drained(self, seconds: float) -> bool:
        """Wait for what was let in to end. False: after these seconds some of it has not."""
        try:
            async with asyncio.timeout(seconds):
                await self._empty.wait()
        except TimeoutError:
            return False
        self._threads.shutdown(wait=False)
        return True

    async def _enter(self, deadline: float) -> None:
        if self._closed:
            raise later(503, "Shutting down", "the server is being stopped; ask again")
        if self.in_progress < self._limit:
            self.in_progress += 1
            self._empty.clear()
            return
        if len(self._waiters) >= self._waiting:
            told = f"{self.in_progress} requests are in progress and {len(self._waiters)} wait"
            raise later(503, "Too busy", f"{told}; ask again")
        turn = asyncio.get_running_loop().create_future()
        self._waiters.append(turn)
        try:
            async with asyncio.timeout_at(deadline):
                await turn
        except BaseException as error:
            if turn.done() and not turn.cancelled():
                self._leave()  # its turn came in the same moment
            elif turn in self._waiters:
                self._waiters.remove(turn)
            if isinstance(error, TimeoutError):
                raise later(503, "Too busy", "no slot became free in time; ask again") from None
            raise

    def _leave(self) -> None:
        """Hand the slot to who waits longest, or free it."""
        while self._waiters:
            turn = self._waiters.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self.in_progress -= 1
        if not self.in_progress:
            self._empty.set()

    def _ended(self, future: asyncio.Future[Result]) -> None:
        self._leave()
        if not future.cancelled():
            future.exception()  # after a 504 nobody else asks for it


def _too_slow(seconds: float) -> Refusal:
    return Refusal(504, "Too slow", f"the answer was not there after {seconds:g} s")
