from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from include.contract.loading import Folder
from include.gate.check import Check, Verdict
from include.history import log as history
from include.promotion import approval
from include.promotion.judgement import Judgement

GAIN = Check("gain", True, 0.01, 0.0, "mae is .01 better than that of champion 3")
VERDICT = Verdict("4", "3", True, (Check("rows", True, 5, 1, "5 rows | are enough"), GAIN), ("better",))
JUDGED = Judgement(VERDICT, 4, 3, "0123456789abcdef")
ADA = {"id": "1", "name": "ada"}


def response(chosen: list[str], person: dict[str, str] | None = None, note: str = "") -> dict[str, Any]:
    return {"chosen_options": chosen, "responded_by_user": person, "params_input": {"note": note}}


def test_the_question_shows_the_gain_the_picture_the_card_and_every_check(stations: Folder) -> None:
    text = approval.question(stations, JUDGED, "/evergreen")
    assert "Mae is .01 better than that of champion 3." in text
    assert "![Gain by day](/evergreen/station_temperature/evidence/0123456789abcdef.svg)" in text
    assert "[Model card](/evergreen/station_temperature/cards/4)" in text
    assert r"| rows | passed | 5 rows \| are enough |" in text
    assert "Without an answer within 1 day it is rejected." in text


def test_what_failed_comes_first(stations: Folder) -> None:
    checks = (GAIN, Check("skew", False, 1, 0, "differs"))
    text = approval.question(stations, Judgement(Verdict("4", "3", False, checks, ()), 4, 3, "id"), "/pages")
    assert text.index("| skew | **failed** |") < text.index("| gain | passed |")


def test_without_a_champion_there_is_no_picture(stations: Folder) -> None:
    first = Check("champion", True, None, None, "there is no champion yet")
    text = approval.question(stations, Judgement(Verdict("1", None, True, (first,), ()), 1, None, "id"), "/pages")
    assert "![" not in text
    assert "There is no champion yet." in text


@pytest.mark.parametrize(
    ("time", "words"),
    [
        (timedelta(days=1), "1 day"),
        (timedelta(days=2, hours=1), "2 days and 1 hour"),
        (timedelta(hours=12), "12 hours"),
        (timedelta(minutes=30), "0.5 hours"),
    ],
)
def test_the_deadline_is_told_in_words(time: timedelta, words: str) -> None:
    assert approval._in_words(time) == words


@pytest.mark.parametrize(
    ("answered", "approved", "by", "outcome"),
    [
        (response(["Approve"], ADA, "fine"), True, "ada", "approved"),
        (response(["Reject"], ADA, "no"), False, "ada", "rejected"),
        (response(["Reject"]), False, "deadline", "rejected"),
        (response(["Approve"]), False, "deadline", "rejected"),  # nobody said so
        (response([], ADA), False, "ada", "rejected"),
        (response(["Approve", "Reject"], ADA), False, "ada", "rejected"),
        ({}, False, "deadline", "rejected"),
    ],
)
def test_only_a_person_s_yes_is_an_approval(
    stations: Folder, answered: dict[str, Any], approved: bool, by: str, outcome: str
) -> None:
    answer = approval.record(stations, 4, 3, answered, origin="run")
    assert (answer.approved, answer.by) == (approved, by)
    (entry,) = history.read("station_temperature")
    assert (entry.kind, entry.outcome, entry.actor, entry.version, entry.previous) == ("approval", outcome, by, 4, 3)
    assert entry.note == answer.note


def test_an_answer_that_is_recorded_again_is_kept_once(stations: Folder) -> None:
    for _ in range(2):
        approval.record(stations, 4, 3, response(["Approve"], ADA, "fine"), origin="run")
    assert len(history.read("station_temperature")) == 1
