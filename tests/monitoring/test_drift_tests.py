"""The tests behind drift: as scipy's, of bounded size, corrected for many features, alike from both sides."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from include.monitoring.drift import compare
from include.monitoring.reference import ReferenceProfile
from tests.monitoring.columns import CONFIG, normal, one


def test_quantiles_stand_for_all_values_of_a_large_sample():
    from scipy.stats import ks_2samp, mannwhitneyu, wasserstein_distance

    first, second = normal(80_000), normal(50_000, seed=1) + 0.02
    found, exact = one(first, second), ks_2samp(first, second)
    assert found.statistic == pytest.approx(exact.statistic, abs=0.001)
    assert found.effect == pytest.approx(wasserstein_distance(first, second) / first.std(), abs=0.002)
    ranks = mannwhitneyu(second, first)
    assert found.superiority == pytest.approx(ranks.statistic / len(first) / len(second), abs=0.001)
    # Rounding must not make a difference surer than it is.
    assert found.p_value >= 2 * min(exact.pvalue, ranks.pvalue)
    assert found.p_value == pytest.approx(2 * min(exact.pvalue, ranks.pvalue), rel=0.9)


@pytest.mark.parametrize(("shift", "scale"), [(0.4, 1.0), (0.0, 1.4)])
def test_small_samples_are_tested_as_scipy_does(shift, scale):
    from scipy.stats import ks_2samp, mannwhitneyu

    first, second = normal(700), np.round(scale * normal(400, seed=1) + shift, 1)
    first = np.round(first, 1)  # ties
    ranks = mannwhitneyu(first, second, use_continuity=False, method="asymptotic").pvalue
    whole = ks_2samp(first, second, method="asymp").pvalue
    assert bool(ranks < whole) == (scale == 1)  # the ranks see a shift best, and a change of the spread not at all
    assert one(first, second).p_value == pytest.approx(2 * min(ranks, whole), rel=1e-3)


def test_many_still_features_raise_no_alarm_and_hide_no_wolf():
    generator = np.random.default_rng(0)
    reference = pl.DataFrame({f"f{number}": generator.normal(size=2000) for number in range(40)})
    current = pl.DataFrame({f"f{number}": generator.normal(size=2000) for number in range(40)})
    profile = ReferenceProfile.of(reference)
    assert compare(profile, current, CONFIG).drifted == ()
    assert compare(profile, current.with_columns(pl.col("f7") + 0.3), CONFIG).drifted == ("f7",)


def test_the_psi_of_many_categories_is_not_inflated_by_chance():
    generator = np.random.default_rng(0)
    first, second = (generator.integers(0, 100, 2000).astype(str).tolist() for _ in range(2))
    assert one(first, second).psi < 0.03  # without the correction it would be .1


def rare(frequent, singles=900):
    return pl.DataFrame({"x": [*frequent, *(f"rare {number}" for number in range(singles))]})


def test_many_rare_categories_are_no_drift_by_themselves():
    reference = rare(["a", "b", "c"] * 3000)
    profile = ReferenceProfile.of(reference)
    windows = (reference.sample(300, with_replacement=True, seed=seed) for seed in range(150))
    p_values = [compare(profile, window, CONFIG).features[0].p_value for window in windows]
    assert np.mean(np.array(p_values) < 0.05) <= 0.1  # one row of a rare category is no news


def test_many_rare_categories_do_not_hide_a_shift_of_the_frequent_ones():
    current = rare(["a"] * 4500 + ["b", "c"] * 2250).sample(300, seed=0)
    found = compare(ReferenceProfile.of(rare(["a", "b", "c"] * 3000)), current, CONFIG).features[0]
    assert found.drifted


COLUMN = st.lists(st.none() | st.integers(-5, 5).map(float), min_size=1, max_size=60)


@settings(max_examples=60, deadline=None)
@given(first=COLUMN, second=COLUMN)
def test_the_tests_do_not_care_which_side_is_the_reference(first, second):
    kind = {"schema": {"x": pl.Float64}}
    there = compare(
        ReferenceProfile.of(pl.DataFrame({"x": first}, **kind)), pl.DataFrame({"x": second}, **kind), CONFIG
    )
    back = compare(ReferenceProfile.of(pl.DataFrame({"x": second}, **kind)), pl.DataFrame({"x": first}, **kind), CONFIG)
    one_way, other = there.features[0], back.features[0]
    assert one_way.computed == other.computed
    assert one_way.missing_p_value == pytest.approx(other.missing_p_value)
    if len(set(first) - {None}) > 1 and len(set(second) - {None}) > 1:  # a constant has a test of its own
        assert one_way.statistic == pytest.approx(other.statistic)
        assert one_way.p_value == pytest.approx(other.p_value)


@settings(max_examples=60, deadline=None)
@given(first=st.lists(st.sampled_from("abcde"), min_size=1), second=st.lists(st.sampled_from("abcde"), min_size=1))
def test_categories_are_compared_symmetrically_and_within_bounds(first, second):
    there, back = one(first, second), one(second, first)
    assert there.effect == pytest.approx(back.effect)
    assert there.p_value == pytest.approx(back.p_value)
    assert 0 <= there.effect <= 1 + 1e-12
    assert 0 <= there.p_value <= 1


@settings(max_examples=60, deadline=None)
@given(values=COLUMN)
def test_nothing_drifts_from_itself(values):
    assert not one(pl.Series(values, dtype=pl.Float64), pl.Series(values, dtype=pl.Float64)).drifted
