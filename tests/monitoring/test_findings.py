"""Planted shifts are named for what they are; missing labels, few rows and no rows are told."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from include.monitoring.findings import Findings
from include.monitoring.numbers import SCHEMA, loss_rows
from tests.monitoring.planted import GATE, config, look, rows


def kinds(found: Findings) -> dict[str, tuple[str, ...]]:
    return {shift.kind: shift.columns for shift in found.shifts}


def test_nothing_is_named_where_nothing_moved():
    found, _ = look(rows(8))
    assert found.shifts == ()
    assert not any(change.drifted for change in found.changes)


def test_a_covariate_shift_is_one_and_no_concept():
    """Inputs move and the meaning of them does not: the labels follow the probabilities."""
    generator = np.random.default_rng(5)
    moved = rows(8).with_columns(pl.col("x") + 1.0)
    moved = moved.with_columns(prediction=1 / (1 + (1 - pl.col("x")).exp()))
    moved = moved.with_columns(label=(pl.lit(generator.random(moved.height)) < pl.col("prediction")).cast(pl.Float64))
    found, _ = look(moved)
    assert kinds(found)["covariate"] == ("x",)
    assert "concept" not in kinds(found)
    assert found.held.metrics[0].held


def test_labels_that_moved_alone_are_a_label_shift():
    more = rows(8)
    lucky = pl.lit(np.random.default_rng(3).random(more.height) < 0.3)
    found, _ = look(more.with_columns(label=pl.when(lucky).then(1.0).otherwise("label")))
    assert "covariate" not in kinds(found)
    assert kinds(found)["label"] == ("label",)


def flipped(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.with_columns(label=1 - pl.col("label"))


def test_a_changed_meaning_at_unchanged_inputs_is_concept_drift_in_every_slice():
    found, _ = look(flipped(rows(15)), days=15)
    assert set(kinds(found)) <= {"concept", "label"}
    assert set(kinds(found)["concept"]) == {"all rows", "carrier AA", "carrier B6", "carrier UA"}
    assert found.changes[0].since == "2013-03-01"
    assert found.changes[0].increase > 0.3


def test_a_changed_meaning_for_one_slice_is_found_there():
    frame = rows(20)
    one = frame.with_columns(label=pl.when(pl.col("carrier") == "UA").then(1 - pl.col("label")).otherwise("label"))
    found, _ = look(one, days=20)
    assert {change.what for change in found.changes if change.drifted} == {"all rows", "carrier UA"}
    assert (found.slices[0].column, found.slices[0].value) == ("carrier", "UA")


def test_the_estimate_does_not_see_a_changed_meaning_and_its_error_says_so():
    found, _ = look(flipped(rows(8)))
    log_loss = found.held.metrics[0]
    assert log_loss.error < -0.2
    assert log_loss.held is False


@pytest.mark.parametrize(
    ("change", "kind", "column"),
    [
        (pl.when(pl.int_range(pl.len()) % 3 == 0).then(None).otherwise("hour").alias("hour"), "missingness", "hour"),
        ((pl.col("hour") * 60).alias("hour"), "unit", "hour"),
        ((pl.col("hour") * 1.8 + 32).alias("hour"), "unit", "hour"),
        (pl.col("carrier").replace({"UA": "XX"}), "category", "carrier"),
        (pl.col("carrier").replace({"UA": "AA"}), "category", "carrier"),
        ((pl.col("hour") / 2 + 12).alias("hour"), "covariate", "hour"),
        (pl.lit(None, pl.Float64).alias("hour"), "missingness", "hour"),
    ],
)  # fmt: skip
def test_a_change_of_one_column_is_named(change, kind, column):
    found, _ = look(rows(8).with_columns(change))
    assert kinds(found) == {kind: (column,)}


def test_features_that_go_together_in_another_way_are_told_apart():
    turned = rows(8).with_columns(
        hour=pl.when(pl.col("x") > 0).then(pl.col("hour") / 2 + 12).otherwise(pl.col("hour") / 2)
    )
    assert look(turned)[0].together.separable
    assert not look(rows(8))[0].together.separable


def test_outliers_are_counted():
    some = pl.int_range(pl.len()) % 20 == 0
    found, _ = look(rows(8).with_columns(hour=pl.when(some).then(10_000.0).otherwise("hour")))
    assert found.outliers.alarms == ("hour",)


def test_rows_whose_numbers_go_together_in_another_way_are_outliers():
    def by_x(frame: pl.DataFrame, factor: float) -> pl.DataFrame:
        noise = np.random.default_rng(frame.height).normal(0, 0.1, frame.height)
        return frame.with_columns(hour=12 + factor * pl.col("x") + pl.lit(noise))

    gate = by_x(GATE, 3)
    still, _ = look(by_x(rows(8), 3), gate=gate)
    assert still.outliers.rows.computed and not still.outliers.rows.alarm
    turned, _ = look(by_x(rows(8), -3), gate=gate)
    assert [each.name for each in turned.outliers.raised] == ["rows as a whole"]
    few, _ = look(rows(8), gate=GATE.head(600))
    assert few.outliers.rows is None


def test_no_labels_for_a_week_leave_an_estimate_and_nothing_else():
    found, _ = look(rows(8).with_columns(label=pl.lit(None, pl.Float64)))
    assert {day.coverage for day in found.days} == {0.0}
    assert all(day.estimated is not None and day.values == {} and day.gain is None for day in found.days)
    assert {each.metric for each in found.ahead.metrics} == {"log_loss", "brier", "roc_auc"}
    assert (found.gain, found.calibration, found.label, found.held.metrics) == (None, None, None, ())
    assert not found.changes[0].computed and "no day with labels" in found.changes[0].reason


def test_labels_that_come_late_replace_the_estimate_and_corrected_ones_the_earlier():
    late = rows(8).with_columns(label=pl.when(pl.col("block") < "2013-03-04").then("label"))
    first, _ = look(late)
    assert [day.rows for day in first.days] == [300] * 3 + [0] * 5
    second, _ = look(rows(8))
    assert [day.rows for day in second.days] == [300] * 8
    assert second.days[:3] == first.days[:3]
    third, _ = look(flipped(rows(8)))
    assert third.days[0].values["log_loss"] > second.days[0].values["log_loss"]


def test_a_stretch_without_predictions_is_told():
    found, _ = look(rows(8).clear())
    assert (found.days, found.slices, found.shifts, found.gain, found.value) == ((), (), (), None, None)
    assert found.ahead.reason == "there are no predictions to estimate the quality of"


def test_three_rows_a_day_are_measured_without_pretending():
    gate = rows(28, first=-28, size=3, seed=1)
    found, _ = look(rows(8, size=3), gate=gate)
    assert [day.rows for day in found.days] == [3] * 8
    assert all(day.interval is None and "log_loss" in day.values for day in found.days)
    assert found.changes[0].computed and not found.changes[0].drifted
    assert found.slices == ()


def test_a_regression_has_no_estimate_and_says_so():
    gate = rows(14, first=-14, seed=1, regression=True)
    found, _ = look(rows(8, regression=True), config(task="regression"), gate=gate)
    assert found.ahead.metrics == found.held.metrics == ()
    assert "a regression has no probabilities" in found.ahead.reason
    assert found.calibration is None
    assert found.gain.better
    assert not any(change.drifted for change in found.changes)
    worse = rows(15, regression=True).with_columns(pl.col("label") * 3)
    changed, _ = look(worse, config(task="regression"), gate=gate, days=15)
    assert changed.changes[0].drifted


def test_the_rise_of_a_regression_may_come_from_inputs_that_moved():
    gate = rows(14, first=-14, seed=1, regression=True)
    moved = rows(15, regression=True).with_columns(pl.col("hour") + 24, pl.col("label") * 3)
    found, _ = look(moved, config(task="regression"), gate=gate, days=15)
    (concept,) = (shift for shift in found.shifts if shift.kind == "concept")
    assert "inputs moved, too (hour)" in concept.reasons[0]


def test_the_test_goes_on_over_what_was_measured_before():
    """Ten days of a slight rise are not enough; after twenty of them they are."""

    def slight(first: int) -> pl.DataFrame:
        frame = rows(10, first=first)
        some = pl.lit(np.random.default_rng(first + 7).random(frame.height) < 0.12)
        return frame.with_columns(label=pl.when(some).then(1 - pl.col("label")).otherwise("label"))

    first, _ = look(slight(0), days=11)
    numbers = [{"partition": "2013-03-10", "model_version": 1, **each} for each in loss_rows(first.losses)]
    earlier = pl.DataFrame(numbers, schema=SCHEMA, orient="row")
    then, _ = look(slight(10), earlier=earlier, days=21)
    assert then.changes[0].days == 20
    assert then.changes[0].statistic > first.changes[0].statistic
    assert then.changes[0].drifted
    other = earlier.with_columns(model_version=pl.lit(2, pl.Int64))
    assert look(slight(10), earlier=other, days=21)[0].changes[0].days == 10


def test_looking_twice_gives_the_same_and_it_survives_json():
    found, _ = look(rows(8), config(value={"true_positive": 5, "false_positive": -1, "unit": "EUR"}))
    again, _ = look(rows(8), config(value={"true_positive": 5, "false_positive": -1, "unit": "EUR"}))
    assert found == again
    assert Findings.from_dict(found.to_dict()) == found


def test_the_gate_stretch_itself_is_well_calibrated():
    found, _ = look(rows(8))
    assert found.gate_calibration.error < 3 * found.gate_calibration.chance
    assert GATE.height == 4200
