import pytest

from include.gate.check import at_least, at_most, not_computed, number


@pytest.mark.parametrize(("value", "passed"), [(0.7, True), (0.70001, True), (0.69999, False)])
def test_a_least_value_is_itself_allowed(value, passed):
    assert at_least("score", value, 0.7, "the score").passed is passed


@pytest.mark.parametrize(("value", "passed"), [(0.7, True), (0.69999, True), (0.70001, False)])
def test_a_greatest_value_is_itself_allowed(value, passed):
    assert at_most("loss", value, 0.7, "the loss").passed is passed


@pytest.mark.parametrize("bound", [at_least, at_most])
@pytest.mark.parametrize("value", [None, float("nan"), float("inf"), float("-inf")])
def test_what_is_no_finite_number_has_failed(bound, value):
    assert bound("score", value, 0.7, "the score") == not_computed("score", 0.7, "the score")


@pytest.mark.parametrize("bound", [at_least, at_most])
def test_no_value_is_within_a_limit_that_is_no_number(bound):
    assert not bound("score", 0.5, float("nan"), "the score").passed


def test_the_reason_has_the_numbers_the_unit_and_what_a_failure_means():
    passed = at_most("memory", 400.123456, 512, "the memory", unit="MiB", why="too much")
    failed = at_most("memory", 600, 512, "the memory", unit="MiB", why="too much")
    assert passed.reason == "the memory is 400.1 MiB, at most 512 MiB"
    assert failed.reason == "the memory is 600 MiB, above 512 MiB: too much"


def test_a_value_just_beyond_its_limit_reads_differently_from_it():
    assert at_most("loss", 0.600001, 0.6, "the loss").reason == "the loss is 0.600001, above 0.6"


@pytest.mark.parametrize(
    ("value", "text"), [(0.123456, "0.1235"), (12345.6, "12346"), (0.0, "0"), (9999.99, "10000"), (float("nan"), "nan")]
)
def test_numbers_have_four_digits_or_all_before_the_point(value, text):
    assert number(value) == text
