from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from include.demo.orchestration import covered

ZERO = datetime(2013, 1, 1, tzinfo=UTC)


def span(start: int, length: int) -> tuple[datetime, datetime]:
    return ZERO + timedelta(seconds=start), ZERO + timedelta(seconds=start + length)


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 20)), max_size=12))
def test_every_second_counts_once(spans: list[tuple[int, int]]) -> None:
    seconds = {second for start, length in spans for second in range(start, start + length)}
    assert covered([span(*each) for each in spans]) == len(seconds)
