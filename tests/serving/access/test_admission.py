"""So many requests are worked on, so many wait, and no more; none for longer than its time."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from include.serving.access.admission import Admission
from include.serving.access.refusal import Refusal

LONG = 30.0


async def held(admission: Admission, until: asyncio.Event, seconds: float = LONG) -> str:
    async with admission.slot(seconds):
        await until.wait()
    return "done"


async def settled() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def refused(work: Awaitable[Any]) -> Refusal:
    with pytest.raises(Refusal) as raised:
        await work
    return raised.value


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    async def limited() -> None:
        async with asyncio.timeout(LONG):
            await scenario()

    asyncio.run(limited())


def test_beyond_the_limit_requests_wait_and_beyond_that_they_are_refused_at_once() -> None:
    async def scenario() -> None:
        admission, end = Admission(2, 1), asyncio.Event()
        tasks = [asyncio.create_task(held(admission, end)) for _ in range(3)]
        await settled()
        assert (admission.in_progress, admission.waiting) == (2, 1)
        refusal = await refused(held(admission, end))
        assert (refusal.status, refusal.headers) == (503, {"Retry-After": "1"})
        assert str(refusal) == "2 requests are in progress and 1 wait; ask again"
        end.set()
        assert await asyncio.gather(*tasks) == ["done"] * 3
        assert (admission.in_progress, admission.waiting) == (0, 0)

    run(scenario)


def test_who_came_first_is_served_first() -> None:
    async def scenario() -> None:
        admission, order = Admission(1, 10), []

        async def one(number: int) -> None:
            async with admission.slot(LONG):
                order.append(number)
                await asyncio.sleep(0)

        await asyncio.gather(*(one(number) for number in range(10)))
        assert order == list(range(10))

    run(scenario)


def test_a_wait_that_takes_too_long_is_503_and_work_that_does_504() -> None:
    async def scenario() -> None:
        admission, end = Admission(1, 1), asyncio.Event()
        first = asyncio.create_task(refused(held(admission, end, 0.1)))
        await settled()
        waited = await refused(held(admission, end, 0.01))
        assert (waited.status, waited.headers) == (503, {"Retry-After": "1"})
        assert (await first).status == 504
        assert (admission.in_progress, admission.waiting) == (0, 0)

    run(scenario)


def test_the_time_in_the_queue_counts() -> None:
    async def scenario() -> None:
        admission, end, never = Admission(1, 1), asyncio.Event(), asyncio.Event()
        first = asyncio.create_task(held(admission, end))
        await settled()
        second = asyncio.create_task(refused(held(admission, never, 0.1)))
        await asyncio.sleep(0.05)
        began = asyncio.get_running_loop().time()
        end.set()
        assert (await second).status == 504
        assert asyncio.get_running_loop().time() - began < 5
        await first

    run(scenario)


def test_an_error_of_the_work_is_its_own_and_frees_the_slot() -> None:
    async def scenario() -> None:
        admission = Admission(1, 0)
        for error in (TimeoutError("the store"), KeyError("x")):
            with pytest.raises(type(error)):
                async with admission.slot(LONG):
                    raise error
            with pytest.raises(type(error)):
                await admission.in_thread(_raising(error), LONG)
        assert admission.in_progress == 0

    run(scenario)


def _raising(error: Exception) -> Callable[[], None]:
    def work() -> None:
        raise error

    return work


def test_a_client_that_leaves_frees_its_place() -> None:
    async def scenario() -> None:
        admission, end = Admission(1, 2), asyncio.Event()
        tasks = [asyncio.create_task(held(admission, end)) for _ in range(3)]
        await settled()
        tasks[1].cancel()
        await settled()
        assert (admission.in_progress, admission.waiting) == (1, 1)
        tasks[0].cancel()
        await settled()
        assert (admission.in_progress, admission.waiting) == (1, 0)
        end.set()
        assert await tasks[2] == "done"
        assert admission.in_progress == 0

    run(scenario)


def test_a_client_that_leaves_as_its_turn_comes_hands_it_on() -> None:
    async def scenario() -> None:
        admission, end = Admission(1, 2), asyncio.Event()
        first, second, third = (asyncio.create_task(held(admission, end)) for _ in range(3))
        await settled()
        end.set()
        first.add_done_callback(lambda _: second.cancel())
        await asyncio.gather(first, second, third, return_exceptions=True)
        assert third.result() == "done"
        assert (admission.in_progress, admission.waiting) == (0, 0)

    run(scenario)


def test_a_thread_that_hangs_is_answered_in_time_and_keeps_its_slot_until_it_ends() -> None:
    async def scenario() -> None:
        admission, end = Admission(1, 0), threading.Event()
        try:
            assert (await refused(admission.in_thread(end.wait, 0.05))).status == 504
            assert admission.in_progress == 1
            assert (await refused(admission.in_thread(end.wait, LONG))).status == 503
        finally:
            end.set()
        assert await admission.drained(LONG)
        assert admission.in_progress == 0

    run(scenario)


def test_work_in_threads_is_answered() -> None:
    async def scenario() -> None:
        admission = Admission(2, 8)
        names = await asyncio.gather(
            *(admission.in_thread(lambda: threading.current_thread().name, LONG) for _ in range(10))
        )
        assert set(names) <= {"request_0", "request_1"}
        assert await admission.drained(LONG)

    run(scenario)


def test_a_server_that_stops_ends_what_it_began() -> None:
    async def scenario() -> None:
        admission, end = Admission(1, 1), asyncio.Event()
        tasks = [asyncio.create_task(held(admission, end)) for _ in range(2)]
        await settled()
        admission.close()
        refusal = await refused(held(admission, end))
        assert (refusal.status, refusal.title) == (503, "Shutting down")
        assert not await admission.drained(0.01)
        end.set()
        assert await admission.drained(LONG)
        assert await asyncio.gather(*tasks) == ["done"] * 2

    run(scenario)


def test_nothing_in_flight_is_drained() -> None:
    assert asyncio.run(Admission(1, 1).drained(0.01))


@settings(max_examples=25, deadline=None)
@given(
    st.integers(1, 3),
    st.integers(0, 3),
    st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6), st.integers(0, 12)), max_size=12),
)
def test_no_order_of_events_leaks_a_slot(limit: int, waiting: int, requests: list[tuple[int, int, int]]) -> None:
    """Each request comes, works and is cancelled at some turn of the loop."""

    async def scenario() -> None:
        admission = Admission(limit, waiting)
        most = 0

        async def one(comes: int, works: int) -> None:
            nonlocal most
            for _ in range(comes):
                await asyncio.sleep(0)
            async with admission.slot(LONG):
                most = max(most, admission.in_progress)
                for _ in range(works):
                    await asyncio.sleep(0)

        tasks = [asyncio.create_task(one(comes, works)) for comes, works, _ in requests]
        for turn in range(13):
            for task, (_, _, leaves) in zip(tasks, requests, strict=True):
                if leaves == turn and turn % 2:
                    task.cancel()
            assert admission.waiting <= waiting
            await asyncio.sleep(0)
        ended = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(each is None or isinstance(each, Refusal | asyncio.CancelledError) for each in ended)
        assert most <= limit
        assert (admission.in_progress, admission.waiting) == (0, 0)
        assert await admission.drained(0)

    run(scenario)
