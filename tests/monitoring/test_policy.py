"""When a new model is asked for, when it has to wait, and that nothing asks twice."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from include.contract.monitoring import RetrainingConfig
from include.monitoring.policy import decide
from tests.monitoring.watched import GOOD, MOVED, NOW, WORSE, evidence, later, verdict

CONFIG = RetrainingConfig(cooldown="7d", minimum_coverage=0.5, persistence=1)


def test_nothing_happened_no_new_model():
    decision = decide(evidence(), CONFIG, [])
    assert verdict(decision) == ("no", None)
    assert decision.reasons == ("quality: as promised", "prediction drift: did not move")


def test_a_quality_loss_asks_for_a_new_model():
    decision = decide(evidence(quality=WORSE), CONFIG, [])
    assert verdict(decision) == ("retrain", "quality_loss")
    assert decision.reasons[0] == "quality: much worse"


def test_a_prediction_drift_asks_for_a_new_model():
    assert verdict(decide(evidence(prediction_drift=MOVED), CONFIG, [])) == ("retrain", "prediction_drift")


def test_a_prediction_drift_asks_before_any_label_has_come():
    early = evidence(quality=None, prediction_drift=MOVED)
    assert verdict(decide(early, CONFIG, [])) == ("retrain", "prediction_drift")


def test_of_two_causes_the_realized_one_is_named():
    assert decide(evidence(quality=WORSE, prediction_drift=MOVED), CONFIG, []).trigger == "quality_loss"


def test_feature_drift_alone_never_asks_but_is_named():
    decision = decide(evidence(drifted_features=("wind", "carrier")), CONFIG, [])
    assert verdict(decision) == ("no", None)
    assert "drifted features, no cause by themselves: carrier, wind" in decision.reasons


def test_what_the_season_moved_is_named_and_is_neither_cause_nor_new_evidence():
    seasonal = evidence(seasonal_features=("temperature", "rain"))
    decision = decide(seasonal, RetrainingConfig(on_feature_drift=True), [])
    assert verdict(decision) == ("no", None)
    assert "moved as at this time of earlier years, no drift: rain, temperature" in decision.reasons
    assert seasonal.id == evidence().id


@pytest.mark.parametrize(
    ("switch", "facts"),
    [("on_quality_loss", {"quality": WORSE}), ("on_prediction_drift", {"prediction_drift": MOVED})],
)
def test_a_cause_that_is_switched_off_does_not_ask(switch, facts):
    decision = decide(evidence(**facts), CONFIG.model_copy(update={switch: False}), [])
    assert verdict(decision) == ("no", None)
    assert any("not asked to retrain on it" in reason for reason in decision.reasons)


@pytest.mark.parametrize(("coverage", "action"), [(0.49, "wait"), (0.5, "retrain")])
def test_quality_counts_from_the_minimum_coverage(coverage, action):
    decision = decide(evidence(quality=replace(WORSE, coverage=coverage)), CONFIG, [])
    assert decision.action == action
    if action == "wait":
        assert decision.reasons[0] == "quality: 49% of the labels have come, 50% are needed"


def test_undecidable_or_missing_quality_waits():
    undecidable = replace(WORSE, decidable=False, reasons=("not decidable: too few rows",))
    assert verdict(decide(evidence(quality=undecidable), CONFIG, [])) == ("wait", None)
    assert verdict(decide(evidence(quality=None), CONFIG, [])) == ("wait", None)


def test_a_drift_that_could_not_be_computed_is_no_cause():
    broken = replace(MOVED, computed=False, reasons=("the column is missing",))
    decision = decide(evidence(prediction_drift=broken), CONFIG, [])
    assert verdict(decision) == ("no", None)
    assert "prediction drift: could not be computed: the column is missing" in decision.reasons


def test_a_data_incident_waits_whatever_else_is_found():
    decision = decide(evidence(quality=WORSE, prediction_drift=MOVED, data_incident=True), CONFIG, [])
    assert verdict(decision) == ("wait", "quality_loss")
    assert "in doubt" in decision.reasons[0]


def test_without_a_champion_there_is_nothing_to_retrain():
    decision = decide(evidence(champion=None, trained_until=None, quality=WORSE), CONFIG, [])
    assert verdict(decision) == ("no", None)
    assert decision.reasons == ("there is no champion to retrain",)


@pytest.mark.parametrize(("days", "action"), [(6.99, "wait"), (7, "retrain")])
def test_a_champion_that_learned_lately_is_left_alone(days, action):
    decision = decide(evidence(quality=WORSE, trained_until=NOW - timedelta(days=days)), CONFIG, [])
    assert verdict(decision) == (action, "quality_loss")
    if action == "wait":
        assert "too early: the champion learned until" in decision.reasons[0]
        assert "less than the cooldown of 7 days ago" in decision.reasons[0]


@pytest.mark.parametrize(("days", "action"), [(6, "wait"), (7, "retrain")])
def test_requests_keep_their_distance(days, action):
    first = decide(evidence(quality=WORSE), CONFIG, [])
    again = later(days, quality=replace(WORSE, rows=950))
    assert verdict(decide(again, CONFIG, [first])) == (action, "quality_loss")


def test_a_decision_to_wait_starts_no_cooldown():
    waiting = decide(evidence(quality=WORSE, data_incident=True), CONFIG, [])
    assert decide(later(1, quality=WORSE), CONFIG, [waiting]).action == "retrain"


def test_the_same_evidence_never_asks_twice():
    first = decide(evidence(quality=WORSE), CONFIG, [])
    again = decide(later(30, quality=WORSE), CONFIG, [first])
    assert again.evidence_id == first.evidence_id
    assert verdict(again) == ("no", "quality_loss")
    assert "on this very evidence, from partition 2013-03-10" in again.reasons[0]


def test_running_a_partition_again_gives_the_decision_it_got_before():
    first = decide(evidence(quality=WORSE), CONFIG, [])
    follower = decide(later(1, quality=WORSE), CONFIG, [first])
    assert decide(evidence(quality=WORSE), CONFIG, [first, follower]) is first
    stricter = CONFIG.model_copy(update={"on_quality_loss": False})
    assert decide(evidence(quality=WORSE), stricter, [first]) is first


def test_late_labels_are_new_evidence_for_the_same_partition():
    waiting = decide(evidence(quality=replace(WORSE, coverage=0.3)), CONFIG, [])
    assert waiting.action == "wait"
    assert decide(evidence(quality=WORSE), CONFIG, [waiting]).action == "retrain"


def test_a_partition_asks_only_once_even_without_a_cooldown():
    config = RetrainingConfig(cooldown="0d", persistence=1)
    first = decide(evidence(quality=WORSE), config, [])
    again = decide(evidence(quality=replace(WORSE, rows=950)), config, [first])
    assert verdict(again) == ("no", "quality_loss")
    assert "already asked for from partition 2013-03-10" in again.reasons[0]


def test_an_old_partition_that_is_run_again_does_not_repeat_a_later_request():
    newer = decide(later(20, quality=replace(WORSE, rows=800)), CONFIG, [])
    assert newer.action == "retrain"
    assert decide(evidence(quality=WORSE), CONFIG, [newer]).action == "wait"


def test_another_use_case_does_not_count():
    other = decide(evidence(use_case="fares", quality=WORSE), CONFIG, [])
    assert decide(evidence(quality=WORSE), CONFIG, [other]).action == "retrain"


def test_a_new_champion_is_new_evidence():
    assert evidence().id != evidence(champion="8").id
    assert evidence().id == later(3).id
    assert evidence(drifted_features=("a", "b")).id == evidence(drifted_features=("b", "a")).id


def test_another_wording_or_last_digit_is_no_new_evidence_but_another_number_is():
    quality = replace(GOOD, coverage=0.9 + 1e-15, reasons=("said otherwise",))
    assert evidence(quality=quality).id == evidence().id
    assert evidence(quality=replace(GOOD, coverage=0.9001)).id != evidence().id


def test_instants_need_a_time_zone_and_a_champion_its_cutoff():
    with pytest.raises(ValueError, match=r"as_of: .* has no time zone"):
        evidence(as_of=datetime(2013, 3, 11))  # noqa: DTZ001
    with pytest.raises(ValueError, match="trained_until: missing for champion 7"):
        evidence(trained_until=None)
