"""Groups are measured by the values of a column; what is small is counted, not measured."""

import numpy as np
import polars as pl

from include.contract.metrics import METRICS
from include.features.compute import LABEL
from include.training.evaluate import PREDICTION
from include.training.slices import MOST_SLICES, SMALLEST_SLICE, Sliced, by_slice
from include.training.training_set import BLOCK
from tests.training.labelled import classified


def sliced_rows(rows=1000):
    labels, predictions, blocks = classified(rows=rows)
    names = np.array(["big"] * (rows - 110) + ["small"] * 60 + ["tiny"] * 40 + [None] * 10, dtype=object)
    return pl.DataFrame({"airline": names.tolist(), LABEL: labels, PREDICTION: predictions, BLOCK: blocks})


def test_slices_are_measured_and_small_ones_counted():
    (found,) = by_slice("classification", sliced_rows(), ["airline"])
    assert [each.value for each in found.slices] == ["big", "small"]
    assert (found.other_values, found.other_rows) == (2, 50)
    part = sliced_rows().filter(pl.col("airline") == "small")
    expected = METRICS["brier"](part[LABEL].to_numpy(), part[PREDICTION].to_numpy())
    assert found.slices[1].evaluation.values["brier"] == expected
    assert Sliced.from_dict(found.to_dict()) == found


def test_missing_values_are_a_slice_of_their_own():
    rows = sliced_rows().with_columns(pl.lit(None, pl.String).alias("airline"))
    (found,) = by_slice("classification", rows, ["airline"])
    assert [each.value for each in found.slices] == [None]
    assert found.worst("log_loss") is None


def test_the_largest_of_many_slices_are_measured():
    many = MOST_SLICES + 5
    rows = classified(rows=many * SMALLEST_SLICE)
    frame = pl.DataFrame(dict(zip((LABEL, PREDICTION, BLOCK), rows, strict=True))).with_columns(
        pl.Series("tail", np.arange(many * SMALLEST_SLICE) % many)
    )
    (found,) = by_slice("classification", frame, ["tail"], resamples=20)
    assert (len(found.slices), found.other_values, found.other_rows) == (MOST_SLICES, 5, 5 * SMALLEST_SLICE)


def test_slices_of_no_rows_are_empty():
    (found,) = by_slice("classification", sliced_rows().clear(), ["airline"])
    assert (found.slices, found.other_values) == ((), 0)


def test_the_worst_slice_has_the_greatest_loss():
    rows = sliced_rows().with_columns(
        pl.when(pl.col("airline") == "small").then(1 - pl.col(LABEL)).otherwise(pl.col(PREDICTION)).alias(PREDICTION)
    )
    (found,) = by_slice("classification", rows, ["airline"])
    assert found.worst("log_loss").value == "small"
    assert found.worst("roc_auc").value == "small"
