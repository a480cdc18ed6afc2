"""What holds of the decisions whatever is found, in whatever order partitions are looked at."""

import json
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from include.contract.monitoring import BUDGET_PERIOD, RetrainingConfig
from include.monitoring.policy import Evidence, RetrainingDecision, decide
from tests.monitoring.watched import GOOD, MOVED, STILL, WORSE, later

LOSSES = [replace(WORSE, rows=rows) for rows in range(4)]
OTHERS = [None, GOOD, replace(WORSE, coverage=0.2), replace(WORSE, decidable=False)]
FACTS = st.fixed_dictionaries(
    {
        "quality": st.sampled_from([*LOSSES, *OTHERS]),
        "prediction_drift": st.sampled_from([None, STILL, MOVED]),
        "drifted_features": st.sampled_from([(), ("a",), ("b", "a")]),
        "data_incident": st.sampled_from([False, False, False, True]),
        "champion": st.sampled_from(["7", "7", "8"]),
        "labelled_since": st.sampled_from([None, 0, 10, 30]),
        "last_training": st.sampled_from([None, None, None, later(-9).as_of, later(20).as_of]),
    }
)
EVIDENCE = st.builds(lambda day, facts: later(day, **facts), st.integers(0, 60), FACTS)
CONFIGS = st.builds(
    RetrainingConfig,
    on_quality_loss=st.just(True),
    on_feature_drift=st.booleans(),
    on_new_rows=st.sampled_from([None, 5, 20]),
    persistence=st.sampled_from([1, 1, 2, 3]),
    cooldown=st.sampled_from([timedelta(days=days) for days in (0, 1, 5, 10)]),
    budget=st.sampled_from([0, 2, 4, 9]),
)


@st.composite
def runs(draw):
    """Few facts, found again and again: day after day, with gaps, and with steps back to what was decided before."""
    pool = draw(st.lists(FACTS, min_size=1, max_size=3))
    day, run = 0, []
    for gap in draw(st.lists(st.sampled_from([0, 1, 1, 2, 4, 8, -3]), max_size=12)):
        day += gap
        run.append(later(day, **draw(st.sampled_from(pool))))
    return run


RUNS = runs()


def decided(run, config):
    history: list[RetrainingDecision] = []
    for facts in run:
        history.append(decide(facts, config, history))
    return history


def asked(history):
    """Requests by their instant; one that was only told again counts once."""
    return sorted({entry.as_of: entry for entry in history if entry.action == "retrain"}.items())


@settings(deadline=None)
@given(run=RUNS, config=CONFIGS)
def test_two_requests_are_never_closer_than_the_cooldown(run, config):
    instants = [as_of for as_of, _ in asked(decided(run, config))]
    assert all(second - first >= config.cooldown for first, second in pairwise(instants))


@settings(deadline=None)
@given(run=RUNS, config=CONFIGS)
def test_no_thirty_days_hold_more_requests_than_the_budget(run, config):
    instants = [as_of for as_of, _ in asked(decided(run, config))]
    for begin in instants:
        assert sum(begin <= each < begin + BUDGET_PERIOD for each in instants) <= config.budget


@settings(deadline=None)
@given(run=RUNS, config=CONFIGS)
def test_the_same_evidence_never_asks_twice(run, config):
    ids = [entry.evidence_id for _, entry in asked(decided(run, config))]
    assert len(ids) == len(set(ids))


@settings(deadline=None)
@given(run=RUNS, config=CONFIGS)
def test_deciding_again_gives_the_decision_of_before(run, config):
    history: list[RetrainingDecision] = []
    for facts in run:
        decision = decide(facts, config, history)
        history.append(decision)
        assert decide(facts, config, history) is decision


@settings(deadline=None)
@given(run=RUNS, facts=EVIDENCE, config=CONFIGS)
def test_an_incident_of_the_data_never_asks_and_never_counts(run, facts, config):
    history = decided(run, config)
    doubtful = decide(replace(facts, data_incident=True), config, history)
    if doubtful not in history:
        assert doubtful.action in ("wait", "no")
        assert not doubtful.causes


@settings(deadline=None)
@given(run=RUNS, facts=EVIDENCE, config=CONFIGS)
def test_feature_drift_alone_never_asks_by_default(run, facts, config):
    quiet = config.model_copy(update={"on_feature_drift": False})
    history = decided(run, quiet)
    without = replace(facts, drifted_features=())
    assert decide(facts, quiet, history).action == decide(without, quiet, history).action or facts.id in {
        entry.evidence_id for entry in history
    }


@settings(deadline=None)
@given(run=RUNS, facts=EVIDENCE, config=CONFIGS, more=st.integers(1, 5))
def test_more_patience_never_asks_where_less_did_not(run, facts, config, more):
    history = decided(run, config)
    if decide(facts, config, history).action == "retrain":
        return
    for change in (
        {"persistence": config.persistence + more},
        {"cooldown": config.cooldown + timedelta(days=more)},
        {"budget": max(0, config.budget - more)},
    ):
        assert decide(facts, config.model_copy(update=change), history).action != "retrain"


@settings(deadline=None)
@given(run=RUNS, facts=EVIDENCE, config=CONFIGS)
def test_a_worse_window_never_stops_a_request(run, facts, config):
    """Beside what asks already, a loss of quality found in addition changes nothing but the trigger."""
    history = decided(run, config)
    known = {entry.evidence_id for entry in history} | {entry.partition for entry in history}
    worse = replace(facts, quality=replace(WORSE, rows=99))
    if decide(facts, config, history).action == "retrain" and not known & {facts.partition, worse.id, facts.id}:
        assert decide(worse, config, history).action == "retrain"


@settings(deadline=None)
@given(facts=EVIDENCE, config=CONFIGS)
def test_evidence_and_decision_survive_json_with_their_id(facts, config):
    kept = json.loads(json.dumps(facts.to_dict()))
    assert Evidence.from_dict(kept).id == facts.id
    decision = decide(facts, config, [])
    assert RetrainingDecision.from_dict(json.loads(json.dumps(decision.to_dict()))) == decision
