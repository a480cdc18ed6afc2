from __future__ import annotations

import math
import re

from hypothesis import given
from hypothesis import strategies as st

from include.pages import sparkline
from include.pages.observed import Point


def point(value: float | None, version: int = 1, promised: float | None = 0.5) -> Point:
    interval = (value - 0.1, value + 0.1) if value is not None else None
    return Point("2013-01-07", version, value, interval, promised, 9, 8, 0.9, 0.1, 0.2, 1, 9, "no", "fine")


def test_what_was_never_measured_is_not_drawn() -> None:
    assert sparkline.draw([], "mae") is None
    assert sparkline.draw([point(None), point(None)], "mae") is None


def test_a_change_of_the_version_is_marked_and_told() -> None:
    drawn = sparkline.draw([point(0.4), point(0.5), point(0.6, version=2)], "mae")
    assert drawn is not None
    assert [rule.text for rule in drawn.rules] == ["version 2 from 2013-01-07 on"]
    assert drawn.told.endswith("1 change of the version")
    assert drawn.columns[0].text == "2013-01-07: mae 0.4 (0.3 to 0.5), promised 0.5, version 1"


@given(st.lists(st.none() | st.floats(-1e6, 1e6), min_size=1, max_size=60))
def test_all_of_it_lies_within_the_picture(values: list[float | None]) -> None:
    drawn = sparkline.draw([point(value) for value in values], "mae")
    assert (drawn is None) == all(value is None for value in values)
    for path in (drawn.line, drawn.band, drawn.promise) if drawn else ():
        for x, y in re.findall(r"([-\d.e+]+),([-\d.e+]+)", path):
            assert math.isfinite(float(x)) and 0 <= float(x) <= sparkline.WIDTH
            assert 0 <= float(y) <= sparkline.HEIGHT
