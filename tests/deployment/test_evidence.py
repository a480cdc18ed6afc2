"""What a rollout has shown, and whether it may go on."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import wasserstein_distance

from include.contract.serving import PromotionConfig
from include.deployment.decision import may_go_on
from include.deployment.evidence import Evidence, Latency
from include.deployment.generation import Generation, Mode
from include.deployment.losses import Quality
from include.deployment.observation import measure
from include.deployment.sequential import compare

START = datetime(2013, 5, 1, 12, tzinfo=UTC)
CONFIG = PromotionConfig(steps=("shadow", 0.5), period=timedelta(hours=1), minimum_requests=2)


def generation(mode: Mode) -> Generation:
    return Generation(
        use_case="trips",
        number=4,
        after=3,
        champion=1,
        previous=None,
        kind="rollout",
        origin="run",
        actor="ada",
        reason="",
        at=START.isoformat(),
        challenger=2,
        mode=mode,
        weight=0.5 if mode == "canary" else 0.0,
    )


def line(request: str, version: int, prediction: float | None, source: str = "online", **more: Any) -> dict[str, Any]:
    return {"request_id": request, "model_version": version, "prediction": prediction, "source": source, **more}


def pair(request: str, champion: float, challenger: float | None) -> list[dict[str, Any]]:
    return [line(request, 1, champion), line(request, 2, challenger, "shadow", seconds=0.002)]


def shadow(*pairs: list[dict[str, Any]], hours: float = 1, threshold: float | None = 0.5) -> Evidence:
    lines = [each for both in pairs for each in both]
    return measure(generation("shadow"), lines, threshold, START + timedelta(hours=hours))


def test_a_shadow_is_compared_row_by_row() -> None:
    found = shadow(pair("a", 0.4, 0.6), pair("b", 0.7, 0.8), [line("c", 1, 0.9)], [line("d", 2, 0.1, "shadow")])
    assert (found.champion.requests, found.challenger.requests, found.paired) == (3, 3, 2)
    assert found.flipped == 0.5
    assert found.difference == pytest.approx(0.15 / 0.15)
    assert found.challenger.latency == Latency(0.002, 0.002, 0.002)
    assert found.champion.latency is None and found.slower is None
    assert Evidence.from_dict(found.to_dict()) == found
    assert Evidence.from_dict(found.to_dict()).id == found.id
    assert found.reasons == (
        "version 2 predicted 3 requests, version 1 answered 3",
        "none failed",
        "decisions differ in 50.00%",
        "predictions are 1 sd apart",
        "95 % of requests took at most 2 ms",
    )


def test_rows_of_one_request_are_compared_by_their_place() -> None:
    lines = [line("a", 1, 0.1), line("a", 1, 0.9), line("a", 2, 0.2, "shadow"), line("a", 2, 0.8, "shadow")]
    found = measure(generation("shadow"), lines, 0.5, START)
    assert (found.paired, found.flipped, found.champion.requests, found.champion.rows) == (2, 0.0, 1, 2)


def test_a_canary_is_compared_by_its_share_of_yes() -> None:
    lines = [line(str(n), 1, 0.9 if n < 3 else 0.1) for n in range(10)]
    lines += [line(f"c{n}", 2, 0.9 if n < 5 else 0.1) for n in range(10)]
    lines.append(line("other", 7, 0.5))
    found = measure(generation("canary"), lines, 0.5, START)
    assert found.flipped == pytest.approx(0.2)
    assert (found.champion.yes, found.challenger.yes, found.paired) == (0.3, 0.5, 0)
    assert found.difference == pytest.approx(0.8 * 0.2 / np.std([0.9] * 3 + [0.1] * 7))


def canary(champion: float | None, challenger: float | None, requests: int = 20) -> Evidence:
    """Requests of two rows that took so many seconds, where the log has them."""
    lines = []
    for number in range(requests):
        for row in range(2):
            for version, seconds in ((1, champion), (2, challenger)):
                more = {} if seconds is None else {"seconds": seconds * (1 + number / 1000)}
                lines.append(line(f"{version} {number}", version, 0.1 + 0.8 * row, **more))
    return measure(generation("canary"), lines, 0.5, START + timedelta(hours=1))


def test_the_seconds_of_both_arms_of_a_canary_are_compared_by_request() -> None:
    found = canary(0.001, 0.003)
    assert found.slower == pytest.approx(3)
    assert found.champion.latency is not None
    assert found.champion.latency.p50 == pytest.approx(0.001 * (1 + 9.5 / 1000))
    assert found.champion.latency.p99 == pytest.approx(0.001 * (1 + 18.81 / 1000))
    assert canary(None, 0.003).slower is None
    assert canary(0.0, 0.003).slower == float("inf")


def test_what_a_canary_failed_to_answer_counts_against_it() -> None:
    lines = [line("a", 1, 0.4), line("a", 2, None, "shadow", error="ValueError"), line("b", 2, 0.4)]
    assert measure(generation("canary"), lines, 0.5, START).challenger.failed == 1


def test_a_constant_champion_is_no_unit() -> None:
    assert shadow(pair("a", 1.0, 1.0), pair("b", 1.0, 2.0)).difference == 0.5


def test_a_generation_without_a_challenger_shows_nothing() -> None:
    with pytest.raises(ValueError, match="generation 4 is no rollout"):
        measure(replace(generation("shadow"), challenger=None, mode=""), [], 0.5, START)


numbers = st.lists(st.floats(-100, 100), min_size=2, max_size=30)


@given(champion=numbers, shift=st.floats(0.5, 5))
def test_a_shift_is_measured_in_deviations(champion: list[float], shift: float) -> None:
    moved = [value + shift for value in champion]
    found = shadow(*[pair(str(n), *both) for n, both in enumerate(zip(champion, moved, strict=True))], threshold=None)
    assert found.flipped is None
    if len(set(champion)) > 1 and np.std(champion) > 1e-6:
        assert found.difference == pytest.approx(wasserstein_distance(champion, moved) / np.std(champion))
        assert found.difference == pytest.approx(shift / np.std(champion), rel=1e-6)


def of_quality(*days: float) -> Quality:
    return Quality(0.1, 0.1 + float(np.mean(days)), 900, 100, compare(days, alpha=0.05))


ALIKE = [pair(str(number), value, value + 0.01) for number, value in enumerate([0.1, 0.3, 0.7, 0.9])]


@pytest.mark.parametrize(
    ("evidence", "action", "said"),
    [
        (shadow(*ALIKE), "go", "version 2 predicted 4 requests"),
        (shadow(*ALIKE, hours=0.5), "wait", "it has lasted 30 min of 60 min"),
        (shadow(ALIKE[0]), "wait", "1 requests, expected at least 2"),
        (shadow(), "wait", "0 requests"),
        (shadow(ALIKE[0], pair("x", 0.5, None), hours=0), "stop", "version 2 failed on 1 of 2 rows"),
        (shadow(pair("a", 0.1, 0.9), pair("b", 0.9, 0.1)), "stop", "decisions that differ is 1, above 0.4"),
        (shadow(pair("a", 1, 9), pair("b", 2, 9), threshold=None), "stop", "(W1/sd) is 15, above 1"),
        (replace(shadow(*ALIKE), flipped=None), "stop", "decisions that differ could not be computed"),
        (replace(shadow(*ALIKE), difference=None), "stop", "(W1/sd) could not be computed"),
        (replace(shadow(*ALIKE), difference=float("nan")), "stop", "(W1/sd) could not be computed"),
        (replace(shadow(*ALIKE, hours=0), difference=3.0), "stop", "(W1/sd) is 3, above 1"),
        (replace(shadow(*ALIKE), failure="OSError: disk"), "stop", "the quality could not be computed: OSError: disk"),
        (replace(shadow(*ALIKE), quality=of_quality(0.0, 0.1)), "go", "version 2 predicted 4 requests"),
        (replace(shadow(*ALIKE), quality=of_quality(*[-0.02] * 9)), "go", "version 2 predicted 4 requests"),
        (replace(shadow(hours=0), quality=of_quality(*[0.02] * 9)), "stop", "on 9 days of labels (wrong in at most 5%"),
        (canary(0.001, 0.0019), "go", "version 2 answered 20 requests"),
        (canary(0.001, 0.0021), "stop", "ratio of the 95th percentiles of seconds is 2.1, above 2"),
        (canary(0.0, 0.001), "stop", "ratio of the 95th percentiles of seconds could not be computed"),
        (canary(0.001, None), "stop", "ratio of the 95th percentiles of seconds could not be computed"),
        (canary(None, 0.1), "go", "version 2 answered 20 requests"),
        (canary(0.001, 0.1, requests=1), "wait", "1 requests, expected at least 2"),
    ],
    ids=[
        "alike",
        "too early",
        "too few",
        "none",
        "failed",
        "flipped",
        "far",
        "no flips",
        "no distance",
        "nan",
        "early",
        "no quality",
        "quality undecided",
        "better quality",
        "worse quality",
        "a little slower",
        "too slow",
        "a champion that takes no time",
        "only the champion has times",
        "the champion has no times",
        "slow, but too few",
    ],
)
def test_it_goes_on_only_when_all_holds(evidence: Evidence, action: str, said: str) -> None:
    decision = may_go_on(evidence, CONFIG)
    assert decision.action == action
    assert any(said in reason for reason in decision.reasons), decision.reasons


def test_a_regression_needs_no_decisions() -> None:
    assert may_go_on(shadow(*ALIKE, threshold=None), CONFIG).action == "go"
