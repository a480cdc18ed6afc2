from __future__ import annotations

from include.serving.breaker import FAILURES, LONGEST_PAUSE, PAUSE, Breaker


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def broken(clock: Clock) -> Breaker:
    breaker = Breaker(clock)
    for _ in range(FAILURES):
        assert breaker.remaining() == 0
        breaker.failed()
    return breaker


def test_after_some_failures_in_a_row_the_store_is_left_alone() -> None:
    clock = Clock()
    breaker = broken(clock)
    assert breaker.remaining() == PAUSE
    clock.now += PAUSE / 4
    assert breaker.remaining() == PAUSE * 3 / 4


def test_a_success_between_begins_anew() -> None:
    breaker = Breaker(Clock())
    for _ in range(FAILURES - 1):
        breaker.failed()
    breaker.succeeded()
    for _ in range(FAILURES - 1):
        breaker.failed()
    assert breaker.remaining() == 0


def test_after_the_pause_one_tries_while_the_others_wait() -> None:
    clock = Clock()
    breaker = broken(clock)
    clock.now += PAUSE
    assert breaker.remaining() == 0
    assert breaker.remaining() == PAUSE
    breaker.succeeded()
    assert breaker.remaining() == 0


def test_pauses_grow_up_to_the_longest() -> None:
    clock = Clock()
    breaker = broken(clock)
    pauses = []
    for _ in range(8):
        pauses.append(breaker.remaining())
        clock.now += pauses[-1]
        assert breaker.remaining() == 0
        breaker.failed()
    assert pauses == [min(PAUSE * 2**number, LONGEST_PAUSE) for number in range(8)]
