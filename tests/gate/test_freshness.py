from datetime import UTC, datetime, timedelta

import pytest

from include.gate.freshness import Freshness, check

NEWEST = datetime(2013, 6, 30, 4, tzinfo=UTC)


def only(age, limit=timedelta(days=30)):
    (found,) = check(None if age is None else Freshness(NEWEST - age, NEWEST), limit)
    return found


@pytest.mark.parametrize(
    ("age", "passed"),
    [
        (timedelta(0), True),
        (timedelta(days=30), True),
        (timedelta(days=30, seconds=1), False),
        (timedelta(days=400), False),
        (None, False),
    ],
)
def test_the_data_may_be_as_old_as_the_limit(age, passed):
    assert only(age).passed is passed


def test_the_reason_has_both_ends_and_the_cure():
    assert only(timedelta(days=31)).reason == (
        "the age of the candidate's data (it ends 2013-05-30 04:00 UTC) is 31 days, above 30 days: "
        "there is data until 2013-06-30 04:00 UTC; train anew"
    )
    assert "could not be computed" in only(None).reason


@pytest.mark.parametrize("field", ["learned_until", "newest"])
def test_an_instant_without_a_time_zone_is_refused(field):
    instants = {"learned_until": NEWEST, "newest": NEWEST, field: NEWEST.replace(tzinfo=None)}
    with pytest.raises(ValueError, match=f"{field}: .* has no time zone"):
        Freshness(**instants)
