"""Drift is what is both more than chance and large enough to matter; what cannot be computed counts as drifted."""

import json
from datetime import datetime

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from include.contract.monitoring import DriftConfig
from include.monitoring.distributions import WrongTypeError
from include.monitoring.drift import DriftReport, compare, compare_labels
from include.monitoring.reference import EmptyWindowError, ReferenceProfile

CONFIG = DriftConfig(alpha=0.01, effect=0.08, prediction_effect=0.1)


def normal(rows, mean=0.0, seed=0):
    return np.random.default_rng(seed).normal(mean, 1, rows)


def one(reference, current, config=CONFIG):
    """The drift of a single column."""
    report = compare(ReferenceProfile.of(pl.DataFrame({"x": reference})), pl.DataFrame({"x": current}), config)
    return report.features[0]


def named(report, name):
    return next(feature for feature in report.features if feature.name == name)


def test_the_same_data_has_not_drifted():
    found = one(normal(5000), normal(5000))
    assert not found.drifted
    assert found.effect == found.statistic == 0
    assert found.q_value == 1


@pytest.mark.parametrize(("shift", "drifted"), [(0.06, False), (0.12, True)])
def test_a_shift_counts_from_the_effect_that_matters(shift, drifted):
    found = one(normal(50_000), normal(50_000, seed=1) + shift)
    assert found.q_value < CONFIG.alpha  # in both cases it is more than chance
    assert found.effect == pytest.approx(shift, abs=0.02)
    assert found.drifted is drifted


@pytest.mark.parametrize(("rows", "drifted"), [(60, False), (6000, True)])
def test_a_large_effect_in_few_rows_may_be_chance(rows, drifted):
    found = one(normal(rows), normal(rows, seed=1) + 0.3)
    assert found.effect >= CONFIG.effect
    assert found.drifted is drifted


@pytest.mark.parametrize(("moved", "drifted"), [(0.07, False), (0.09, True)])
def test_a_category_share_counts_from_the_effect_that_matters(moved, drifted):
    rows = 10_000
    split = round(rows * (0.5 + moved))
    found = one(["a"] * (rows // 2) + ["b"] * (rows // 2), ["a"] * split + ["b"] * (rows - split))
    assert found.q_value < CONFIG.alpha
    assert found.effect == pytest.approx(moved)
    assert found.drifted is drifted


@pytest.mark.parametrize(("share", "drifted"), [(0.05, False), (0.15, True)])
def test_missing_values_are_a_drift_of_their_own(share, drifted):
    current = normal(5000, seed=1)
    current[: int(5000 * share)] = np.nan
    found = one(normal(5000), current)
    assert found.effect < CONFIG.effect
    assert found.missing_q_value < CONFIG.alpha
    assert (found.missing_reference, found.missing_current) == (0, share)
    assert found.drifted is drifted
    assert any("share of missing values changed" in reason for reason in found.reasons)


def test_the_effect_is_in_standard_deviations_of_the_reference():
    found = one(10 * normal(5000) + 300, 10 * normal(5000) + 303)
    assert found.effect == pytest.approx(0.3, abs=0.01)


def test_nulls_nan_and_infinities_are_all_missing():
    found = one([1.0, 2.0, None, float("nan"), float("inf")], [1.0, 2.0])
    assert (found.n_reference, found.missing_reference) == (2, 0.6)


def test_a_column_that_is_gone_has_drifted():
    report = compare(ReferenceProfile.of(pl.DataFrame({"x": [1.0], "y": [2.0]})), pl.DataFrame({"x": [1.0]}), CONFIG)
    found = named(report, "y")
    assert (found.drifted, found.computed) == (True, False)
    assert found.reasons == ("could not be computed: the column is missing from the current data",)
    assert report.drifted == ("y",)


@pytest.mark.parametrize(
    ("reference", "current", "words"),
    [
        ([1.0, 2.0], ["one", "two"], "String, not numbers"),
        (["a", "b"], [[1], [2]], "not categories"),
        ([1.0, 2.0], [None, None], "all values are missing in the current data"),
        ([None, None], [1.0, 2.0], "all values are missing in the reference"),
        ([1.7e308, -1.7e308], [1.7e308, 1.7e308], "too large"),
    ],
)
def test_what_cannot_be_computed_counts_as_drifted(reference, current, words):
    found = one(pl.Series(reference, dtype=pl.Float64) if reference == [None, None] else reference, current)
    assert (found.drifted, found.computed) == (True, False)
    assert words in found.reasons[-1]


def test_a_column_that_never_had_a_value_has_not_drifted():
    assert not one([None, None], [None, None]).drifted


@pytest.mark.parametrize(("changed", "drifted"), [(70, False), (90, True)])
def test_a_constant_is_judged_by_the_share_of_changed_values(changed, drifted):
    found = one([3.0] * 1000, [3.0] * (1000 - changed) + [4.0] * changed)
    assert found.effect == changed / 1000
    assert found.q_value < CONFIG.alpha
    assert found.drifted is drifted


def test_a_constant_that_stays_has_not_drifted_whatever_its_rounding():
    assert not one([0.1] * 1000, [0.1] * 777).drifted


def test_new_and_gone_categories_are_named():
    found = one(["a"] * 500 + ["b"] * 500, ["a"] * 500 + ["c"] * 400 + ["d"] * 100)
    assert found.drifted
    assert found.new_categories == ("c", "d")
    assert found.gone_categories == ("b",)
    assert any("2 new categories: 'c', 'd'" in reason for reason in found.reasons)


def test_thousands_of_categories_are_kept_in_a_bounded_size():
    names = [f"tail {number:05}" for number in range(5000)]
    profile = ReferenceProfile.of(pl.DataFrame({"x": names * 2}))
    assert len(profile.features["x"].counts) == 1000
    found = compare(profile, pl.DataFrame({"x": names}), CONFIG).features[0]
    assert not found.drifted
    assert found.new_categories == ()  # an unknown one may be among those that were not kept


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


def test_whole_numbers_are_the_same_categories_as_integers_or_floats():
    profile = ReferenceProfile.of(pl.DataFrame({"month": [1, 2, 3] * 100}), categorical=["month"])
    found = compare(profile, pl.DataFrame({"month": [1.0, 2.0, 3.0] * 100}), CONFIG).features[0]
    assert (found.kind, found.new_categories, found.effect) == ("categorical", (), 0)


def test_booleans_and_enums_are_categorical():
    frame = pl.DataFrame({"late": [True, False], "size": pl.Series(["s", "m"], dtype=pl.Enum(["s", "m"]))})
    assert {column.kind for column in ReferenceProfile.of(frame).features.values()} == {"categorical"}


def test_the_prediction_has_its_own_limit_and_is_not_a_feature():
    reference = pl.DataFrame({"x": normal(20_000), "p": normal(20_000)})
    profile = ReferenceProfile.of(reference, prediction="p")
    moved = compare(profile, reference.with_columns(pl.all() + 0.09), CONFIG)
    assert moved.drifted == ("x",)
    assert not moved.prediction.drifted
    assert compare(profile, reference.with_columns(pl.all() + 0.11), CONFIG).prediction.drifted


def test_a_prediction_that_is_not_logged_could_not_be_computed():
    profile = ReferenceProfile.of(pl.DataFrame({"x": [1.0], "p": [1.0]}), prediction="p")
    found = compare(profile, pl.DataFrame({"x": [1.0]}), CONFIG).prediction
    assert (found.drifted, found.computed) == (True, False)


def test_columns_unknown_to_the_reference_are_ignored():
    profile = ReferenceProfile.of(pl.DataFrame({"x": [1.0, 2.0]}))
    report = compare(profile, pl.DataFrame({"x": [1.0, 2.0], "key": ["a", "b"]}), CONFIG)
    assert [feature.name for feature in report.features] == ["x"]


def test_no_current_rows_are_an_error_that_says_so():
    profile = ReferenceProfile.of(pl.DataFrame({"x": [1.0]}))
    with pytest.raises(EmptyWindowError, match="the current data has no rows"):
        compare(profile, pl.DataFrame({"x": []}), CONFIG)


def test_a_reference_needs_rows_known_columns_and_types():
    with pytest.raises(EmptyWindowError, match="the reference has no rows"):
        ReferenceProfile.of(pl.DataFrame({"x": []}))
    with pytest.raises(ValueError, match="not among the reference's columns: p"):
        ReferenceProfile.of(pl.DataFrame({"x": [1]}), prediction="p")
    with pytest.raises(WrongTypeError, match="'at' has type Datetime"):
        ReferenceProfile.of(pl.DataFrame({"at": [datetime(2013, 1, 1)]}))  # noqa: DTZ001


def test_a_profile_is_bounded_and_survives_json():
    frame = pl.DataFrame({"x": normal(100_000), "c": ["a", "b"] * 50_000, "p": normal(100_000)})
    profile = ReferenceProfile.of(frame, prediction="p")
    assert profile.features["x"].n == 100_000
    assert len(profile.features["x"].points) == 2000
    assert ReferenceProfile.from_dict(json.loads(json.dumps(profile.to_dict()))) == profile


def test_a_report_survives_json():
    profile = ReferenceProfile.of(pl.DataFrame({"x": normal(300), "c": ["a", "b", "c"] * 100, "gone": normal(300)}))
    report = compare(profile, pl.DataFrame({"x": normal(200, seed=1), "c": ["a", "d"] * 100}), CONFIG)
    assert DriftReport.from_dict(json.loads(json.dumps(report.to_dict(), allow_nan=False))) == report


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


def of_days(days, rows, seed, within=1.0, between=1.0, shift=0.0):
    """Rows that share a part with those of their day."""
    generator = np.random.default_rng(seed)
    day = np.repeat(np.arange(days), rows)
    value = generator.normal(0, between, days)[day] + generator.normal(shift, within, days * rows)
    share = 1 / (1 + np.exp(-generator.normal(0, between, days)))
    names = np.where(generator.random(days * rows) < share[day], "a", "b")
    names = np.where(generator.random(days * rows) < 0.3, "c", names)
    return pl.DataFrame({"x": value, "c": names, "day": day})


def test_days_that_differ_are_no_drift():
    alarms = {"day": 0, None: 0}
    for seed in range(25):
        reference, current = of_days(60, 100, seed), of_days(7, 100, 1000 + seed)
        for blocks in alarms:
            profile = ReferenceProfile.of(reference.drop("day") if blocks is None else reference, blocks=blocks)
            alarms[blocks] += bool(compare(profile, current, CONFIG, blocks=blocks).drifted)
    assert alarms["day"] <= 1
    assert alarms[None] >= 10  # with each row a draw of its own


def test_rows_of_a_day_are_worth_as_many_draws_as_they_vary_alone():
    shared = compare(ReferenceProfile.of(of_days(60, 100, 0, within=0.01), blocks="day"), of_days(7, 100, 1), CONFIG)
    assert shared.features[0].draws_current == 700  # without blocks
    reference, current = of_days(60, 100, 0, within=0.01), of_days(7, 100, 1, within=0.01)
    found = compare(ReferenceProfile.of(reference, blocks="day"), current, CONFIG, blocks="day").features[0]
    assert 2 < found.draws_current < 10
    free = of_days(60, 100, 0, between=0.0)
    found = compare(ReferenceProfile.of(free, blocks="day"), of_days(7, 100, 1, between=0.0), CONFIG, blocks="day")
    assert all(each.draws_current > 350 for each in found.features)


def test_what_moved_by_more_than_days_do_is_drift():
    profile = ReferenceProfile.of(of_days(120, 100, 0, between=0.1), blocks="day")
    moved = of_days(7, 100, 1, between=0.1, shift=0.5)
    assert compare(profile, moved, CONFIG, blocks="day").drifted == ("x",)


def test_a_source_that_falls_out_for_days_is_not_taken_for_single_rows():
    generator = np.random.default_rng(0)
    out = np.repeat(generator.random(90) < 0.15, 50)  # whole days are missing
    day = np.repeat(np.arange(90), 50)
    frame = pl.DataFrame({"x": np.where(out, np.nan, generator.normal(size=len(out))), "day": day})
    profile = ReferenceProfile.of(frame.filter(pl.col("day") < 76), blocks="day")
    window = frame.filter(pl.col("day") >= 76).with_columns(
        x=pl.when(pl.col("day") < 79).then(float("nan")).otherwise(pl.lit(0.5))
    )
    share = 3 / 14
    found = compare(profile, window, CONFIG, blocks="day").features[0]
    assert found.missing_current == pytest.approx(share)
    assert found.missing_q_value > CONFIG.alpha


def test_the_blocks_must_be_there_and_whole():
    frame = of_days(10, 10, 0)
    profile = ReferenceProfile.of(frame, blocks="day")
    assert list(profile.features) == ["x", "c"]  # the blocks are no feature
    with pytest.raises(ValueError, match="block column 'day' is missing"):
        compare(profile, frame.drop("day"), CONFIG, blocks="day")
    with pytest.raises(ValueError, match="1 of 100 rows have none"):
        compare(profile, frame.with_columns(day=pl.Series([None, *range(99)])), CONFIG, blocks="day")
    with pytest.raises(ValueError, match="not among the reference's columns: week"):
        ReferenceProfile.of(frame, blocks="week")


def test_a_column_of_identifiers_fits_into_memory():
    frame = pl.DataFrame({"id": [f"{row:06}" for row in range(20_000)], "day": np.repeat(np.arange(100), 200)})
    found = ReferenceProfile.of(frame, blocks="day").features["id"].dependence
    assert found.blocks == 100
    assert np.isfinite(found.level)


def test_a_single_day_is_worth_a_single_draw():
    found = compare(ReferenceProfile.of(of_days(1, 50, 0), blocks="day"), of_days(1, 50, 1), CONFIG, blocks="day")
    assert found.features[0].draws_reference == pytest.approx(1)
    assert found.drifted == ()


def test_a_lazy_frame_gives_the_same(tmp_path):
    reference, current = of_days(30, 40, 0), of_days(7, 40, 1, shift=0.4)
    for name, frame in (("reference", reference), ("current", current)):
        frame.write_parquet(tmp_path / f"{name}.parquet")
    lazy = [pl.scan_parquet(tmp_path / f"{name}.parquet") for name in ("reference", "current")]
    profile = ReferenceProfile.of(reference, blocks="day")
    assert ReferenceProfile.of(lazy[0], blocks="day") == profile
    assert compare(profile, lazy[1], CONFIG, blocks="day") == compare(profile, current, CONFIG, blocks="day")


def test_labels_are_held_against_those_that_were_learned_from():
    reference = pl.DataFrame({"x": normal(2000), "late": [True, False, False, False] * 500})
    profile = ReferenceProfile.of(reference, label="late")
    assert list(profile.features) == ["x"]
    still = pl.DataFrame({"late": [True, False, False, False] * 200})
    moved = pl.DataFrame({"late": [True, False] * 400})
    assert not compare_labels(profile, still, "late", CONFIG).drifted
    found = compare_labels(profile, moved, "late", CONFIG)
    assert (found.drifted, found.effect) == (True, 0.25)
    with pytest.raises(EmptyWindowError, match="no labels have come"):
        compare_labels(profile, moved.clear(), "late", CONFIG)
    with pytest.raises(ValueError, match="keeps no labels"):
        compare_labels(ReferenceProfile.of(reference), moved, "late", CONFIG)


def test_categories_have_a_jensen_shannon_distance():
    found = one(["a"] * 500 + ["b"] * 500, ["c"] * 1000)
    assert found.jensen_shannon == pytest.approx(1)
    assert one(["a", "b"] * 500, ["a", "b"] * 300).jensen_shannon == 0


def test_a_profile_of_days_survives_json():
    profile = ReferenceProfile.of(of_days(30, 40, 0), blocks="day", label="c")
    assert ReferenceProfile.from_dict(json.loads(json.dumps(profile.to_dict(), allow_nan=False))) == profile


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
