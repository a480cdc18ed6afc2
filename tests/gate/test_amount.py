from dataclasses import replace

import pytest

from include.gate.amount import check
from tests.gate.sample import CONFIG, GOOD


def failed(task="classification", **change):
    return [each.name for each in check(replace(GOOD, **change), task, CONFIG) if not each.passed]


@pytest.mark.parametrize(
    ("change", "names"),
    [
        ({}, []),
        ({"rows": 200, "positives": 60}, []),
        ({"rows": 199, "positives": 60}, ["rows"]),
        ({"blocks": 7}, []),
        ({"blocks": 6}, ["blocks"]),
        ({"positives": 1}, []),
        ({"positives": 999}, []),
        ({"positives": 0}, ["classes"]),
        ({"positives": 1000}, ["classes"]),
        ({"positives": None}, ["classes"]),
    ],
)
def test_there_must_be_enough_to_judge_by(change, names):
    assert failed(**change) == names


def test_a_regression_has_no_classes():
    assert failed("regression", positives=None) == []


def test_reasons_count():
    rows, blocks, classes = check(replace(GOOD, rows=100, positives=None), "classification", CONFIG)
    assert rows.reason == "100 rows in the test stretch are too few (at least 200)"
    assert blocks.reason == "14 blocks in the test stretch are enough (at least 7)"
    assert classes.reason == "the number of positives in the test stretch could not be computed"
