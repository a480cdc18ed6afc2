"""Drift is what is both more than chance and large enough to matter; what cannot be computed counts as drifted."""

import json
from datetime import datetime

import numpy as np
import polars as pl
import pytest

from include.monitoring.distributions import WrongTypeError
from include.monitoring.drift import DriftReport, compare, compare_labels
from include.monitoring.reference import EmptyWindowError, ReferenceProfile
from tests.monitoring.columns import CONFIG, normal, one


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
