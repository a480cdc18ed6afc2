"""What has to be seen more than once, what is spent, what time and new rows ask for, and what older decisions lack."""

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from include.contract.monitoring import RetrainingConfig
from include.monitoring.policy import RetrainingDecision, decide
from tests.monitoring.watched import GOOD, MOVED, NOW, evidence, later, verdict, worse

TWICE = RetrainingConfig()


def replay(config, *run):
    """Decide on one evidence after the other; all decisions."""
    history: list[RetrainingDecision] = []
    for facts in run:
        history.append(decide(facts, config, history))
    return history


def test_a_loss_has_to_be_found_in_two_partitions_in_a_row():
    first, second = replay(TWICE, later(0, **worse()), later(1, **worse(901)))
    assert verdict(first) == ("wait", "quality_loss")
    assert first.reasons[0] == "not sure yet: quality loss was found 1 time(s) in a row, and it takes 2"
    assert verdict(second) == ("retrain", "quality_loss")


def test_a_drift_of_predictions_has_to_last_as_well():
    moved = [replace(MOVED, effect=0.2 + day / 10) for day in range(3)]
    run = [later(day, prediction_drift=each) for day, each in enumerate(moved)]
    assert [each.action for each in replay(RetrainingConfig(persistence=3), *run)] == ["wait", "wait", "retrain"]


@pytest.mark.parametrize(
    "between",
    [
        {"quality": GOOD},
        {"quality": None},
        worse(901, data_incident=True),
        worse(901, champion="8"),
    ],
    ids=["it was better", "it was not measured", "the data was in doubt", "it was another champion"],
)
def test_a_row_is_broken_or_not_continued(between):
    decisions = replay(TWICE, later(0, **worse()), later(1, **between), later(2, **worse(902)))
    counted = "champion" in between  # a look at another champion says nothing about this one
    assert decisions[-1].action == ("retrain" if counted else "wait")


def test_the_same_evidence_does_not_confirm_itself():
    decisions = replay(TWICE, later(0, **worse()), later(1, **worse()), later(2, **worse()))
    assert [each.action for each in decisions] == ["wait"] * 3
    assert replay(TWICE, later(0, **worse()), later(1, **worse()), later(2, **worse(902)))[-1].action == "retrain"


def test_a_partition_counts_once_and_with_what_was_decided_last():
    late_labels = later(0, **worse(950))
    assert replay(TWICE, later(0, **worse()), late_labels)[-1].action == "wait"
    recovered = later(0, quality=replace(GOOD, rows=950))
    assert replay(TWICE, later(0, **worse()), recovered, later(1, **worse(901)))[-1].action == "wait"


def test_an_earlier_partition_is_not_confirmed_by_a_later_one():
    assert replay(TWICE, later(1, **worse()), later(0, **worse(901)))[-1].action == "wait"


def test_a_cause_that_lasts_is_the_trigger_before_one_that_is_new():
    run = [later(0, prediction_drift=MOVED), later(1, prediction_drift=replace(MOVED, effect=0.3), **worse())]
    last = replay(TWICE, *run)[-1]
    assert verdict(last) == ("retrain", "prediction_drift")
    assert last.causes == ("quality_loss", "prediction_drift")
    assert last.reasons[0] == "prediction drift: moved"


def test_during_an_incident_nothing_asks_and_nothing_is_counted():
    config = RetrainingConfig(on_new_rows=1, on_feature_drift=True, every="30d", persistence=1)
    facts = worse(prediction_drift=MOVED, drifted_features=("wind",), labelled_since=9, data_incident=True)
    decision = decide(evidence(**facts), config, [])
    assert verdict(decision) == ("wait", "quality_loss")
    assert decision.causes == ()
    assert decide(evidence(**facts | {"data_incident": False}), config, []).action == "retrain"


def test_the_budget_is_of_any_thirty_days():
    config = RetrainingConfig(persistence=1, cooldown="5d", budget=2)
    days = (0, 6, 12, 29, 30, 36)
    decisions = replay(config, *(later(day, **worse(900 + day)) for day in days))
    assert [each.action for each in decisions] == ["retrain", "retrain", "wait", "wait", "retrain", "retrain"]
    assert decisions[2].reasons[0] == "the budget of 2 requests in 30 days is spent: 2013-03-10, 2013-03-16"


def test_with_no_budget_the_monitor_only_reports():
    decision = decide(evidence(**worse()), RetrainingConfig(persistence=1, budget=0), [])
    assert verdict(decision) == ("wait", "quality_loss")
    assert decision.reasons[0] == "the budget of 0 requests in 30 days is spent"


@pytest.mark.parametrize(("days", "action"), [(6.9, "wait"), (7, "retrain"), (-1, "wait")])
def test_a_training_that_anyone_asked_for_starts_the_cooldown(days, action):
    config = RetrainingConfig(persistence=1, cooldown="7d")
    decision = decide(evidence(**worse(), last_training=NOW - timedelta(days=days)), config, [])
    assert decision.action == action
    if action == "wait":
        assert decision.reasons[0].startswith("too early: the newest model learned until")


def test_feature_drift_asks_only_where_it_is_wanted():
    drifted = [later(day, drifted_features=("wind",), quality=replace(GOOD, rows=day)) for day in range(2)]
    assert verdict(replay(TWICE, *drifted)[-1]) == ("no", None)
    wanted = replay(RetrainingConfig(on_feature_drift=True), *drifted)
    assert [verdict(each) for each in wanted] == [("wait", "feature_drift"), ("retrain", "feature_drift")]
    assert wanted[-1].reasons[0] == "drifted features: wind"


@pytest.mark.parametrize(("rows", "action"), [(9_999, "no"), (10_000, "retrain"), (None, "wait")])
def test_new_rows_ask_at_once(rows, action):
    decision = decide(evidence(labelled_since=rows), RetrainingConfig(on_new_rows=10_000), [])
    assert decision.action == action
    if action == "retrain":
        assert decision.trigger == "new_rows"
        assert (
            decision.reasons[0]
            == "new rows: 10,000 labelled since the champion learned or a request, 10,000 ask for one"
        )


def test_rows_that_a_refused_candidate_knew_are_not_new():
    config = RetrainingConfig(on_new_rows=10_000)
    run = [(0, 12_000), (10, 15_000), (20, 21_999), (30, 22_000)]
    decisions = replay(config, *(later(day, labelled_since=rows) for day, rows in run))
    assert [each.action for each in decisions] == ["retrain", "no", "no", "retrain"]
    with_champion = decide(later(31, champion="8", labelled_since=10_000), config, decisions[:1])
    assert verdict(with_champion) == ("retrain", "new_rows")


def test_time_by_itself_asks_after_the_newest_training():
    config = RetrainingConfig(every="28d")
    due = decide(evidence(), config, [])
    assert verdict(due) == ("retrain", "schedule")
    assert "a new one is due after 28 days" in due.reasons[0]
    assert decide(evidence(last_training=NOW - timedelta(days=27)), config, []).action == "no"
    days = range(60)
    run = replay(config, *(later(day, quality=replace(GOOD, rows=day)) for day in days))
    assert [day for day, each in zip(days, run, strict=True) if each.action == "retrain"] == [0, 28, 56]


def test_what_is_not_configured_asks_for_nothing():
    quiet = RetrainingConfig(on_quality_loss=False, on_prediction_drift=False)
    facts = worse(prediction_drift=MOVED, drifted_features=("wind",), labelled_since=10**9)
    assert verdict(decide(evidence(**facts), quiet, [])) == ("no", None)


def test_a_training_that_was_begun_since_is_no_new_evidence_but_more_rows_are():
    assert evidence(last_training=NOW).id == evidence().id
    assert evidence(labelled_since=5).id != evidence().id


def test_decisions_that_were_kept_before_are_read_and_count():
    first = decide(later(0, **worse()), TWICE, [])
    kept = json.loads(json.dumps(first.to_dict()))
    del kept["causes"], kept["labelled_since"]
    before = RetrainingDecision.from_dict(kept)
    assert (before.causes, before.labelled_since) == (None, None)
    assert decide(later(1, **worse(901)), TWICE, [before]).action == "retrain"
    rows = RetrainingConfig(on_new_rows=10)
    asked = replace(before, action="retrain")
    assert decide(later(14, labelled_since=10), rows, [asked]).action == "retrain"


def test_the_newest_training_needs_a_time_zone():
    with pytest.raises(ValueError, match=r"last_training: .* has no time zone"):
        evidence(last_training=NOW.replace(tzinfo=None))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"persistence": 0}, "persistence"),
        ({"budget": -1}, "budget"),
        ({"on_new_rows": 0}, "on_new_rows"),
        ({"on_new_rows": 2.5}, "on_new_rows"),
        ({"every": "weekly"}, "expected a number with a unit"),
        ({"every": "0d"}, "every: must be longer than nothing"),
        ({"every": "1d"}, "every: 1 day, 0:00:00 is shorter than the cooldown of 14 days"),
        ({"every": "7d", "cooldown": "7d"}, "up to 5 requests in 30 days, and budget is 4"),
        ({"patience": 2}, "patience"),
    ],
)
def test_a_wrong_configuration_is_refused_and_names_its_key(content: dict[str, Any], said: str):
    with pytest.raises(ValidationError, match=said):
        RetrainingConfig(**content)


def test_a_weekly_schedule_needs_its_budget():
    assert RetrainingConfig(every="7d", cooldown="7d", budget=5).every == timedelta(days=7)
