from __future__ import annotations

from pathlib import Path

from include.promotion import decisions
from include.promotion.decisions import Decision


def decision(origin: str, outcome: str = "promoted", version: int = 1) -> Decision:
    return Decision("shop", "promotion", origin, outcome, version, None, ("better",), {"check": 1})


def test_decisions_are_kept_in_their_order(home: Path) -> None:
    for number in (1, 2, 3):
        decisions.append(decision(f"run {number}", version=number))
    assert [each.version for each in decisions.read("shop")] == [1, 2, 3]


def test_a_decision_is_read_as_it_was_written(home: Path) -> None:
    written = decision("run")
    decisions.append(written)
    assert decisions.read("shop") == [written]


def test_a_retried_attempt_is_kept_once(home: Path) -> None:
    decisions.append(decision("run"))
    decisions.append(decision("run"))
    assert len(decisions.read("shop")) == 1


def test_use_cases_have_logs_of_their_own(home: Path) -> None:
    decisions.append(decision("run"))
    assert decisions.read("other") == []


def test_only_what_was_promoted_was_champion(home: Path) -> None:
    decisions.append(decision("a", "taken back", version=1))
    decisions.append(decision("b", "promoted", version=2))
    assert not decisions.was_champion("shop", 1)
    assert decisions.was_champion("shop", 2)
