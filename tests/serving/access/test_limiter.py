"""The token bucket lets through what its limit says, and no more in any window."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.serving.access.limiter import Limit, Limiter

RATES = st.floats(0.01, 1000)
BURSTS = st.integers(1, 50)
PAUSES = st.lists(st.floats(0, 5), min_size=1, max_size=120)


def moments(pauses: list[float]) -> list[float]:
    now, found = 1000.0, []
    for pause in pauses:
        now += pause
        found.append(now)
    return found


@given(RATES, BURSTS, PAUSES)
def test_no_window_has_more_than_the_burst_and_its_share_of_the_rate(
    rate: float, burst: int, pauses: list[float]
) -> None:
    limiter, limit = Limiter(), Limit(rate, burst)
    passed = [now for now in moments(pauses) if limiter.allow("web", limit, now) == 0]
    for first, start in enumerate(passed):
        for last, end in enumerate(passed[first:], first):
            assert last - first + 1 <= burst + rate * (end - start) + 1e-6


@given(RATES, BURSTS, PAUSES)
def test_who_waits_as_told_is_let_through(rate: float, burst: int, pauses: list[float]) -> None:
    limiter, limit = Limiter(), Limit(rate, burst)
    for now in moments(pauses):
        wait = limiter.allow("web", limit, now)
        if wait:
            assert 0 < wait <= 1 / rate + 1e-9
            assert limiter.allow("web", limit, now + wait * (1 + 1e-6) + 1e-6) == 0
            break


@given(RATES, BURSTS)
def test_who_stays_below_the_rate_never_waits(rate: float, burst: int) -> None:
    limiter, limit = Limiter(), Limit(rate, burst)
    assert all(limiter.allow("web", limit, number * 1.001 / rate) == 0 for number in range(50))


def test_clients_do_not_share_a_bucket() -> None:
    limiter, limit = Limiter(), Limit(1, 2)
    assert [limiter.allow("a", limit, 0) for _ in range(3)] == [0, 0, 1]
    assert limiter.allow("b", limit, 0) == 0


def test_a_refused_request_costs_nothing() -> None:
    limiter, limit = Limiter(), Limit(1, 1)
    limiter.allow("a", limit, 0)
    assert [limiter.allow("a", limit, 0.5) for _ in range(3)] == [0.5] * 3
    assert limiter.allow("a", limit, 1) == 0


def test_a_larger_cost_waits_longer() -> None:
    limiter, limit = Limiter(), Limit(2, 10)
    assert limiter.allow("a", limit, 0, cost=10) == 0
    assert limiter.allow("a", limit, 0, cost=4) == 2


def test_a_clock_that_goes_back_gives_nothing() -> None:
    limiter, limit = Limiter(), Limit(1, 1)
    limiter.allow("a", limit, 100)
    assert limiter.allow("a", limit, 50) == 1


def test_a_cost_that_can_never_be_paid_is_an_error() -> None:
    with pytest.raises(ValueError, match="cost of 3 is above the burst of 2"):
        Limiter().allow("a", Limit(1, 2), 0, cost=3)


@pytest.mark.parametrize(
    ("rate", "burst", "limit"),
    [(None, None, None), (2.5, None, Limit(2.5, 3)), (0.1, None, Limit(0.1, 1)), (2, 9, Limit(2, 9))],
)
def test_the_burst_follows_from_the_rate(rate: float | None, burst: int | None, limit: Limit | None) -> None:
    assert Limit.of(rate, burst) == limit
