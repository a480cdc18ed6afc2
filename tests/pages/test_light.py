from __future__ import annotations

from typing import Any

import msgspec
import pytest

from include.alerts import Alert
from include.pages import light
from include.pages.light import Light
from include.pages.observed import Seen
from tests.pages.observations import feature, record


def seen(**more: Any) -> Seen:
    return msgspec.convert(record("shop", "2013-01-07", **more), Seen)


def alert(kind: Any = "late data", message: str = "nothing has come") -> Alert:
    return Alert("shop", kind, "2013-01-07", "open", message)


def test_a_model_that_does_what_was_promised_is_well() -> None:
    assert light.judge(1, seen(), []) == Light("well", "Mae is not worse than promised.")


def test_without_a_champion_there_is_no_model() -> None:
    assert light.judge(None, seen(), []).state == "new"


def test_what_was_never_watched_should_be_looked_at() -> None:
    assert light.judge(2, None, []) == Light("look", "Version 2 is in production and has not been watched yet.")
    other = light.judge(2, seen(), [])
    assert other == Light("look", "Version 2 has not been watched yet; the last look was at version 1.")


def test_a_quality_that_is_worse_than_promised_is_ill_before_all_alerts() -> None:
    quality = {"worse_than_promised": True, "reasons": ["mae 9 is 8 worse"]}
    assert light.judge(1, seen(quality=quality), [alert()]) == Light("ill", "Worse than promised: mae 9 is 8 worse.")


def test_the_quality_of_another_version_says_nothing_of_this_one() -> None:
    assert light.judge(2, seen(quality={"worse_than_promised": True}), []).state == "look"


@pytest.mark.parametrize(("kind", "state"), [("late data", "look"), ("refused batch", "ill"), ("feature skew", "ill")])
def test_an_open_alert_is_told_as_gravely_as_it_is(kind: str, state: str) -> None:
    found = light.judge(1, seen(), [alert(kind)])
    assert found.state == state
    assert found.reason == f"{kind.capitalize()} (2013-01-07): nothing has come"


def test_of_several_alerts_a_critical_one_is_told() -> None:
    found = light.judge(1, seen(), [alert(), alert("refused batch", "no rows"), alert("feature skew")])
    assert found == Light("ill", "Refused batch (2013-01-07): no rows; and 1 more")


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"decision": {"action": "retrain", "reasons": ["prediction drift: much"]}}, "A new model was asked for: "),
        ({"drift": {"prediction": feature("prediction", drifted=True)}}, "The predictions have drifted: "),
        ({"quality": {"decidable": False, "reasons": ["not decidable: too few"]}}, "Not decidable: too few."),
    ],
)
def test_what_is_in_doubt_should_be_looked_at(more: dict[str, Any], reason: str) -> None:
    found = light.judge(1, seen(**more), [])
    assert found.state == "look"
    assert found.reason.startswith(reason)


def test_what_cannot_be_read_is_not_well() -> None:
    assert light.judge(1, seen(), [], "line 3: is no entry") == Light("ill", "line 3: is no entry")
