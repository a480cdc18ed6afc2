"""A rollout that is killed between any two steps: run again it goes on, another change undoes it first."""

from __future__ import annotations

import multiprocessing
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from include.contract.loading import Folder
from include.deployment import ledger, published, rollout, switch
from include.history import log as history
from include.registry import models
from include.settings import get_settings
from tests.deployment.conftest import NAME
from tests.deployment.test_rollout import canary, state, told
from tests.deployment.test_switch import outcomes, promotion

pytestmark = pytest.mark.faults

# Every write of a rollout in its order: what is killed right after it has been done.
STEPS: dict[str, tuple[Any, str]] = {
    "the ledger": (ledger, "append"),
    "the alias": (models, "set_alias"),
    "the tag": (published, "publish"),
    "the replicas": (switch, "verify_replicas"),
    "the history": (history, "append"),
}


def _begin_and_die(environment: dict[str, str], folder: str, module: str, function: str, version: int) -> None:
    import sys

    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    get_settings.cache_clear()
    switch.verify_replicas = lambda use_case, generation: None
    real = getattr(sys.modules[module], function)

    def wrapped(*arguments: Any, **options: Any) -> None:
        real(*arguments, **options)
        os.kill(os.getpid(), signal.SIGKILL)

    setattr(sys.modules[module], function, wrapped)
    config = type("Config", (), {"name": NAME})()
    canary(type("Folder", (), {"config": config})(), version, origin="killed")  # type: ignore[arg-type]


@pytest.mark.parametrize("step", STEPS.values(), ids=STEPS)
def test_killed_it_goes_on_or_is_taken_back(
    step: tuple[Any, str], use_case: Folder, three: tuple[int, int, int]
) -> None:
    _, second, third = three
    server = multiprocessing.get_context("forkserver")
    server.set_forkserver_preload(["tests.deployment.test_rollout_faults", "mlflow", "sklearn.dummy"])
    arguments = (dict(os.environ), str(Path.cwd()), step[0].__name__, step[1], third)
    child = server.Process(target=_begin_and_die, args=arguments)
    child.start()
    child.join(timeout=120)
    assert child.exitcode == -signal.SIGKILL
    canary(use_case, third, origin="killed")
    assert state() == (second, third, "canary", 0.1)
    assert told() == [("canary begun", third, second)]
    # And once more, with somebody else who comes after it.
    rollout.stop(use_case, origin="enough")
    child = server.Process(target=_begin_and_die, args=arguments)
    child.start()
    child.join(timeout=120)
    assert child.exitcode == -signal.SIGKILL
    switch.promote(use_case, promotion(third), second)
    assert state() == (third, None, "", 0.0)
    ending = ("canary begun", third, second) if step[0] is history else ("taken back", third, second)
    assert told()[1:] == [("ended", third, second), ending]
    assert outcomes()[-1] == ("promoted", third, second)
    assert not ledger.verify(NAME) and not history.verify(NAME)
