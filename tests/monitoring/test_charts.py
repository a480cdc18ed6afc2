"""The plots of a report keep within their axes, break where nothing is known, and are labelled for people."""

from itertools import pairwise

import numpy as np
import polars as pl
import pytest

from include.monitoring.charts import HistoryPoint, ticks, timeline, volume
from include.monitoring.distribution_charts import histogram
from include.monitoring.distributions import NumericProfile, numeric_histogram
from tests.monitoring.pages import history


def test_the_timeline_breaks_where_there_is_no_value_and_marks_promotions():
    plot = timeline(history(), 900)
    assert plot.line.count("M") == 2
    assert plot.band.count("Z") == 2
    assert [rule.label for rule in plot.rules] == ["8"]
    assert len(plot.dots) == 9
    assert all(plot.left <= dot.x <= plot.right and plot.top <= dot.y <= plot.bottom for dot in plot.dots)


def test_the_dates_below_a_narrow_axis_do_not_touch():
    for width in (314, 930):
        found = timeline(history(31), width).x_ticks
        gaps = [right.at - left.at for left, right in pairwise(found)]
        assert min(gaps) > 72  # ten characters
        assert (found[0].label, found[-1].label) == ("2013-03-01", "2013-03-31")


def test_one_partition_is_enough_for_a_timeline():
    assert len(timeline(history(1), 314).dots) == 1


def test_nothing_measured_draws_nothing():
    empty = (HistoryPoint("2013-03-01"),)
    assert timeline(empty, 900) is None
    assert volume(empty, 900) is None


def test_labels_are_drawn_within_the_bar_of_their_predictions():
    plot = volume(history(), 900)
    assert all(
        inner.height == pytest.approx(0.9 * bar.height, abs=0.1)
        for inner, bar in zip(plot.inner_bars, plot.bars, strict=True)
    )


@pytest.mark.parametrize(
    ("low", "high"), [(0, 1), (0.4123, 0.6277), (-3e-7, 8e-7), (0, 1_532_111), (5, 5), (0, 0), (-2, -1), (1e9, 1e9 + 1)]
)
def test_ticks_are_few_and_cover_the_range(low, high):
    found = ticks(low, high)
    assert found[0] <= low <= high <= found[-1]
    assert 2 <= len(found) <= 9


def test_a_histogram_has_at_least_two_ticks_and_bins_of_whole_numbers():
    values = pl.Series(np.random.default_rng(0).integers(0, 24, 5000))
    shares = numeric_histogram(NumericProfile.of(values), NumericProfile.of(values))
    assert max(shares.reference) < 1.4 * sorted(shares.reference)[1]
    assert sum(shares.reference) == pytest.approx(1)
    assert len(histogram(shares).x_ticks) >= 2


@pytest.mark.parametrize("values", [[3.0] * 5, [0.1] * 5, [1e300, 2e300], [0.0, 1e-300]])
def test_odd_values_can_still_be_drawn(values):
    side = NumericProfile.of(pl.Series(values))
    assert histogram(numeric_histogram(side, side)).line
