"""What moved as it does at this time of every year is the season, and not drift."""

from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest

from include.contract.monitoring import DriftConfig, MonitoringConfig, QualityConfig
from include.monitoring.drift import compare
from include.monitoring.reference import ReferenceProfile
from include.monitoring.seasonality import needed, season, told_apart

CONFIG = DriftConfig()
YEAR = timedelta(weeks=52)
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
    stretches = season(FIRST, LAST, date(2011, 1, 1), YEAR)
    rows = history.filter(pl.any_horizontal(pl.col("day").is_between(*stretch) for stretch in stretches))
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
    found = season(FIRST, LAST, date(2011, 1, 1), YEAR)
    assert found == ((date(2012, 6, 18), date(2012, 7, 29)), (date(2011, 6, 20), date(2011, 7, 31)))
    assert all((FIRST - start).days % 7 == 0 for start, _ in found)  # weekdays meet weekdays


def test_less_than_a_year_of_history_says_nothing():
    enough = FIRST - timedelta(days=needed(YEAR))
    assert len(season(FIRST, LAST, enough, YEAR)) == 1
    assert season(FIRST, LAST, enough + timedelta(days=1), YEAR) == ()


def test_another_period_has_another_season():
    half = timedelta(weeks=26)
    found = season(FIRST, LAST, date(2012, 6, 1), half)
    assert found == ((date(2012, 12, 17), date(2013, 1, 27)), (date(2012, 6, 18), date(2012, 7, 29)))


def test_what_could_not_be_computed_is_not_explained():
    history = years()
    drifted, found = judged(history, window(history).drop("temperature"))
    assert found == drifted
    assert found.drifted == ("temperature",)


def test_a_window_must_end_after_it_begins():
    with pytest.raises(ValueError, match="before it begins"):
        season(LAST, FIRST, date(2011, 1, 1), YEAR)


def test_reports_must_be_of_the_same_features():
    history = years()
    drifted, _ = judged(history, window(history))
    other = compare(ReferenceProfile.of(history.select("price")), window(history), CONFIG)
    with pytest.raises(ValueError, match="lacks temperature"):
        told_apart(drifted, other)


@pytest.mark.parametrize("season", ["10d", "12w", "365d"])
def test_a_year_is_whole_weeks_and_not_too_few(season):
    with pytest.raises(ValueError, match=r"season: .* must be whole weeks, at least 13w; a year is 52w"):
        MonitoringConfig(season=season, quality=QualityConfig(metric="mae", tolerance=1))


def test_data_without_a_season_says_so():
    quality = QualityConfig(metric="mae", tolerance=1)
    assert MonitoringConfig(season=None, quality=quality).season is None
    assert MonitoringConfig(quality=quality).season == YEAR
