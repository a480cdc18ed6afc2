"""A rollout that is killed between any two steps: run again it goes on, another change undoes it first."""

from __future__ import annotations

import pytest

from include.contract.loading import Folder
from include.deployment import ledger, published, rollout, switch
from include.history import log as history
from include.registry import models
from tests.deployment.conftest import NAME
from tests.deployment.dying import Fate, Server, Write, forking, killed
from tests.deployment.test_rollout import canary, state, told
from tests.deployment.test_switch import outcomes, promotion

pytestmark = pytest.mark.faults

# Every write of a rollout in its order: what is killed right after it has been done.
STEPS: dict[str, Write] = {
    "the ledger": (ledger, "append", 1),
    "the alias": (models, "set_alias", 1),
    "the tag": (published, "publish", 1),
    "the replicas": (switch, "verify_replicas", 1),
    "the history": (history, "append", 1),
}


@pytest.fixture(scope="module")
def server() -> Server:
    return forking(__name__)


def _begin(fate: Fate, use_case: Folder, version: int) -> None:
    fate.begin()
    switch.verify_replicas = lambda use_case, generation: None
    fate.seal()
    canary(use_case, version, origin="killed")


@pytest.mark.parametrize("step", STEPS.values(), ids=STEPS)
def test_killed_it_goes_on_or_is_taken_back(
    step: Write, server: Server, use_case: Folder, three: tuple[int, int, int]
) -> None:
    _, second, third = three
    killed(server, step, _begin, use_case, third)
    canary(use_case, third, origin="killed")
    assert state() == (second, third, "canary", 0.1)
    assert told() == [("canary begun", third, second)]
    # And once more, with somebody else who comes after it.
    rollout.stop(use_case, origin="enough")
    killed(server, step, _begin, use_case, third)
    switch.promote(use_case, promotion(third), second)
    assert state() == (third, None, "", 0.0)
    ending = ("canary begun", third, second) if step[0] is history else ("taken back", third, second)
    assert told()[1:] == [("ended", third, second), ending]
    assert outcomes()[-1] == ("promoted", third, second)
    assert not ledger.verify(NAME) and not history.verify(NAME)
