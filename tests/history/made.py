"""Decisions of a shop, and a log to which they were appended."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from include.history import chain
from include.history import log as history
from include.history.log import Decision, Entry, Kind
from include.settings import get_settings

SHOP = "shop"
BEGIN = datetime(2026, 11, 1, 9, tzinfo=UTC)
KINDS: dict[str, Kind] = {"promoted": "promotion", "rolled back": "rollback", "approved": "gate", "refused": "gate"}


def decision(origin: str, outcome: str = "promoted", version: int = 1, *, hours: float = 0, **more: Any) -> Decision:
    """A decision; ``hours`` after the beginning."""
    content: dict[str, Any] = {
        "use_case": SHOP,
        "kind": KINDS.get(outcome, "promotion"),
        "previous": None,
        "reasons": ("better",),
        "at": (BEGIN + timedelta(hours=hours)).isoformat(),
        **more,
    }
    return Decision(origin=origin, outcome=outcome, version=version, **content)


def kept(decisions: Sequence[Decision]) -> list[Entry]:
    """As they would be read from a log, without one."""
    here, found = chain.START, []
    for each in decisions:
        content = chain.seal(each.to_dict(), here)
        here = chain.Head(content["sequence"], content["hash"])
        found.append(Entry.from_dict(content))
    return found


def appended(count: int) -> Path:
    """The file of a log of so many promotions."""
    for number in range(1, count + 1):
        history.append(decision(f"run {number}", version=number, hours=number))
    return file()


def file(use_case: str = SHOP) -> Path:
    return get_settings().decisions / f"{use_case}.jsonl"
