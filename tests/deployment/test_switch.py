"""What is in production changes as a whole: in the ledger, the registry, the record of features, and the history."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from include import alerts
from include.contract.loading import Folder
from include.deployment import ledger, published, switch
from include.deployment.eligible import choose, eligible
from include.deployment.generation import Generation
from include.deployment.switch import Change, StaleVerdictError, SwitchError
from include.features import in_use
from include.features.catalogue import DefinitionError
from include.history import log as history
from include.history.chain import Head
from include.registry import models
from tests.deployment.conftest import NAME

Register = Callable[..., int]


def promotion(version: int, origin: str = "") -> Change:
    return Change("promotion", version, origin or f"promote {version}", ("better",), "tester", evidence=("abc",))


def rollback(version: int, origin: str = "") -> Change:
    return Change("rollback", version, origin or f"back to {version}", ("worse than thought",), "tester")


def champion() -> int | None:
    found = models.by_alias(NAME, models.CHAMPION)
    return found.version if found else None


def in_production() -> int | None:
    found = published.champion(NAME)
    return found.version if found else None


def previous() -> int | None:
    found = models.by_alias(NAME, models.PREVIOUS_CHAMPION)
    return found.version if found else None


def outcomes() -> list[tuple[str, int | None, int | None]]:
    return [(each.outcome, each.version, each.previous) for each in history.read(NAME)]


def recorded() -> tuple[int | None, int | None]:
    used = in_use.read(NAME)
    assert used is not None
    return tuple(each.version if each is not None else None for each in (used.champion, used.previous))  # type: ignore[return-value]


@pytest.fixture
def two(use_case: Folder, register: Register) -> tuple[int, int]:
    """Two versions, of which the second one has replaced the first."""
    first, second = register("temp"), register("temp", "temp_mean")
    switch.promote(use_case, promotion(first), None)
    switch.promote(use_case, promotion(second), first)
    return first, second


def unreachable(but: int | None = None) -> Callable[[str, Generation], None]:
    def verify(use_case: str, generation: Generation) -> None:
        if generation.champion != but:
            raise SwitchError(f"replica http://somewhere does not serve version {generation.champion}: no answer")

    return verify


def test_a_promotion_is_in_the_ledger_the_registry_the_record_and_the_history(
    use_case: Folder, two: tuple[int, int]
) -> None:
    first, second = two
    head = ledger.head(NAME)
    assert head is not None
    assert (head.number, head.after, head.champion, head.previous) == (2, 1, second, first)
    assert (head.actor, head.reason, head.kind) == ("tester", "better", "promotion")
    assert published.read(NAME) == head
    assert (champion(), previous()) == (second, first)
    assert recorded() == (second, first)
    assert outcomes() == [("promoted", first, None), ("promoted", second, first)]
    assert history.read(NAME)[-1].evidence == ("abc",)
    assert not ledger.verify(NAME) and not history.verify(NAME)


def test_the_registry_anchors_the_log_of_decisions(two: tuple[int, int]) -> None:
    anchor = published.read_anchor(NAME)
    assert anchor is not None and Head.parse(anchor) == history.head(NAME)


def test_an_attempt_that_is_run_again_changes_nothing(use_case: Folder, two: tuple[int, int]) -> None:
    first, second = two
    before = (ledger.read(NAME), outcomes())
    again = switch.promote(use_case, promotion(second), first)
    assert (again.version, again.previous, again.generation) == (second, first, 2)
    assert (ledger.read(NAME), outcomes()) == before


def test_a_rollback_of_a_rollback_goes_forward_again(use_case: Folder, two: tuple[int, int]) -> None:
    first, second = two
    switch.rollback(use_case, rollback(choose(NAME, None)))
    assert (champion(), previous()) == (first, second)
    switch.rollback(use_case, rollback(choose(NAME, None)))
    assert (champion(), previous()) == (second, first)
    assert recorded() == (second, first)
    assert [outcome for outcome, *_ in outcomes()][2:] == ["rolled back", "rolled back"]


def test_only_what_has_served_can_be_gone_back_to(
    use_case: Folder, two: tuple[int, int], register: Register, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = two
    third, never = register(), register()
    monkeypatch.setattr(switch, "verify_replicas", unreachable(but=second))
    with pytest.raises(SwitchError):
        switch.promote(use_case, promotion(third), second)
    assert [each.version for each in eligible(ledger.read(NAME))] == [first]
    assert choose(NAME, first) == first
    for version in (second, third, never):
        with pytest.raises(ValueError, match=rf"version {version} is none to go back to; eligible are \[{first}\]"):
            choose(NAME, version)


def test_without_a_previous_champion_there_is_no_way_back(use_case: Folder, register: Register) -> None:
    with pytest.raises(ValueError, match="no previous champion"):
        choose(NAME, None)
    switch.promote(use_case, promotion(register()), None)
    with pytest.raises(ValueError, match="no previous champion"):
        choose(NAME, None)


def test_what_no_replica_confirms_is_taken_back(
    use_case: Folder, two: tuple[int, int], register: Register, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = two
    third = register("temp")
    monkeypatch.setattr(switch, "verify_replicas", unreachable(but=second))
    with pytest.raises(SwitchError, match=f"does not serve version {third}"):
        switch.promote(use_case, promotion(third), second)
    assert (champion(), previous()) == (second, first)
    assert recorded() == (second, first)
    assert outcomes()[-1] == ("taken back", third, second)
    assert "does not serve version" in history.read(NAME)[-1].reasons[0]
    head = ledger.head(NAME)
    assert head is not None and published.read(NAME) == head
    assert (head.kind, head.champion, head.previous, head.after) == ("taken back", second, first, 3)
    (alert,) = alerts.open_alerts(NAME)
    assert (alert.kind, alert.key) == ("failed promotion", str(third))


def test_replicas_that_do_not_come_back_either_are_told(
    use_case: Folder, two: tuple[int, int], register: Register, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(switch, "verify_replicas", unreachable())
    with pytest.raises(SwitchError):
        switch.promote(use_case, promotion(register("temp")), two[1])
    assert champion() == two[1]
    assert (
        f"after it was taken back: replica http://somewhere does not serve version {two[1]}"
        in (history.read(NAME)[-1].reasons[1])
    )


def test_a_taken_back_promotion_can_be_tried_again(
    use_case: Folder, two: tuple[int, int], register: Register, monkeypatch: pytest.MonkeyPatch
) -> None:
    third = register("temp")
    with monkeypatch.context() as patch:
        patch.setattr(switch, "verify_replicas", unreachable(but=two[1]))
        with pytest.raises(SwitchError):
            switch.promote(use_case, promotion(third, "run"), two[1])
    done = switch.promote(use_case, promotion(third, "run"), two[1])
    assert (champion(), previous(), done.previous) == (third, two[1], two[1])
    assert not alerts.open_alerts(NAME)


def test_the_first_promotion_that_fails_leaves_nothing_in_production(
    use_case: Folder, register: Register, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(switch, "verify_replicas", unreachable(but=None))
    with pytest.raises(SwitchError):
        switch.promote(use_case, promotion(register()), None)
    assert (champion(), previous(), in_use.read(NAME)) == (None, None, None)


def test_a_verdict_against_another_champion_is_stale(
    use_case: Folder, two: tuple[int, int], register: Register
) -> None:
    first, second = two
    third = register()
    with pytest.raises(StaleVerdictError, match=f"judged against champion {first}, and the champion is {second}"):
        switch.promote(use_case, promotion(third), first)
    assert champion() == second
    assert len(ledger.read(NAME)) == 2


def test_the_champion_cannot_become_champion(use_case: Folder, two: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="is the champion already"):
        switch.rollback(use_case, rollback(two[1]))


def test_a_version_that_is_not_there_changes_nothing(use_case: Folder, two: tuple[int, int]) -> None:
    with pytest.raises(models.ModelNotFound):
        switch.promote(use_case, promotion(10_000), two[1])
    assert len(ledger.read(NAME)) == 2


def test_an_alias_that_was_moved_by_hand_is_adopted(use_case: Folder, two: tuple[int, int], register: Register) -> None:
    first, second = two
    models.set_alias(NAME, models.CHAMPION, first)
    assert in_production() == second
    third = register()
    switch.promote(use_case, promotion(third), first)
    assert in_production() == third
    by_hand = ledger.get(NAME, 3)
    assert by_hand is not None
    assert (by_hand.kind, by_hand.champion, by_hand.previous) == ("by hand", first, second)
    assert outcomes()[2:] == [("promoted", first, second), ("promoted", third, first)]
    assert history.read(NAME)[2].actor == "outside of the pipeline"


def test_before_the_first_change_the_alias_tells_the_champion(use_case: Folder, register: Register) -> None:
    assert in_production() is None
    first = register("temp")
    assert in_production() is None
    models.set_alias(NAME, models.CHAMPION, first)
    assert in_production() == first


def test_no_alias_moves_to_a_version_whose_features_are_not_there(use_case: Folder, register: Register) -> None:
    with pytest.raises(DefinitionError, match="reads gust, which the feature service"):
        switch.promote(use_case, promotion(register("temp", "gust")), None)
    assert champion() is None
    assert ledger.head(NAME) is None


def test_a_change_after_another_one_is_refused(use_case: Folder, two: tuple[int, int]) -> None:
    stale = ledger.get(NAME, 1)
    with pytest.raises(ledger.GenerationConflictError, match="generation 2 came in between"):
        ledger.append(NAME, stale, champion=two[0], previous=None, kind="promotion")
    assert len(ledger.read(NAME)) == 2
