"""A change of the champion that is killed between any two steps: run again it goes on, another one undoes it first."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from include.contract.loading import Folder
from include.deployment import ledger, published, switch
from include.deployment.generation import Generation
from include.features import in_use
from include.history import log as history
from include.registry import models
from include.registry.client import RegistryUnavailable
from include.settings import get_settings
from tests.deployment.conftest import NAME
from tests.deployment.dying import Fate, Server, Write, forking, killed
from tests.deployment.test_switch import champion, outcomes, previous, promotion, recorded, rollback

pytestmark = pytest.mark.faults

# Every write of a change in its order: what is killed right after it has been done.
STEPS: dict[str, Write] = {
    "the record of features": (in_use, "record", 1),
    "the ledger": (ledger, "append", 1),
    "the record of features again": (in_use, "record", 2),
    "the alias of the previous champion": (models, "set_alias", 1),
    "the alias of the champion": (models, "set_alias", 2),
    "the tag": (published, "publish", 1),
    "the replicas": (switch, "verify_replicas", 1),
    "the history": (history, "append", 1),
    "the anchor": (published, "anchor", 1),
}
TAKING_BACK: dict[str, Write] = {
    "the ledger": (ledger, "append", 2),
    "the aliases": (models, "set_alias", 4),
    "the tag": (published, "publish", 2),
    "the history": (history, "append", 1),
}


@pytest.fixture(scope="module")
def server() -> Server:
    return forking(__name__)


def _promote(fate: Fate, version: int, against: int, *, replicas: bool = True) -> None:
    fate.begin()

    def verify(use_case: str, generation: Generation) -> None:
        if not replicas and generation.champion == version:
            raise switch.SwitchError("replica down")

    switch.verify_replicas = verify
    fate.seal()
    config = type("Config", (), {"name": NAME})()
    switch.promote(type("Folder", (), {"config": config})(), promotion(version, "killed"), against)  # type: ignore[arg-type]


def _promote_without_replicas(fate: Fate, version: int, against: int) -> None:
    _promote(fate, version, against, replicas=False)


@pytest.fixture
def three(use_case: Folder, register: Callable[..., int]) -> tuple[int, int, int]:
    """The second version is champion, after the first; the third is to come."""
    first, second, third = register("temp"), register("temp"), register("temp", "temp_mean")
    switch.promote(use_case, promotion(first), None)
    switch.promote(use_case, promotion(second), first)
    return first, second, third


def whole() -> None:
    """The ledger, the registry, the record of features and the history say the same."""
    head = ledger.head(NAME)
    assert head is not None and published.read(NAME) == head
    assert (champion(), previous()) == (head.champion, head.previous) == recorded()
    served = [version for outcome, version, _ in outcomes() if outcome in ("promoted", "rolled back")]
    assert served[-1] == head.champion
    assert not ledger.verify(NAME) and not history.verify(NAME)
    assert published.read_anchor(NAME) == str(history.head(NAME))


@pytest.mark.parametrize("step", STEPS.values(), ids=STEPS)
def test_run_again_it_goes_on(step: Write, server: Server, use_case: Folder, three: tuple[int, int, int]) -> None:
    _, second, third = three
    killed(server, step, _promote, third, second)
    switch.promote(use_case, promotion(third, "killed"), second)
    assert (champion(), previous()) == (third, second)
    assert outcomes()[2:] == [("promoted", third, second)]
    whole()


@pytest.mark.parametrize("step", STEPS.values(), ids=STEPS)
def test_another_change_takes_it_back_first(
    step: Write, server: Server, use_case: Folder, three: tuple[int, int, int]
) -> None:
    first, second, third = three
    killed(server, step, _promote, third, second)
    switch.rollback(use_case, rollback(first))
    assert champion() == first
    whole()
    told = outcomes()[2:]
    if step[0] in (history, published) and step[1] in ("append", "anchor"):
        assert told == [("promoted", third, second), ("rolled back", first, third)]  # it had been done
    elif step == STEPS["the record of features"]:
        assert told == [("rolled back", first, second)]  # it had not begun
    else:
        assert told == [("taken back", third, second), ("rolled back", first, second)]


@pytest.mark.parametrize("step", TAKING_BACK.values(), ids=TAKING_BACK)
def test_killed_while_it_takes_itself_back(
    step: Write, server: Server, use_case: Folder, three: tuple[int, int, int]
) -> None:
    first, second, third = three
    killed(server, step, _promote_without_replicas, third, second)
    switch.rollback(use_case, rollback(first))
    assert outcomes()[2:] == [("taken back", third, second), ("rolled back", first, second)]
    whole()


def test_a_registry_that_goes_away_in_the_middle(
    use_case: Folder, three: tuple[int, int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, second, third = three

    def down(*_: Any) -> None:
        raise RegistryUnavailable("connection refused")

    with monkeypatch.context() as patch:
        patch.setattr(models, "set_alias", down)
        with pytest.raises(RegistryUnavailable):
            switch.promote(use_case, promotion(third, "run"), second)
    assert champion() == second  # what served goes on serving
    switch.promote(use_case, promotion(third, "run"), second)
    assert outcomes()[2:] == [("promoted", third, second)]
    whole()


def _slow_promotion(environment: dict[str, str], folder: str, version: int, against: int | None) -> None:
    import time

    os.environ.update(environment)
    os.chdir(folder)
    get_settings.cache_clear()
    switch.verify_replicas = lambda use_case, generation: time.sleep(1)
    config = type("Config", (), {"name": NAME})()
    try:
        switch.promote(type("Folder", (), {"config": config})(), promotion(version), against)  # type: ignore[arg-type]
    except switch.StaleVerdictError:
        raise SystemExit(3) from None


def test_of_two_promotions_at_once_one_waits(server: Server, use_case: Folder, three: tuple[int, int, int]) -> None:
    first, second, third = three
    arguments = (dict(os.environ), str(Path.cwd()))
    children = [
        server.Process(target=_slow_promotion, args=(*arguments, version, second)) for version in (first, third)
    ]
    for child in children:
        child.start()
    for child in children:
        child.join(timeout=120)
    # The one that waited was judged against a champion that is none any more.
    assert sorted(child.exitcode for child in children) == [0, 3]
    assert len(outcomes()) == 3
    whole()
