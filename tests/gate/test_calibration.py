from dataclasses import replace

import numpy as np
import pytest

from include.contract.gate import CalibrationConfig
from include.gate.calibration import check
from include.training.reliability import Calibration, calibration

CONFIG = CalibrationConfig(error=0.1, slope=(0.5, 2.0))
GOOD = Calibration(error=0.05, chance=0.02, slope=1.0, intercept=0.0, bins=())
ERROR, LOW, HIGH = "calibration error", "calibration slope min", "calibration slope max"


def failed(found):
    return [each.name for each in check(found, CONFIG) if not each.passed]


@pytest.mark.parametrize(
    ("change", "names"),
    [
        ({}, []),
        ({"error": 0.1}, []),
        ({"error": 0.10001}, [ERROR]),
        ({"slope": 0.5}, []),
        ({"slope": 0.49999}, [LOW]),
        ({"slope": 2.0}, []),
        ({"slope": 2.00001}, [HIGH]),
        ({"slope": None}, [LOW, HIGH]),
        ({"slope": float("nan")}, [LOW, HIGH]),
        ({"error": float("nan")}, [ERROR]),
        ({"chance": float("nan")}, [ERROR]),
    ],
)
def test_error_and_slope_have_limits(change, names):
    assert failed(replace(GOOD, **change)) == names


def test_without_evidence_each_check_fails():
    checks = list(check(None, CONFIG))
    assert [each.passed for each in checks] == [False, False]
    assert all("calibration" in each.reason and "could not be computed" in each.reason for each in checks)


def test_the_reason_tells_what_chance_alone_would_do():
    error, *_ = check(replace(GOOD, error=0.123456, chance=0.0234567), CONFIG)
    assert "would have 0.02346 by chance) is 0.1235, above 0.1" in error.reason


def test_true_probabilities_pass_and_exaggerated_ones_fail_by_the_slope():
    random = np.random.default_rng(5)
    odds = random.normal(0, 1.5, size=4000)
    labels = (random.uniform(size=4000) < 1 / (1 + np.exp(-odds))).astype(float)
    assert failed(calibration(labels, 1 / (1 + np.exp(-odds)))) == []
    assert LOW in failed(calibration(labels, 1 / (1 + np.exp(-3 * odds))))
    assert HIGH in failed(calibration(labels, 1 / (1 + np.exp(-odds / 3))))
