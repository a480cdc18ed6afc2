"""Do the probabilities hold?"""

from __future__ import annotations

import math
from collections.abc import Iterator

from include.contract.gate import CalibrationConfig
from include.gate.check import Check, at_least, at_most, not_computed, number
from include.training.reliability import Calibration


def check(calibration: Calibration | None, config: CalibrationConfig) -> Iterator[Check]:
    """The expected calibration error, and both ends of the slope."""
    low, high = config.slope
    if calibration is None:
        yield not_computed("calibration error", config.error, "the expected calibration error")
        yield not_computed("calibration slope", low, "the calibration slope")
        return
    error = calibration.error if math.isfinite(calibration.chance) else None
    what = f"the expected calibration error (perfect probabilities would have {number(calibration.chance)} by chance)"
    yield at_most("calibration error", error, config.error, what, why="events are not as frequent as was predicted")
    what = "the calibration slope (1 is perfect)"
    yield at_least("calibration slope min", calibration.slope, low, what, why="the probabilities are too extreme")
    yield at_most("calibration slope max", calibration.slope, high, what, why="the probabilities are too timid")
