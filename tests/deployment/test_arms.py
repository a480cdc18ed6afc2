"""What each version did in the steps of a rollout."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from include.contract.loading import Folder
from include.deployment import arms, evidence, ledger, losses, observation, probation, rollout, switch
from include.deployment.arms import ArmResult, table
from include.deployment.losses import Quality
from include.deployment.sequential import compare
from tests.deployment.conftest import NAME
from tests.deployment.test_probation import advance, answer, predict, wanting
from tests.deployment.test_switch import promotion, rollback


def seen(use_case: Folder) -> list[tuple[str, float, int, int, str]]:
    return [(each.mode, each.weight, each.version, each.requests, each.outcome) for each in table(use_case)]


def test_before_a_rollout_there_is_nothing_to_show(use_case: Folder, three: tuple[int, int, int]) -> None:
    assert table(use_case) == ()


def test_a_walk_is_shown_step_by_step(use_case: Folder, three: tuple[int, int, int]) -> None:
    _, second, third = three
    wanted = wanting(use_case, "shadow", 0.1, 0.5)
    begun = probation.begin(wanted, third, origin="run", actor="ada")
    predict(second, third, (1.0, 1.1), (2.0, 2.1))
    assert advance(wanted, begun) is None
    answer(second, third)
    assert advance(wanted, begun) is None
    shadow = [("shadow", 0.0, version, 2, "passed") for version in (second, third)]
    canary = [("canary", 0.1, version, 4, "passed") for version in (second, third)]
    assert seen(wanted) == [*shadow, *canary, *[("canary", 0.5, version, 0, "under way") for version in three[1:]]]
    champion, challenger = table(wanted)[2:4]
    assert (champion.role, challenger.role, challenger.generation) == ("champion", "challenger", 4)
    assert challenger.latency is not None and challenger.latency.p99 == pytest.approx(0.001)
    assert (challenger.labelled, challenger.loss, challenger.difference, challenger.verdict) == (0, None, None, None)
    assert challenger.reasons[0].startswith(f"version {third} answered 4 requests")
    assert ArmResult.from_dict(challenger.to_dict()) == challenger
    assert advance(wanted, begun) is not None
    assert [each[-1] for each in seen(wanted)][-2:] == ["ended", "ended"]
    assert "0 requests, expected at least 2" in table(wanted)[-1].reasons[0]


@pytest.mark.parametrize("way", ["promoted", "rolled back", "ended"])
def test_a_rollout_that_was_begun_by_hand_is_read_off_the_log(
    use_case: Folder, three: tuple[int, int, int], way: str
) -> None:
    first, second, third = three
    rollout.start(use_case, third, "canary", 0.1, origin="try")
    answer(second, third)
    rollout.start(use_case, third, "canary", 0.2, origin="try")
    answer(second, third, requests=3)
    if way == "promoted":
        switch.promote(use_case, promotion(third), second)
    elif way == "rolled back":
        switch.rollback(use_case, rollback(first))
    else:
        rollout.stop(use_case, origin="enough", reasons=("seen enough",))
    answer(second, third)  # after it
    before = [("canary", 0.1, version, 4, "changed") for version in (second, third)]
    assert seen(use_case) == [*before, *[("canary", 0.2, version, 3, way) for version in (second, third)]]


def test_another_version_that_is_promoted_ends_it(use_case: Folder, three: tuple[int, int, int]) -> None:
    first, second, third = three
    rollout.start(use_case, third, "shadow", 0, origin="try")
    switch.promote(use_case, promotion(first), second)
    assert {each.outcome for each in table(use_case)} == {"ended"}


def test_what_labels_have_shown_is_the_challenger_s(use_case: Folder, three: tuple[int, int, int]) -> None:
    done = rollout.start(use_case, three[2], "shadow", 0, origin="try")
    step = ledger.get(NAME, done.generation)
    assert step is not None
    quality = Quality(0.2, 0.25, 90, 80, compare([0.05] * 9, alpha=0.05))
    evidence.keep_newest(replace(observation.collect(use_case, step), quality=quality))
    champion, challenger = table(use_case)
    assert (champion.loss, champion.labelled, champion.difference, champion.verdict) == (0.2, 90, None, None)
    assert (challenger.loss, challenger.labelled, challenger.verdict) == (0.25, 80, "worse")
    assert challenger.difference == quality.comparison.interval


def test_a_quality_that_cannot_be_computed_is_told(
    use_case: Folder, three: tuple[int, int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    rollout.start(use_case, three[2], "shadow", 0, origin="try")
    step = ledger.head(NAME)
    assert step is not None

    def fail(*_: object) -> None:
        raise FileNotFoundError("evaluation/test.parquet")

    monkeypatch.setattr(losses, "realized", fail)
    found = observation.collect(use_case, step, datetime.now(UTC) + timedelta(seconds=1))
    assert (found.quality, found.failure) == (None, "FileNotFoundError: evaluation/test.parquet")
    assert all(each.loss is None and each.labelled == 0 for each in arms.table(use_case))
