"""A classifier tells current rows from the reference's when, and only when, they differ beyond their days."""

import json

import numpy as np
import polars as pl
import pytest

from include.contract.monitoring import DriftConfig
from include.monitoring.drift import compare
from include.monitoring.multivariate import Separation, clustered_auc, separate
from include.monitoring.reference import EmptyWindowError, ReferenceProfile

CONFIG = DriftConfig()


def frame(days, rows, seed, *, tied=0.0, first=0, between=0.0):
    """Two numbers that hang together by ``tied``, a category and a number that days share."""
    generator = np.random.default_rng(seed)
    day = first + np.repeat(np.arange(days), rows)
    x, noise = generator.normal(size=(2, len(day)))
    weather = generator.normal(0, between, days)[day - first]
    return pl.DataFrame(
        {
            "x": x,
            "y": tied * x + np.sqrt(1 - tied**2) * noise,
            "weather": weather + generator.normal(0, 0.1, len(day)),
            "c": generator.choice(["a", "b", "c"], len(day)),
            "day": [f"{each:04}" for each in day],
        }
    )


def test_rows_of_one_kind_cannot_be_told_apart():
    found = separate(frame(40, 50, 0), frame(10, 50, 1, first=40), CONFIG, seed=0, blocks="day")
    assert not found.separable
    assert found.auc == pytest.approx(0.5, abs=0.06)
    assert "may be chance" in found.reasons[0]


def test_a_change_between_columns_is_seen_where_no_column_moved():
    reference, current = frame(40, 50, 0, tied=0.9), frame(20, 50, 1, tied=-0.9, first=40)
    found = separate(reference, current, CONFIG, seed=0, blocks="day")
    assert found.separable
    assert {name for name, _ in found.features[:2]} == {"x", "y"}
    profile = ReferenceProfile.of(reference, blocks="day")
    assert compare(profile, current, CONFIG, blocks="day").drifted == ()


def test_days_that_differ_are_not_taken_for_a_change():
    reference, current = frame(40, 50, 0, between=1.0), frame(10, 50, 1, first=40, between=1.0)
    assert not separate(reference, current, CONFIG, seed=0, blocks="day").separable
    assert separate(reference, current, CONFIG, seed=0).separable  # a row's neighbours betray its day


def test_the_column_that_moved_is_named_first():
    current = frame(10, 50, 1, first=40).with_columns(c=pl.lit("d"))
    found = separate(frame(40, 50, 0), current, CONFIG, seed=0, blocks="day")
    assert found.features[0][0] == "c"
    assert found.auc == pytest.approx(1, abs=0.01)


def test_the_same_seed_gives_the_same():
    sides = frame(40, 50, 0), frame(10, 50, 1, first=40)
    assert separate(*sides, CONFIG, seed=3, blocks="day") == separate(*sides, CONFIG, seed=3, blocks="day")


@pytest.mark.parametrize(("days", "rows"), [(4, 100), (10, 4)])
def test_too_little_is_an_error(days, rows):
    with pytest.raises(EmptyWindowError, match="needs 50 rows and 5 blocks a side"):
        separate(frame(40, 50, 0), frame(days, rows, 1, first=40), CONFIG, seed=0, blocks="day")


def test_columns_must_be_there():
    with pytest.raises(ValueError, match="not among the current columns: y"):
        separate(frame(10, 50, 0), frame(10, 50, 1).drop("y"), CONFIG, seed=0)


def test_independent_rows_have_the_variance_of_delong():
    from scipy.stats import norm
    from sklearn.metrics import roc_auc_score

    generator = np.random.default_rng(0)
    labels = np.repeat([0, 1], [3000, 2000])
    rejected = 0
    for _ in range(200):
        scores = generator.normal(size=5000)
        auc, p_value = clustered_auc(scores, labels, np.arange(5000))
        assert auc == pytest.approx(roc_auc_score(labels, scores))
        rejected += p_value < 0.1
    assert 8 <= rejected <= 34  # of 200 at 10 %
    wilcoxon = np.sqrt((1 / 3000 + 1 / 2000) / 12)
    assert p_value == pytest.approx(norm.sf((auc - 0.5) / wilcoxon), abs=0.02)


def test_a_separation_survives_json():
    found = separate(frame(10, 50, 0), frame(10, 50, 1, first=40), CONFIG, seed=0, blocks="day")
    assert Separation.from_dict(json.loads(json.dumps(found.to_dict(), allow_nan=False))) == found
