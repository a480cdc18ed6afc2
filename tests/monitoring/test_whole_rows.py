"""Rows whose numbers do not go together as they did raise an alarm; days that are alike within themselves do not."""

import numpy as np
import polars as pl
import pytest

from include.contract.monitoring import DriftConfig
from include.monitoring.reference import EmptyWindowError
from include.monitoring.whole_rows import whole_rows

CONFIG = DriftConfig()


def correlated(rows, seed, sign=1):
    generator = np.random.default_rng(seed)
    x = generator.normal(size=rows)
    return pl.DataFrame({"x": x, "y": sign * x + generator.normal(0, 0.05, rows), "c": ["a", "b"] * (rows // 2)})


def test_rows_that_break_a_pattern_are_unlike_as_a_whole():
    reference = correlated(6000, 0)
    still = whole_rows(reference, correlated(2000, 1), CONFIG, seed=0)
    assert not still.alarm
    assert still.expected == pytest.approx(0.001, abs=0.0005)
    assert whole_rows(reference, correlated(2000, 1, sign=-1), CONFIG, seed=0).alarm  # each value is common


def test_numbers_that_are_codes_are_left_out():
    reference, current = correlated(6000, 0), correlated(2000, 1, sign=-1)
    assert not whole_rows(reference, current, CONFIG, seed=0, categorical=["y"]).alarm


def test_missing_values_are_the_middle():
    holes = correlated(2000, 1).with_columns(x=pl.when(pl.int_range(pl.len()) % 3 > 0).then("x"))
    assert not whole_rows(correlated(6000, 0).with_columns(y=pl.lit(None, pl.Float64)), holes, CONFIG, seed=0).alarm


@pytest.mark.parametrize("frame", [correlated(4000, 0).select("c", x=pl.lit(1.0)), correlated(4000, 0).select("c")])
def test_numbers_that_vary_are_needed(frame):
    found = whole_rows(frame, frame, CONFIG, seed=0)
    assert (found.alarm, found.computed) == (True, False)
    assert "no column of numbers that vary" in found.reasons[0]


def test_a_score_needs_rows_and_days():
    with pytest.raises(EmptyWindowError, match=r"100 reference rows .* a score needs 2000"):
        whole_rows(correlated(100, 0), correlated(100, 1), CONFIG, seed=0)
    days = correlated(6000, 0).with_columns(day=pl.int_range(pl.len()) // 1000)
    with pytest.raises(EmptyWindowError, match="current rows of 1: "):
        whole_rows(days, days.filter(pl.col("day") == 0), CONFIG, seed=0, blocks="day")


def weather(generator, days, rows=100):
    """Rows of days that share four numbers, each day like the one before, and have four of their own that go
    together."""
    state, frames = generator.normal(size=4), []
    mixed = np.random.default_rng(8).normal(size=(2, 4, 4))
    for _ in range(days):
        state = 0.5 * state + np.sqrt(0.75) * generator.normal(size=4)
        shared = state @ mixed[0] + generator.normal(0, 0.3, (rows, 4))
        frames.append(np.hstack([shared, generator.normal(size=(rows, 4)) @ mixed[1]]))
    columns = [f"shared {number}" for number in range(4)] + [f"own {number}" for number in range(4)]
    return pl.DataFrame(np.vstack(frames), schema=columns).with_columns(day=pl.int_range(pl.len()) // rows)


def test_days_that_hang_together_raise_few_false_alarms_and_a_broken_pattern_is_seen():
    alarms = {"by day": 0, "by row": 0, "broken": 0}
    for seed in range(60):
        frame = weather(np.random.default_rng([seed, 28]), 35)
        gate, now = frame.filter(pl.col("day") < 28), frame.filter(pl.col("day") >= 28)
        broken = now.with_columns(-pl.col("own 1"), -pl.col("own 3"))
        alarms["by day"] += whole_rows(gate, now, CONFIG, seed=seed, blocks="day").alarm
        alarms["by row"] += whole_rows(gate.drop("day"), now.drop("day"), CONFIG, seed=seed).alarm
        alarms["broken"] += whole_rows(gate, broken, CONFIG, seed=seed, blocks="day").alarm
    assert alarms["by day"] <= 1  # at most .003 is promised of each
    assert alarms["by row"] >= 15  # what rows that count as independent would raise
    assert alarms["broken"] >= 50
