"""The same input has the same output, noise changes little, and a candidate is not all else than its champion."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from include.contract.gate import StabilityConfig
from include.gate.stability import CHANGE, MOST_ROWS, NOISE, ORDER, SINGLE, TOLERANCE, TWICE, Stability, check, measure
from include.registry.model_input import Feature

FEATURES = (Feature("x", "numeric"), Feature("flag", "boolean"), Feature("place", "categorical"))
CONFIG = StabilityConfig(noise=0.01, flipped_by_noise=0.05, flipped=0.4, moved=0.9)
STEADY = Stability(True, 100, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)


def rows(count=300, seed=1):
    generator = np.random.default_rng(seed)
    x = generator.random(count)
    x[:3] = np.nan
    return pd.DataFrame({"x": x, "flag": generator.random(count) > 0.5, "place": ["a", None, "b"] * (count // 3)})


def steady(frame):
    return np.nan_to_num(frame["x"].to_numpy(), nan=0.5) * 0.9 + 0.05


def measured(predict=steady, champion=None, threshold=0.5, count=300, config=CONFIG):
    frame = rows(count)
    found = predict(frame)
    return measure(predict, frame, FEATURES, found, champion, threshold=threshold, config=config, seed=3)


def failed(stability, champion=None):
    return [each.name for each in check(stability, CONFIG, champion) if not each.passed]


def test_a_function_of_its_rows_is_stable():
    found = measured(champion=steady(rows()))
    assert (found.repeated, found.alone, found.reordered, found.champion_flipped) == (0, 0, 0, 0)
    assert found.champion_distance == 0
    assert 0 < found.noise_flipped < 0.02
    assert failed(found, "7") == []
    assert Stability.from_dict(found.to_dict()) == found


def test_a_model_that_draws_lots_is_caught():
    generator = np.random.default_rng(0)
    assert TWICE in failed(measured(lambda frame: steady(frame) + generator.normal(0, 1e-6, len(frame))))


def test_a_model_that_looks_at_its_batch_is_caught():
    assert failed(measured(lambda frame: steady(frame) - np.nanmean(frame["x"]))) == [SINGLE]


def test_a_model_that_looks_at_the_order_is_caught():
    assert {SINGLE, ORDER} <= set(failed(measured(lambda frame: np.linspace(0, 1, len(frame)))))


def test_a_model_on_the_edge_is_caught_by_noise():
    def edgy(frame):
        return np.floor(np.nan_to_num(frame["x"].to_numpy(), nan=0.5) * 1e6) % 2

    assert failed(measured(edgy)) == [NOISE]


def test_noise_is_put_on_numeric_values_only():
    seen = []

    def remember(frame):
        seen.append(frame)
        return steady(frame)

    measured(remember)
    first, noisy = seen[1], seen[-1]
    moved = (noisy["x"] - first["x"]).dropna()
    assert np.std(moved) == pytest.approx(0.01 * np.nanstd(rows()["x"]), rel=0.2)
    assert noisy["x"].isna().equals(first["x"].isna())
    assert noisy[["flag", "place"]].equals(first[["flag", "place"]])


def test_a_column_without_spread_gets_no_noise():
    frame = rows().assign(x=2.0)
    found = measure(steady, frame, FEATURES, steady(frame), None, threshold=0.5, config=CONFIG, seed=1)
    assert found.noise_flipped == 0


def test_changes_of_a_regression_are_in_standard_deviations():
    champion = steady(rows())
    frame = rows()
    found = measure(
        steady, frame, FEATURES, champion + np.std(champion), champion, threshold=None, config=CONFIG, seed=1
    )
    assert found.champion_flipped == pytest.approx(1)
    assert found.champion_distance == pytest.approx(1)
    assert failed(found, "7") == [CHANGE]


def test_large_predictions_may_differ_in_their_last_digits():
    generator = np.random.default_rng(0)
    found = measured(lambda frame: 1e9 * (1 + steady(frame)) + generator.normal(0, 1e-3, len(frame)), threshold=None)
    assert TWICE not in failed(found)


@pytest.mark.parametrize("field", ["repeated", "alone", "reordered"])
def test_the_same_input_just_passes_and_just_fails(field):
    assert failed(Stability(**{**STEADY.to_dict(), field: TOLERANCE})) == []
    assert len(failed(Stability(**{**STEADY.to_dict(), field: TOLERANCE * 1.01}))) == 1
    assert len(failed(Stability(**{**STEADY.to_dict(), field: None}))) == 1


@pytest.mark.parametrize(
    ("field", "limit", "name", "decisions"),
    [
        ("noise_flipped", 0.05, NOISE, True),
        ("noise_flipped", 0.05, NOISE, False),
        ("champion_flipped", 0.4, CHANGE, True),
        ("champion_flipped", 0.9, CHANGE, False),
    ],
)
def test_a_change_just_passes_and_just_fails(field, limit, name, decisions):
    start = {**STEADY.to_dict(), "decisions": decisions}
    assert failed(Stability(**{**start, field: limit}), "7") == []
    assert failed(Stability(**{**start, field: limit + 1e-6}), "7") == [name]
    assert failed(Stability(**{**start, field: None}), "7") == [name]


def test_without_a_champion_there_is_nothing_to_differ_from():
    (found,) = [each for each in check(STEADY, CONFIG, None) if each.name == CHANGE]
    assert found.passed
    assert "no champion yet" in found.reason


def test_what_was_not_measured_has_failed():
    assert failed(None) == [TWICE, SINGLE, ORDER, NOISE, CHANGE]


def test_predictions_that_are_no_numbers_fail():
    found = measured(lambda frame: np.full(len(frame), np.nan))
    assert (found.repeated, found.noise_flipped) == (None, None)
    assert {TWICE, SINGLE, ORDER, NOISE} <= set(failed(found))


def test_at_most_so_many_rows_are_predicted_again():
    assert measured(count=3 * MOST_ROWS).rows == MOST_ROWS


@pytest.mark.parametrize(("count", "predictions"), [(0, 0), (3, 2)])
def test_rows_that_do_not_fit_are_refused(count, predictions):
    frame = rows().head(count)
    with pytest.raises(ValueError, match="must have rows, and as many"):
        measure(steady, frame, FEATURES, np.zeros(predictions), None, threshold=0.5, config=CONFIG, seed=1)


@settings(max_examples=20, deadline=None)
@given(scale=st.floats(0.1, 100), shift=st.floats(-100, 100))
def test_a_regressions_changes_do_not_depend_on_its_unit(scale, shift):
    frame, champion = rows(30), np.linspace(0, 1, 30)
    one = measure(steady, frame, FEATURES, steady(frame), champion, threshold=None, config=CONFIG, seed=1)
    scaled = measure(
        lambda each: steady(each) * scale + shift,
        frame,
        FEATURES,
        steady(frame) * scale + shift,
        champion * scale + shift,
        threshold=None,
        config=CONFIG,
        seed=1,
    )
    assert scaled.champion_flipped == pytest.approx(one.champion_flipped, rel=1e-6)
    assert scaled.noise_flipped == pytest.approx(one.noise_flipped, rel=1e-6)
