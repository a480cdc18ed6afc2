"""Groups of rows are measured for both models; small ones are counted."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from include.gate.slices import MOST_SLICES, Slices, Small, measure
from tests.gate.groups import AUC, MAE, config, fourteen_days, measured, regression


def test_groups_are_measured_and_small_ones_counted():
    labels, ours, theirs, blocks, columns = regression({"AA": 1.0, "UA": 2.0}, {"AA": 1.0, "UA": 1.0})
    columns["airline"][:9] = [None] * 9
    found = measured(labels, ours, theirs, blocks, columns)
    assert [(str(each), each.rows, each.blocks) for each in found.groups] == [
        ("airline UA", 140, 14),
        ("airline AA", 131, 14),
    ]
    assert found.small == (Small("airline", 1, 9),)
    assert found.groups[0].challenger == pytest.approx(2, rel=0.05)
    low, high = found.groups[0].interval
    assert low < found.groups[0].challenger - found.groups[0].champion < high
    assert Slices.from_dict(found.to_dict()) == found


def test_missing_values_are_a_group():
    labels, ours, theirs, blocks, _ = regression({"AA": 1.0})
    (group,) = measured(labels, ours, theirs, blocks, {"airline": [None] * 140}).groups
    assert str(group) == "airline missing"


def test_rows_of_a_single_block_are_no_group_to_judge():
    labels, ours, theirs, _, columns = regression({"AA": 1.0, "UA": 2.0})
    blocks = np.where(np.arange(280) < 140, "2013-03-01", fourteen_days(280))
    found = measured(labels, ours, theirs, blocks, columns)
    assert [each.value for each in found.groups] == ["UA"]
    assert found.small == (Small("airline", 1, 140),)


def test_the_largest_of_many_groups_are_judged():
    rows = (MOST_SLICES + 5) * 20
    names = [str(row % (MOST_SLICES + 5)) for row in range(rows)]
    found = measured(np.zeros(rows), np.ones(rows), None, fourteen_days(rows), {"tail": names})
    assert len(found.groups) == MOST_SLICES
    assert found.small == (Small("tail", 5, 100),)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"columns": {"airline": ["AA"]}}, "column airline has 1 values for 140 rows"),
        ({"ours": np.full(140, np.nan)}, "140 of 140 predictions are not finite"),
        ({"theirs": np.ones(3)}, "vectors of one length"),
        ({"metric": AUC}, "'roc_auc' is no metric of a regression"),
    ],
)
def test_what_cannot_be_measured_is_refused(change, said):
    names = ("labels", "ours", "theirs", "blocks", "columns")
    given_ = {**dict(zip(names, regression({"AA": 1.0}), strict=True)), "metric": MAE, **change}
    with pytest.raises(ValueError, match=said):
        measure(
            "regression",
            given_["metric"],
            given_["labels"],
            given_["ours"],
            given_["theirs"],
            given_["blocks"],
            given_["columns"],
            config=config(),
            threshold=None,
            seed=1,
        )


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**20))
def test_the_order_of_rows_does_not_matter(seed):
    order = np.random.default_rng(seed).permutation(280)
    labels, ours, theirs, blocks, columns = regression({"AA": 1.0, "UA": 2.0}, {"AA": 1.1, "UA": 1.9})
    shuffled = {"airline": [columns["airline"][row] for row in order]}
    one = measured(labels, ours, theirs, blocks, columns)
    other = measured(labels[order], ours[order], theirs[order], blocks[order], shuffled)
    for before, after in zip(one.groups, other.groups, strict=True):
        assert before.value == after.value
        assert after.challenger == pytest.approx(before.challenger)
        assert after.interval == pytest.approx(before.interval)
