"""A probation that is killed between any two writes: asked again it goes on, or still falls back."""

from __future__ import annotations

import pytest

from include import alerts
from include.contract.loading import Folder
from include.deployment import evidence, ledger, probation, published, rollout, switch
from include.history import log as history
from tests.deployment.conftest import NAME
from tests.deployment.dying import Fate, Server, Write, forking, killed
from tests.deployment.test_probation import advance, answer, predict, stopped, wanting
from tests.deployment.test_rollout import state, told

pytestmark = pytest.mark.faults

# Every write in its order: what is killed right after it has been done.
GOING_ON: dict[str, Write] = {
    "the newest evidence": (evidence, "keep_newest", 1),
    "the evidence": (evidence, "keep", 1),
    "that it has passed": (history, "append", 1),
    "the ledger": (ledger, "append", 1),
    "the tag": (published, "publish", 1),
    "the replicas": (switch, "verify_replicas", 1),
    "that the next has begun": (history, "append", 2),
    "the anchor": (published, "anchor", 1),
}
FALLING_BACK: dict[str, Write] = {
    "the evidence": (evidence, "keep", 1),
    "the ledger": (ledger, "append", 1),
    "the tag": (published, "publish", 1),
    "the replicas": (switch, "verify_replicas", 1),
    "the history": (history, "append", 1),
    "the rollout": (rollout, "stop", 1),
    "the alert": (alerts, "raise_alert", 1),
}


@pytest.fixture(scope="module")
def server() -> Server:
    return forking(__name__)


def _advance(fate: Fate, use_case: Folder, begun: int | None) -> None:
    fate.begin()
    switch.verify_replicas = lambda use_case, generation: None
    fate.seal()
    advance(use_case, begun)


@pytest.mark.parametrize("write", GOING_ON.values(), ids=GOING_ON)
def test_killed_between_two_steps_it_goes_on(
    write: Write, server: Server, use_case: Folder, three: tuple[int, int, int]
) -> None:
    _, second, third = three
    wanted = wanting(use_case, "shadow", 0.1)
    begun = probation.begin(wanted, third, origin="run", actor="ada")
    predict(second, third, (1.0, 1.1), (2.0, 2.1))
    killed(server, write, _advance, wanted, begun)
    head = ledger.head(NAME)
    assert head is not None
    if head.number == begun:
        assert advance(wanted, begun) is None
    answer(second, third)
    outcome = advance(wanted, begun)
    assert outcome is not None and outcome.passed
    assert state() == (second, third, "canary", 0.1)
    assert [outcome for outcome, *_ in told()] == ["shadow begun", "passed", "canary begun", "passed"]
    assert len(ledger.read(NAME)) == 4
    assert not ledger.verify(NAME) and not history.verify(NAME)


@pytest.mark.parametrize("write", FALLING_BACK.values(), ids=FALLING_BACK)
def test_killed_while_it_falls_back_it_still_does(
    write: Write, server: Server, use_case: Folder, three: tuple[int, int, int]
) -> None:
    _, second, third = three
    wanted = wanting(use_case, "shadow", 0.1)
    begun = probation.begin(wanted, third, origin="run", actor="ada")
    predict(second, third, (1.0, None))
    killed(server, write, _advance, wanted, begun)
    outcome = advance(wanted, begun)
    assert outcome is not None and not outcome.passed and "failed on 1 of" in outcome.reasons[0]
    assert state() == (second, None, "", 0.0)
    assert told() == [("shadow begun", third, second), ("ended", third, second)]
    assert history.read(NAME)[-1].evidence == (outcome.evidence,) != ("",)
    assert "failed on 1 of" in stopped()
    assert not ledger.verify(NAME) and not history.verify(NAME)
