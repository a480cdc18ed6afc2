"""The behaviours of a use case's author are asked for, and what cannot be asked has failed."""

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from include.contract.behaviours import Direction, Example, Invariance
from include.gate.behaviour import MOST_ROWS, Outcome, check, examine

ROWS = pl.DataFrame({"temp": [float(value) for value in range(100)], "place": ["a", "b"] * 50})
BEHAVED = Outcome("warmer", "direction", 100, 10, 0.9, "temp 1 -> 2: prediction 1 becomes 0.5")


def predict(frame):
    """Warmer is higher; an unknown place costs a little."""
    known = frame["place"].is_in(["a", "b"]).to_numpy()
    return frame["temp"].fill_null(50).to_numpy() + np.where(known, 0.0, 0.5)


def warmer(rows):
    return rows.with_columns(pl.col("temp") + 5)


def moved(rows):
    return rows.with_columns(place=pl.lit("nowhere"))


def outcome(behaviour, model=predict, rows=ROWS):
    (found,) = examine(SimpleNamespace(behaviours=lambda _: [behaviour]), model, rows)
    return found


@pytest.mark.parametrize(
    ("behaviour", "passes"),
    [
        (Direction("warmer", warmer, "up"), True),
        (Direction("warmer", warmer, "down"), False),
        (Invariance("moved", moved, tolerance=0.5), True),
        (Invariance("moved", moved, tolerance=0.49), False),
        (Example("summer", [{"temp": 80.0, "place": "a"}, {"temp": 90.0, "place": "b"}], low=80, high=90), True),
        (Example("summer", [{"temp": 80.0, "place": "a"}, {"temp": 90.0, "place": "b"}], low=80.1), False),
        (Example("summer", ROWS.tail(1), high=98.9), False),
        (Example("nothing but the place", [{"place": "a"}], low=50, high=50), True),
    ],
    ids=str,
)
def test_each_kind_just_passes_and_just_fails(behaviour, passes):
    found = outcome(behaviour)
    assert found.passed is passes
    (said,) = check([found])
    assert (said.passed, said.name) == (passes, f"behaviour: {behaviour.name}")


def test_the_worst_row_is_told_in_words():
    found = outcome(Invariance("moved", moved, tolerance=0.1))
    assert (found.rows, found.failed) == (100, 100)
    assert "place 'a' -> 'nowhere'" in found.worst or "place 'b' -> 'nowhere'" in found.worst
    assert "becomes" in next(check([found])).reason
    said = outcome(Example("summer", [{"temp": 80.0}, {"temp": 99.0}], low=0, high=85)).worst
    assert said == "temp 99: prediction 99.5, expected 0 to 85"


@pytest.mark.parametrize(("share", "passes"), [(0.9, True), (0.91, False)])
def test_a_share_of_the_rows_may_misbehave(share, passes):
    def stubborn(frame):
        cold = frame["temp"].to_numpy() % 1 > 0
        return np.where(cold, -1.0, 0.0) * (frame["temp"].to_numpy() < 10) + (frame["temp"].to_numpy() >= 10) * cold

    found = outcome(Direction("warmer", lambda rows: rows.with_columns(pl.col("temp") + 0.5), "up", share), stubborn)
    assert (found.rows, found.failed) == (100, 10)
    assert found.passed is passes


def test_a_model_that_does_not_care_moves_no_way():
    found = outcome(Direction("warmer", warmer, "up", share=0.1), lambda frame: np.full(frame.height, 0.5))
    assert not found.passed
    assert found.problem == "the mean prediction moves by 0, not up"


def test_rows_that_a_change_leaves_as_they_are_are_not_judged():
    some = pl.when(pl.col("temp") < 20).then(pl.col("temp") + 1).otherwise("temp")
    assert outcome(Direction("warmer", lambda rows: rows.with_columns(temp=some), "up")).rows == 20


def fail(rows):
    raise KeyError("temperature")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (fail, "KeyError: 'temperature'"),
        (lambda rows: None, "change() returned NoneType, expected a polars DataFrame"),
        (lambda rows: rows.head(3), "change() returned 3 rows for 100"),
        (lambda rows: rows.drop("temp"), "not the columns of the rows: temp"),
        (lambda rows: rows.with_columns(tmp=pl.lit(1)), "not the columns of the rows: tmp"),
        (lambda rows: rows, "change() changes no row"),
        (lambda rows: rows.with_columns(temp=pl.lit("hot")), "Error"),
    ],
)
@pytest.mark.parametrize(
    "kind", [lambda change: Invariance("odd", change, 9), lambda change: Direction("odd", change, "up")]
)
def test_a_change_that_does_not_work_fails_by_name(change, said, kind):
    found = outcome(kind(change))
    assert not found.passed
    assert said in found.problem
    (refusal,) = check([found])
    assert not refusal.passed
    assert "behaviours.py" in refusal.reason and "'odd'" in refusal.reason


@pytest.mark.parametrize(
    ("written", "said"),
    [
        (fail, "behaviours() raised KeyError: 'temperature'"),
        (lambda rows: None, "behaviours() raised TypeError"),
        (lambda rows: [], "behaviours() returned no behaviour"),
        (lambda rows: [Invariance("moved", moved, -1)], "Invariance 'moved': tolerance must be at least 0, got -1"),
        (lambda rows: ["warmer"], "expected an Invariance, a Direction or an Example, got str"),
    ],
)
def test_a_module_that_does_not_work_fails(written, said):
    (found,) = examine(SimpleNamespace(behaviours=written), predict, ROWS)
    assert not found.passed
    assert said in next(check([found])).reason


@pytest.mark.parametrize(
    ("example", "said"),
    [
        (Example("odd", [{"tmp": 1.0}], low=0), "the model reads no feature tmp"),
        (Example("odd", [{"temp": "hot"}], low=0), "Error"),
    ],
)
def test_an_example_that_the_model_cannot_read_fails(example, said):
    assert said in outcome(example).problem


def test_one_broken_test_does_not_hide_the_others():
    tests = [Invariance("odd", fail, 1), Direction("warmer", warmer, "up")]
    found = examine(SimpleNamespace(behaviours=lambda _: tests), predict, ROWS)
    assert [each.passed for each in found] == [False, True]


@pytest.mark.parametrize(
    "behaviour",
    [Invariance("moved", moved, 9), Direction("warmer", warmer, "up"), Example("any", ROWS.head(1), low=-9)],
)
def test_predictions_that_are_no_numbers_fail(behaviour):
    found = outcome(behaviour, lambda frame: np.full(frame.height, np.nan))
    assert not found.passed
    assert found.failed == found.rows


def test_no_rows_prove_nothing():
    assert not outcome(Direction("warmer", warmer, "up"), rows=ROWS.clear()).passed


def test_at_most_so_many_rows_are_predicted():
    many = pl.concat([ROWS] * 25)
    assert outcome(Direction("warmer", warmer, "up"), rows=many).rows == MOST_ROWS


def test_without_behaviours_one_check_says_so():
    (found,) = check(examine(None, predict, ROWS))
    assert found.passed
    assert "has no behaviours.py" in found.reason


def test_what_was_not_examined_has_failed():
    (found,) = check(None)
    assert not found.passed


def test_outcomes_survive_json():
    assert Outcome.from_dict(json.loads(json.dumps(BEHAVED.to_dict()))) == BEHAVED


@pytest.mark.parametrize(
    ("change", "passes"), [({}, True), ({"failed": 11}, False), ({"problem": "it is odd"}, False), ({"rows": 0}, False)]
)
def test_an_outcome_passes_by_its_share(change, passes):
    assert replace(BEHAVED, **change).passed is passes


@settings(max_examples=30, deadline=None)
@given(order=st.permutations(range(30)), tolerance=st.floats(0, 2))
def test_the_order_of_rows_does_not_matter(order, tolerance):
    behaviour = Invariance("half a degree", lambda rows: rows.with_columns(pl.col("temp") * 1.05), tolerance, share=0.5)
    found, again = (outcome(behaviour, rows=rows) for rows in (ROWS.head(30), ROWS.head(30)[list(order)]))
    assert (found.rows, found.failed, found.passed) == (again.rows, again.failed, again.passed)
