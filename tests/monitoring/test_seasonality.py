"""What moved as it does at this time of every year is the season, and not drift."""

from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest

from include.contract.monitoring import DriftConfig
from include.monitoring.drift import compare
from include.monitoring.reference import ReferenceProfile
from include.monitoring.seasonality import rows_of_season, season, told_apart

CONFIG = DriftConfig()
FIRST, LAST = date(2013, 7, 1), date(2013, 7, 14)


def years(first=date(2011, 1, 1), last=LAST, seed=0):
    """Twenty rows a day: a temperature with its season, and a price without one."""
    generator = np.random.default_rng(seed)
    days = [first + timedelta(days=day) for day in range((last - first).days + 1) for _ in range(20)]
    turn = np.array([day.timetuple().tm_yday for day in days]) / 365.25 * 2 * np.pi
    temperature = -10 * np.cos(turn) + generator.normal(0, 3, len(days))
    return pl.DataFrame({"day": days, "temperature": temperature, "price": generator.normal(size=len(days))})


def judged(history, current, reference_from=date(2013, 1, 1)):
    reference = history.filter(pl.col("day").is_between(reference_from, date(2013, 2, 28)))
    drifted = compare(ReferenceProfile.of(reference, blocks="day"), current, CONFIG, blocks="day")
    rows = rows_of_season(history, "day", FIRST, LAST)
    of_season = compare(ReferenceProfile.of(rows, blocks="day"), current, CONFIG, blocks="day")
    return drifted, told_apart(drifted, of_season)


def window(history):
    return history.filter(pl.col("day").is_between(FIRST, LAST))


def test_summer_is_no_drift_where_summers_are_known():
    history = years()
    drifted, found = judged(history, window(history))
    assert drifted.drifted == ("temperature",)
    assert found.drifted == ()
    temperature = found.features[0]
    assert temperature.seasonal
    assert "the season explains it" in temperature.reasons[-1]


@pytest.mark.parametrize(("column", "by"), [("temperature", 12.0), ("price", 1.0)])
def test_what_no_summer_was_like_is_drift(column, by):
    history = years()
    _, found = judged(history, window(history).with_columns(pl.col(column) + by))
    assert column in found.drifted
    (moved,) = [each for each in found.features if each.name == column]
    assert not moved.seasonal
    assert "no season" in moved.reasons[-1]


def test_what_has_not_drifted_is_left_as_it_is():
    history = years()
    _, found = judged(history, window(history))
    price = found.features[1]
    assert (price.drifted, price.seasonal) == (False, False)


def test_the_season_is_the_same_weeks_of_every_earlier_year():
    found = season(FIRST, LAST, earliest=date(2011, 1, 1))
    assert found == ((date(2012, 6, 18), date(2012, 7, 29)), (date(2011, 6, 20), date(2011, 7, 31)))
    assert all((FIRST - start).days % 7 == 0 for start, _ in found)  # weekdays meet weekdays


def test_less_than_a_year_of_history_says_nothing():
    assert season(FIRST, LAST, earliest=date(2012, 8, 1)) == ()
    assert rows_of_season(years(first=date(2012, 8, 1)), "day", FIRST, LAST) is None
    assert rows_of_season(years().clear(), "day", FIRST, LAST) is None


def test_a_season_of_few_days_says_nothing():
    gaps = years().filter(~pl.col("day").is_between(date(2011, 6, 1), date(2012, 7, 10)))
    assert rows_of_season(gaps, "day", FIRST, LAST) is None


def test_what_could_not_be_computed_is_not_explained():
    history = years()
    drifted, found = judged(history, window(history).drop("temperature"))
    assert found == drifted
    assert found.drifted == ("temperature",)


def test_a_window_must_end_after_it_begins():
    with pytest.raises(ValueError, match="before it begins"):
        season(LAST, FIRST, earliest=date(2011, 1, 1))


def test_reports_must_be_of_the_same_features():
    history = years()
    drifted, _ = judged(history, window(history))
    other = compare(ReferenceProfile.of(history.select("price")), window(history), CONFIG)
    with pytest.raises(ValueError, match="lacks temperature"):
        told_apart(drifted, other)
