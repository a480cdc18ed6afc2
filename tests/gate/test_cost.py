from dataclasses import replace

import numpy as np
import pytest

from include.contract.gate import CostConfig
from include.gate.cost import Cost, check, measure

CONFIG = CostConfig(single_p50=10, single_p99=50, batch_p99=500, memory=512, file=64)
GOOD = Cost(single_p50=5, single_p99=20, batch_rows=1000, batch_p50=80, batch_p99=100, memory=300, file=2, requests=220)
NAMES = ["single p50", "single p99", "batch p99", "memory", "file"]


def failed(cost):
    return [each.name for each in check(cost, CONFIG) if not each.passed]


def test_percentiles_of_the_timed_requests():
    found = measure(np.arange(1, 102), [10.0, 20.0, 30.0], batch_rows=500, memory=300.0, file=2.0)
    assert found == Cost(51, 100, 500, 20, pytest.approx(29.8), 300, 2, requests=104)


@pytest.mark.parametrize(
    ("single", "batch", "said"),
    [
        ([], [1.0], "no request with one row was timed"),
        ([1.0], [], "no request with 9 rows was timed"),
        ([1.0, float("nan")], [1.0], "1 of 2 requests with one row have no duration"),
        ([1.0], [-1.0], "1 of 1 requests with 9 rows have no duration"),
    ],
)
def test_what_was_not_timed_is_refused(single, batch, said):
    with pytest.raises(ValueError, match=said):
        measure(single, batch, batch_rows=9, memory=1, file=1)


@pytest.mark.parametrize("name", NAMES)
def test_each_number_may_be_its_limit_and_no_more(name):
    field = name.replace(" ", "_")
    limit = getattr(CONFIG, field)
    assert failed(replace(GOOD, **{field: limit})) == []
    assert failed(replace(GOOD, **{field: limit * 1.0001})) == [name]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -1.0])
def test_what_is_no_measure_fails(name, value):
    assert failed(replace(GOOD, **{name.replace(" ", "_"): value})) == [name]


@pytest.mark.parametrize("change", [{"requests": 0}, {"batch_rows": 0}, {"batch_p50": float("nan")}])
def test_what_was_timed_on_nothing_fails(change):
    assert failed(replace(GOOD, **change)) == NAMES


def test_without_evidence_each_check_fails_and_names_what_is_missing():
    checks = list(check(None, CONFIG))
    assert [each.name for each in checks if not each.passed] == NAMES
    assert all("could not be computed" in each.reason for each in checks)


def test_the_reason_names_the_rows_of_a_batch():
    reasons = {each.name: each.reason for each in check(GOOD, CONFIG)}
    assert reasons["batch p99"].endswith("a batch of 1000 rows (median 80 ms) is 100 ms, at most 500 ms")
    assert reasons["memory"] == "the memory of the serving process is 300 MiB, at most 512 MiB"
