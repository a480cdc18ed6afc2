"""Rows of a day hang together: days that differ are no drift, and a window is worth few draws."""

import json

import numpy as np
import polars as pl
import pytest

from include.monitoring.drift import compare
from include.monitoring.reference import ReferenceProfile
from tests.monitoring.columns import CONFIG, of_days


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


def test_a_profile_of_days_survives_json():
    profile = ReferenceProfile.of(of_days(30, 40, 0), blocks="day", label="c")
    assert ReferenceProfile.from_dict(json.loads(json.dumps(profile.to_dict(), allow_nan=False))) == profile
