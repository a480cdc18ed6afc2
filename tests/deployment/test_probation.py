"""The rollout of a promotion: walked step by step, each judged."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from include import alerts
from include.contract.loading import Folder
from include.contract.serving import PromotionConfig
from include.deployment import losses, probation, rollout, switch
from include.deployment.probation import Outcome
from include.files import read_json
from include.history import log as history
from include.serving.prediction_log import PredictionLog
from include.settings import get_settings
from tests.deployment import test_losses
from tests.deployment.conftest import NAME
from tests.deployment.test_rollout import Register, refusing, state, told
from tests.deployment.test_switch import promotion, rollback


def wanting(use_case: Folder, *steps: Any, **options: Any) -> Folder:
    given = {"steps": steps or ("shadow",), "period": timedelta(0), "minimum_requests": 2, **options}
    return replace(use_case, config=use_case.config.model_copy(update={"promotion": PromotionConfig(**given)}))


def predict(champion: int, challenger: int, *pairs: tuple[float, float | None]) -> None:
    log = PredictionLog(get_settings().predictions, NAME)
    for number, (first, second) in enumerate(pairs):
        common = {"request_id": f"r{number}", "run_id": "", "entity": None, "features": {}, "event_timestamp": None}
        log.append(datetime.now(UTC), {**common, "model_version": champion, "prediction": first})
        shadow = {"source": "shadow", "model_version": challenger, "prediction": second}
        log.append(datetime.now(UTC), {**common, **shadow})
    log.close()


def answer(*versions: int, requests: int = 4) -> None:
    """Requests that each of these versions has answered, with the same predictions."""
    log = PredictionLog(get_settings().predictions, NAME)
    for version in versions:
        for number in range(requests):
            line = {"request_id": f"{version} {number}", "run_id": "", "entity": None, "features": {}}
            seen = {"event_timestamp": None, "model_version": version, "prediction": number / 4, "seconds": 0.001}
            log.append(datetime.now(UTC), {**line, **seen})
    log.close()


def advance(use_case: Folder, begun: int | None) -> Outcome | None:
    return probation.advance(use_case, begun, origin="run", actor="ada")


def stopped() -> str:
    (alert,) = alerts.open_alerts(NAME)
    assert alert.kind == "failed promotion"
    return f"{alert.key}: {alert.message}"


def test_what_passes_every_step_may_be_promoted(use_case: Folder, three: tuple[int, int, int]) -> None:
    _, second, third = three
    wanted = wanting(use_case, "shadow", 0.05, 0.25)
    begun = probation.begin(wanted, third, origin="run", actor="ada")
    assert probation.begin(wanted, third, origin="run", actor="ada") == begun == 3
    assert state() == (second, third, "shadow", 0.0)
    predict(second, third, (1.0, 1.1), (2.0, 2.1))
    assert advance(wanted, begun) is None
    assert state() == (second, third, "canary", 0.05)
    answer(second, third)
    assert advance(wanted, begun) is None
    assert state() == (second, third, "canary", 0.25)
    answer(second, third)
    for _ in range(2):  # the task that waits, and the one that asks what it came to
        outcome = advance(wanted, begun)
        assert outcome is not None and outcome.passed and "version" in outcome.reasons[0]
    kept = read_json(get_settings().evidence / NAME / f"{outcome.evidence}.json")
    assert (kept["generation"], kept["champion"]["requests"], kept["challenger"]["version"]) == (5, 4, third)
    assert state() == (second, third, "canary", 0.25)
    switch.promote(wanted, promotion(third, "run"), second)
    assert state() == (third, None, "", 0.0)
    begins = ["shadow begun", "passed", "canary begun", "passed", "canary begun", "passed"]
    assert [outcome for outcome, *_ in told()] == begins
    assert not alerts.open_alerts(NAME)


def test_what_fails_a_step_is_ended_at_once(use_case: Folder, three: tuple[int, int, int]) -> None:
    _, second, third = three
    wanted = wanting(use_case, "shadow", 0.1, period=timedelta(hours=1))
    begun = probation.begin(wanted, third, origin="run", actor="ada")
    predict(second, third, (1.0, 1.1))
    assert advance(wanted, begun) is None
    predict(second, third, (1.0, None))
    for _ in range(2):  # the second is a task that is tried again
        outcome = advance(wanted, begun)
        assert outcome is not None and not outcome.passed and "failed on 1 of" in outcome.reasons[0]
        assert (get_settings().evidence / NAME / f"{outcome.evidence}.json").is_file()
    assert state() == (second, None, "", 0.0)
    assert told() == [("shadow begun", third, second), ("ended", third, second)]
    assert history.read(NAME)[-1].evidence == (outcome.evidence,)
    assert stopped().startswith(f"{third}: version {third} was stopped as shadow: version {third} failed on 1 of")


def test_a_later_step_that_fails_falls_back_too(use_case: Folder, three: tuple[int, int, int]) -> None:
    _, second, third = three
    wanted = wanting(use_case, 0.05, 0.25)
    begun = probation.begin(wanted, third, origin="run", actor="ada")
    answer(second, third)
    assert advance(wanted, begun) is None
    outcome = advance(wanted, begun)
    assert outcome is not None and not outcome.passed
    assert outcome.reasons[1:] == ("0 requests, expected at least 2",)
    assert state() == (second, None, "", 0.0)
    assert "stopped as canary of 0.25: the period is over, and it has not shown enough" in stopped()


def ask(champion: int, challenger: int, day: int, errors: tuple[float, float]) -> None:
    """A request about the station of ``tests.deployment.test_losses`` on a day, which a shadow predicts, too."""
    log = PredictionLog(get_settings().predictions, NAME)
    for version, error, source in zip((champion, challenger), errors, ("online", "shadow"), strict=True):
        line = test_losses.line(day, version, 10 + error, source=source, request_id=f"{day}", run_id="", features={})
        del line["time"]  # the log says when
        log.append(datetime.now(UTC), line)
    log.close()


def test_a_challenger_whose_labels_show_it_worse_is_stopped_in_a_later_step(
    use_case: Folder, three: tuple[int, int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, second, third = three
    monkeypatch.setattr(losses, "_scale", lambda name, champion: 10.0)
    wanted = wanting(use_case, "shadow", 0.1, difference=100.0)
    begun = probation.begin(wanted, third, origin="run", actor="ada")
    for day in range(9):
        ask(second, third, day, (0.5 + day / 100, 1.5))
    assert advance(wanted, begun) is None  # no label has come
    test_losses.write_labels()
    outcome = advance(wanted, begun)
    assert outcome is not None and not outcome.passed
    assert "above 0, on 9 days of labels (wrong in at most 5% of rollouts)" in outcome.reasons[0]
    assert state() == (second, None, "", 0.0)


def test_a_quality_that_cannot_be_computed_is_a_refusal(use_case: Folder, three: tuple[int, int, int]) -> None:
    """The run of the stations' champion has logged no test stretch."""
    _, second, third = three
    test_losses.write_labels()
    wanted = wanting(use_case, "shadow", difference=100.0)
    begun = probation.begin(wanted, third, origin="run", actor="ada")
    for day in range(3):
        ask(second, third, day, (0.5 + day, 1.5))
    outcome = advance(wanted, begun)
    assert outcome is not None and not outcome.passed
    assert outcome.reasons[0].startswith("the quality could not be computed: ")


def test_every_step_has_its_period(use_case: Folder, three: tuple[int, int, int]) -> None:
    wanted = wanting(use_case, "shadow", 0.1, period=timedelta(hours=1))
    begun = probation.begin(wanted, three[2], origin="run", actor="ada")
    predict(three[1], three[2], (1.0, 1.1), (2.0, 2.1))
    assert advance(wanted, begun) is None
    assert state()[1:] == (three[2], "shadow", 0.0)


@pytest.mark.parametrize("passed", [False, True])
def test_steps_that_were_changed_in_between_are_a_refusal(
    use_case: Folder, three: tuple[int, int, int], passed: bool
) -> None:
    begun = probation.begin(wanting(use_case, 0.05), three[2], origin="run", actor="ada")
    if passed:
        answer(*three[1:])
        assert advance(wanting(use_case, 0.05), begun) is not None
    outcome = advance(wanting(use_case, 0.1), begun)
    assert outcome is not None
    assert outcome.reasons == ("canary of 0.05 is none of promotion.steps in use_case.yaml any more",)
    assert state() == (three[1], None, "", 0.0)


def test_a_step_that_no_replica_takes_is_taken_back(
    use_case: Folder, three: tuple[int, int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = wanting(use_case, "shadow", 0.1)
    begun = probation.begin(wanted, three[2], origin="run", actor="ada")
    predict(three[1], three[2], (1.0, 1.1), (2.0, 2.1))
    with monkeypatch.context() as patch:
        patch.setattr(switch, "verify_replicas", refusing(three[2]))
        with pytest.raises(switch.SwitchError):
            advance(wanted, begun)
    outcome = advance(wanted, begun)  # the task is tried again
    assert outcome is not None and not outcome.passed and "no files" in outcome.reasons[0]
    assert state() == (three[1], None, "", 0.0)
    assert "no files" in stopped()


def test_another_change_in_between_is_a_refusal(use_case: Folder, three: tuple[int, int, int]) -> None:
    first, _, third = three
    wanted = wanting(use_case, period=timedelta(hours=1))
    begun = probation.begin(wanted, third, origin="run", actor="ada")
    switch.rollback(use_case, rollback(first))
    outcome = advance(wanted, begun)
    assert outcome is not None
    assert outcome.reasons == ("another change came during the rollout: generation 4, rollback by tester is in force",)
    assert state()[0] == first


def test_the_first_model_has_nobody_to_be_compared_with(use_case: Folder, register: Register) -> None:
    wanted = wanting(use_case)
    assert probation.begin(wanted, register(), origin="run", actor="ada") is None
    outcome = advance(wanted, None)
    assert outcome is not None and outcome.passed


def test_without_steps_in_the_use_case_there_is_no_probation(use_case: Folder, three: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match=r"promotion.steps is empty in use_case.yaml"):
        probation.begin(use_case, three[2], origin="run", actor="ada")


@pytest.mark.parametrize(
    ("steps", "said"),
    [
        ([0], "0 is no step; expected shadow, or a share above 0 and below 1"),
        ([0.1, 1], "1 is no step"),
        ([True], "True is no step"),
        (["canary"], "'canary' is no step"),
        ([0.05, "shadow"], "shadow can only be the first"),
        (["shadow", "shadow"], "shadow can only be the first"),
        ([0.25, 0.05], "0.25, 0.05 do not grow"),
        ([0.1, 0.1], "0.1, 0.1 do not grow"),
        ("shadow", "Input should be a valid tuple"),
    ],
    ids=str,
)
def test_steps_that_are_none_are_refused(steps: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        PromotionConfig(steps=steps)


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
