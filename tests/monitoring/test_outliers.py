"""Outliers are counted against what the reference had, and matter when there are more than by chance."""

import json

import numpy as np
import polars as pl
import pytest

from include.contract.monitoring import DriftConfig
from include.monitoring.outliers import OutlierReport, find
from include.monitoring.reference import EmptyWindowError, ReferenceProfile

CONFIG = DriftConfig()


def frame(rows=5000, seed=0):
    generator = np.random.default_rng(seed)
    return pl.DataFrame(
        {
            "x": generator.normal(size=rows),
            "skewed": generator.lognormal(size=rows),
            "c": generator.choice(["a", "b", "c"], rows),
            "p": generator.uniform(size=rows),
        }
    )


PROFILE = ReferenceProfile.of(frame(), prediction="p")


def replaced(name, values, rows=2000):
    """Other values in the first rows."""
    current = frame(rows, seed=1)
    return current.with_columns(pl.Series(name, [*values, *current[name].to_list()[len(values) :]]))


def named(report, name):
    return next(each for each in report.features if each.name == name)


def test_rows_like_those_of_the_reference_raise_no_alarm():
    found = find(PROFILE, frame(seed=1), CONFIG)
    assert found.alarms == ()
    assert not found.prediction.alarm
    assert all(each.expected < 0.001 and each.share < 0.002 for each in found.features)  # skewed ones, too


@pytest.mark.parametrize(("rows", "alarm"), [(10, False), (60, True)])
def test_a_share_counts_from_the_size_that_matters(rows, alarm):
    found = find(PROFILE, replaced("x", [50.0] * rows), CONFIG)
    assert named(found, "x").share == pytest.approx(rows / 2000, abs=0.001)
    assert named(found, "x").q_value < CONFIG.alpha  # in both cases more than chance
    assert named(found, "x").alarm is alarm
    assert named(found, "x").extremes[1] == 50


def test_one_row_of_few_may_be_chance():
    found = named(find(PROFILE, replaced("x", [50.0], rows=40), CONFIG), "x")
    assert (found.share, found.alarm) == (1 / 40, False)


def test_unseen_categories_are_outliers():
    found = named(find(PROFILE, replaced("c", ["new"] * 100), CONFIG), "c")
    assert (found.alarm, found.share, found.unseen) == (True, 0.05, ("new",))


def test_rare_categories_that_are_not_kept_are_expected():
    names = [f"tail {number:05}" for number in range(1500)]
    profile = ReferenceProfile.of(pl.DataFrame({"c": names * 2}))
    found = named(find(profile, pl.DataFrame({"c": names}), CONFIG), "c")
    assert found.expected == pytest.approx(found.share)
    assert not found.alarm


def test_predictions_have_outliers_of_their_own():
    found = find(PROFILE, replaced("p", [9.0] * 100), CONFIG)
    assert found.prediction.alarm
    assert found.alarms == ()


def test_outliers_of_one_day_are_one_event():
    generator = np.random.default_rng(0)
    day = np.repeat(np.arange(120), 50)
    storm = np.isin(day, generator.choice(120, 12, replace=False))
    wind = np.where(storm, 40, 0) + generator.normal(size=len(day))
    reference = pl.DataFrame({"wind": generator.normal(size=len(day)), "day": day})
    profile = ReferenceProfile.of(reference.with_columns(wind=pl.Series(wind)), blocks="day")
    low, _ = profile.features["wind"].fences
    current = pl.DataFrame({"wind": [low - 10] * 50 + [0.0] * 300, "day": np.repeat(np.arange(7), 50)})
    assert find(profile, current, CONFIG, blocks="day").features[0].share == pytest.approx(1 / 7)
    stormy = ReferenceProfile.of(
        reference.with_columns(wind=pl.when(pl.col("day") == 5).then(99.0).otherwise(pl.col("wind"))), blocks="day"
    )
    assert stormy.features["wind"].dependence.blocks == 120


@pytest.mark.parametrize(
    ("current", "words"),
    [(frame().drop("x"), "missing from the current data"), (frame().with_columns(x=pl.lit("one")), "not numbers")],
)
def test_what_cannot_be_counted_is_an_alarm(current, words):
    found = named(find(PROFILE, current, CONFIG), "x")
    assert (found.alarm, found.computed) == (True, False)
    assert words in found.reasons[-1]


def test_no_rows_are_an_error():
    with pytest.raises(EmptyWindowError, match="no rows"):
        find(PROFILE, frame().clear(), CONFIG)


def test_a_constant_has_no_outliers_while_it_stays():
    profile = ReferenceProfile.of(pl.DataFrame({"x": [3.0] * 500}))
    assert find(profile, pl.DataFrame({"x": [3.0] * 100}), CONFIG).alarms == ()
    assert find(profile, pl.DataFrame({"x": [3.0] * 80 + [4.0] * 20}), CONFIG).alarms == ("x",)


def test_a_report_survives_json():
    found = find(PROFILE, replaced("c", ["new"] * 100), CONFIG)
    assert OutlierReport.from_dict(json.loads(json.dumps(found.to_dict(), allow_nan=False))) == found
