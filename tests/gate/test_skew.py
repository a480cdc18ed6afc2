import pytest

from include.gate.skew import Skew, check

EXAMPLE = "wind of {'id': 3}: served 4, offline 5"


def only(skew):
    (found,) = check(skew)
    return found


def test_equal_values_pass():
    found = only(Skew(100, 12, {}, {}, ()))
    assert found.passed
    assert found.reason == "online and offline values are the same in 12 features of 100 entities"


def test_one_skewed_value_fails_with_its_feature_and_an_example():
    found = only(Skew(100, 12, {"wind": 1, "rain": 0}, {}, (EXAMPLE,)))
    assert (found.passed, found.value, found.limit) == (False, 1, 0)
    assert "wind (1 of 100 entities)" in found.reason
    assert EXAMPLE in found.reason
    assert "rain" not in found.reason


def test_late_values_are_told_and_pass():
    found = only(Skew(100, 12, {}, {"rain": 7, "wind": 0}, ()))
    assert found.passed
    assert found.reason.endswith("; not yet brought online: rain (7 of 100 entities)")


@pytest.mark.parametrize("skew", [None, Skew(0, 12, {}, {}, ()), Skew(100, 0, {}, {}, ())])
def test_what_was_not_compared_has_failed(skew):
    found = only(skew)
    assert not found.passed
    assert "training-serving skew" in found.reason
    assert "could not be computed" in found.reason
