"""A version beside the champion: begun, changed, ended, refused, broken off, judged."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from include import alerts
from include.contract.loading import Folder
from include.deployment import ledger, published, rollout, switch
from include.deployment.eligible import to_try
from include.deployment.generation import Generation
from include.deployment.replica import Served
from include.deployment.switch import SwitchError
from include.history import log as history
from include.registry import models
from tests.deployment.conftest import NAME, judge
from tests.deployment.test_switch import promotion, rollback

Register = Callable[..., int]


def challenger() -> int | None:
    found = models.by_alias(NAME, models.CHALLENGER)
    return found.version if found else None


def state() -> tuple[Any, ...]:
    head = ledger.head(NAME)
    assert head is not None and published.read(NAME) == head
    assert challenger() == head.challenger
    return head.champion, head.challenger, head.mode, head.weight


def told() -> list[tuple[str, int | None, int | None]]:
    """What became of rollouts."""
    return [(each.outcome, each.version, each.previous) for each in history.read(NAME) if each.kind == "rollout"]


def canary(use_case: Folder, version: int, weight: float = 0.1, origin: str = "try") -> None:
    rollout.start(use_case, version, "canary", weight, origin=origin, actor="ada", reason="carefully")


def refusing(version: int) -> Callable[[str, Generation], None]:
    """Replicas that cannot load a version as challenger."""

    def verify(use_case: str, generation: Generation) -> None:
        if generation.challenger == version:
            raise SwitchError(f"replica http://somewhere: challenger, version {version}: no files")

    return verify


def test_a_canary_is_in_the_ledger_the_registry_and_the_history(use_case: Folder, three: tuple[int, int, int]) -> None:
    first, second, third = three
    done = rollout.start(use_case, third, "canary", 0.1, origin="try", actor="ada", reason="carefully")
    assert (done.version, done.previous, done.generation) == (third, second, 3)
    assert state() == (second, third, "canary", 0.1)
    head = ledger.head(NAME)
    assert head is not None and (head.kind, head.previous, head.actor) == ("rollout", first, "ada")
    entry = history.read(NAME)[-1]
    assert (entry.kind, entry.outcome, entry.version, entry.previous) == ("rollout", "canary begun", third, second)
    assert (entry.reasons, entry.details) == (("carefully",), {"generation": 3, "mode": "canary", "weight": 0.1})
    assert published.read_anchor(NAME) == str(history.head(NAME)) == done.decisions


def test_it_grows_and_ends(use_case: Folder, three: tuple[int, int, int]) -> None:
    _, second, third = three
    rollout.start(use_case, third, "shadow", 0, origin="look")
    canary(use_case, third, 0.1)
    canary(use_case, third, 0.5)
    assert state() == (second, third, "canary", 0.5)
    rollout.stop(use_case, origin="enough", actor="ada", reasons=("seen enough",))
    assert state() == (second, None, "", 0.0)
    assert [outcome for outcome, *_ in told()] == ["shadow begun", "canary begun", "canary begun", "ended"]


def test_the_same_attempt_again_changes_nothing(use_case: Folder, three: tuple[int, int, int]) -> None:
    for _ in range(2):
        canary(use_case, three[2])
    for _ in range(2):
        rollout.stop(use_case, origin="enough")
    assert len(ledger.read(NAME)) == 4
    assert [outcome for outcome, *_ in told()] == ["canary begun", "ended"]


@pytest.mark.parametrize("back", [False, True], ids=["promotion", "rollback"])
def test_another_champion_ends_it(use_case: Folder, three: tuple[int, int, int], back: bool) -> None:
    first, second, third = three
    canary(use_case, third)
    if back:
        switch.rollback(use_case, rollback(first))
    else:
        switch.promote(use_case, promotion(third), second)
    assert state() == (first if back else third, None, "", 0.0)


def test_a_promotion_that_is_taken_back_ends_it_too(
    use_case: Folder, three: tuple[int, int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    canary(use_case, three[2])

    def verify(use_case: str, generation: Generation) -> None:
        if generation.kind == "promotion":
            raise SwitchError("down")

    monkeypatch.setattr(switch, "verify_replicas", verify)
    with pytest.raises(SwitchError):
        switch.promote(use_case, promotion(three[2]), three[1])
    assert state() == (three[1], None, "", 0.0)


@pytest.mark.parametrize(
    ("which", "mode", "weight", "said"),
    [
        (1, "canary", 0.1, "is the champion, which cannot be its own challenger"),
        (2, "canary", 0.0, "weight 0 is no share for a canary; expected one above 0 and below 1"),
        (2, "canary", 1.0, "weight 1 is no share for a canary"),
        (2, "canary", float("nan"), "weight nan is no share"),
        (2, "shadow", 0.1, "a shadow answers nothing; expected 0"),
        (2, "", 0.0, "mode '' is none of a rollout; expected canary or shadow"),
        (0, "canary", 0.1, "was never approved by the gate and must not answer anybody"),
        (None, "shadow", 0.0, "not found"),
    ],
)
def test_what_is_refused_changes_nothing(
    use_case: Folder, three: tuple[int, int, int], which: int | None, mode: Any, weight: float, said: str
) -> None:
    before = ledger.read(NAME)
    with pytest.raises((ValueError, models.ModelNotFound), match=said):
        rollout.start(use_case, three[which] if which is not None else 10_000, mode, weight, origin="try")
    assert ledger.read(NAME) == before


def test_what_the_gate_has_refused_may_only_be_shadowed(
    use_case: Folder, three: tuple[int, int, int], register: Register
) -> None:
    fourth = register("temp")
    judge(fourth, "refused")
    with pytest.raises(ValueError, match="or try it as a shadow"):
        canary(use_case, fourth)
    rollout.start(use_case, fourth, "shadow", 0, origin="look")
    assert state()[1:] == (fourth, "shadow", 0.0)
    assert to_try(NAME) == {
        fourth: f"version {fourth}: refused by the gate, only as a shadow",
        three[2]: f"version {three[2]}: approved by the gate",
    }


def test_one_at_a_time(use_case: Folder, three: tuple[int, int, int]) -> None:
    canary(use_case, three[2])
    with pytest.raises(ValueError, match=f"version {three[2]} is being tried as canary since generation 3; end that"):
        rollout.start(use_case, three[0], "shadow", 0, origin="other")


def test_without_a_champion_there_is_nothing_to_try_it_beside(use_case: Folder, register: Register) -> None:
    with pytest.raises(ValueError, match="there is no champion to try version"):
        rollout.start(use_case, register(), "shadow", 0, origin="try")
    with pytest.raises(ValueError, match="there is no rollout to end"):
        rollout.stop(use_case, origin="enough")


def test_a_challenger_that_replicas_cannot_load_is_taken_back(
    use_case: Folder, three: tuple[int, int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(switch, "verify_replicas", refusing(three[2]))
    with pytest.raises(SwitchError, match="no files"):
        canary(use_case, three[2])
    assert state() == (three[1], None, "", 0.0)
    assert told() == [("taken back", three[2], three[1])]
    (alert,) = alerts.open_alerts(NAME)
    assert alert.key == str(three[2]) and "no files" in alert.message


def test_an_end_is_never_taken_back(
    use_case: Folder, three: tuple[int, int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    canary(use_case, three[2])

    def down(*_: Any) -> None:
        raise SwitchError("replica down")

    with monkeypatch.context() as patch:
        patch.setattr(switch, "verify_replicas", down)
        with pytest.raises(SwitchError):
            rollout.stop(use_case, origin="enough")
    assert state() == (three[1], None, "", 0.0)
    assert alerts.open_alerts(NAME)
    rollout.stop(use_case, origin="enough")
    assert [outcome for outcome, *_ in told()] == ["canary begun", "ended"]
    assert not alerts.open_alerts(NAME)


@pytest.mark.parametrize(
    ("seen", "confirmed"),
    [
        (Served(1, 4, 2, ""), True),
        (Served(1, 3, 2, ""), False),
        (Served(1, 4, None, ""), False),
        (Served(1, None, None, ""), False),
        (Served(2, 4, 2, ""), False),
        (Served(None, None, None, "no answer"), False),
    ],
)
def test_a_rollout_is_confirmed_by_generation_and_versions(seen: Served, confirmed: bool) -> None:
    wanted = Generation(NAME, 4, 3, 1, None, "rollout", "", "", "", challenger=2, mode="canary", weight=0.1)
    assert seen.confirms(wanted) is confirmed


@pytest.mark.parametrize(
    ("seen", "confirmed"),
    [
        (Served(1, 4, None, ""), True),
        (Served(1, None, None, ""), True),
        (Served(1, 3, None, ""), False),
        (Served(1, 4, 2, ""), False),
        (Served(2, None, None, ""), False),
    ],
)
def test_a_replica_that_knows_no_generation_confirms_by_version(seen: Served, confirmed: bool) -> None:
    assert seen.confirms(Generation(NAME, 4, 3, 1, None, "promotion", "", "", "")) is confirmed
