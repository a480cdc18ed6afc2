"""The rollout of a promotion: begun, waited for, judged."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from include.contract.loading import Folder
from include.contract.use_case import PromotionConfig
from include.deployment import probation, rollout, switch
from include.files import read_json
from include.history import log as history
from include.serving.prediction_log import PredictionLog
from include.settings import get_settings
from tests.deployment.conftest import NAME
from tests.deployment.test_rollout import Register, state, told
from tests.deployment.test_switch import promotion, rollback


def wanting(use_case: Folder, **options: Any) -> Folder:
    given = {"rollout": "shadow", "period": timedelta(0), "minimum_requests": 2, **options}
    return replace(use_case, config=use_case.config.model_copy(update={"promotion": PromotionConfig(**given)}))


def predict(champion: int, challenger: int, *pairs: tuple[float, float | None]) -> None:
    log = PredictionLog(get_settings().predictions, NAME)
    for number, (first, second) in enumerate(pairs):
        common = {"request_id": f"r{number}", "run_id": "", "entity": None, "features": {}, "event_timestamp": None}
        log.append(datetime.now(UTC), [{**common, "model_version": champion, "prediction": first}])
        shadow = {"source": "shadow", "model_version": challenger, "prediction": second}
        log.append(datetime.now(UTC), [{**common, **shadow}])
    log.close()


def test_what_passes_its_probation_may_be_promoted(use_case: Folder, three: tuple[int, int, int]) -> None:
    _, second, third = three
    wanted = wanting(use_case)
    begun = probation.begin(wanted, third, origin="run", actor="ada")
    assert probation.begin(wanted, third, origin="run", actor="ada") == begun == 3
    predict(second, third, (1.0, 1.1), (2.0, 2.1))
    assert probation.is_over(wanted, begun)
    for _ in range(2):
        outcome = probation.judge(wanted, begun, origin="run", actor="ada")
    assert outcome.passed and "version" in outcome.reasons[0]
    kept = read_json(get_settings().evidence / NAME / f"{history.read(NAME)[-1].evidence[0]}.json")
    assert (kept["paired"], kept["challenger"]["version"]) == (2, third)
    assert state() == (second, third, "shadow", 0.0)
    switch.promote(wanted, promotion(third, "run"), second)
    assert state() == (third, None, "", 0.0)
    assert told()[0][0] == "shadow begun" and told()[-1] == ("passed", third, second)


def test_what_fails_it_is_ended_at_once(use_case: Folder, three: tuple[int, int, int]) -> None:
    _, second, third = three
    wanted = wanting(use_case, period=timedelta(hours=1))
    begun = probation.begin(wanted, third, origin="run", actor="ada")
    predict(second, third, (1.0, 1.1))
    assert not probation.is_over(wanted, begun)
    predict(second, third, (1.0, None))
    assert probation.is_over(wanted, begun)
    for _ in range(2):  # the second is a task that is tried again
        outcome = probation.judge(wanted, begun, origin="run", actor="ada")
        assert not outcome.passed and "failed on 1 of" in outcome.reasons[0]
    assert state() == (second, None, "", 0.0)
    assert told() == [("shadow begun", third, second), ("ended", third, second)]
    assert "failed on 1 of" in history.read(NAME)[-1].reasons[0]


def test_too_few_requests_at_the_end_are_a_refusal(use_case: Folder, three: tuple[int, int, int]) -> None:
    wanted = wanting(use_case, rollout="canary")
    begun = probation.begin(wanted, three[2], origin="run", actor="ada")
    assert state()[1:] == (three[2], "canary", 0.1)
    assert probation.is_over(wanted, begun)
    outcome = probation.judge(wanted, begun, origin="run", actor="ada")
    assert not outcome.passed
    assert outcome.reasons[1:] == ("0 requests, expected at least 2",)
    assert state() == (three[1], None, "", 0.0)


def test_another_change_during_the_probation_is_a_refusal(use_case: Folder, three: tuple[int, int, int]) -> None:
    first, _, third = three
    wanted = wanting(use_case, period=timedelta(hours=1))
    begun = probation.begin(wanted, third, origin="run", actor="ada")
    switch.rollback(use_case, rollback(first))
    assert probation.is_over(wanted, begun)
    outcome = probation.judge(wanted, begun, origin="run", actor="ada")
    assert outcome.reasons == ("another change came during the rollout: generation 4, rollback by tester is in force",)
    assert state()[0] == first


def test_the_first_model_has_nobody_to_be_compared_with(use_case: Folder, register: Register) -> None:
    wanted = wanting(use_case)
    assert probation.begin(wanted, register(), origin="run", actor="ada") is None
    assert probation.is_over(wanted, None)
    assert probation.judge(wanted, None, origin="run", actor="ada").passed


def test_without_a_rollout_in_the_use_case_there_is_no_probation(use_case: Folder, three: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match=r"promotion.rollout is none in use_case.yaml"):
        probation.begin(use_case, three[2], origin="run", actor="ada")


def test_a_rollout_that_a_broken_promotion_has_left_is_ended(
    use_case: Folder, three: tuple[int, int, int], register: Register
) -> None:
    _, second, third = three
    fourth, wanted = register("temp"), wanting(use_case)
    probation.begin(wanted, third, origin=f"gate {third}", actor="ada")
    begun = probation.begin(wanted, fourth, origin="run", actor="ada")
    assert probation.begin(wanted, fourth, origin="run", actor="ada") == begun
    assert state() == (second, fourth, "shadow", 0.0)
    assert [outcome for outcome, *_ in told()] == ["shadow begun", "ended", "shadow begun"]


def test_a_rollout_that_a_person_began_is_left_to_that_person(
    use_case: Folder, three: tuple[int, int, int], register: Register
) -> None:
    rollout.start(use_case, three[2], "canary", 0.1, origin="by hand", actor="ada")
    with pytest.raises(ValueError, match="is being tried as canary since generation 3; end that rollout"):
        probation.begin(wanting(use_case), register("temp"), origin="run", actor="ada")
    assert state()[1:] == (three[2], "canary", 0.1)
