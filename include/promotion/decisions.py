"""The log of decisions about what is in production: one JSON line each, only ever appended."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from include.files import append_line
from include.settings import get_settings

CHAMPIONS = ("promoted", "rolled back")  # outcomes that bring a version into production

Kind = Literal["gate", "promotion", "rollback", "retraining"]


@dataclass(frozen=True)
class Decision:
    """One decision. ``origin`` names the attempt (an Airflow run), so that a retried task is not logged twice."""

    use_case: str
    kind: Kind
    origin: str
    outcome: str
    version: int | None
    previous: int | None
    reasons: tuple[str, ...]
    details: dict[str, Any] = field(default_factory=dict)
    at: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))


def append(decision: Decision) -> None:
    """Keep the decision, unless the same attempt has kept it already."""
    if any(
        (known.kind, known.origin, known.outcome) == (decision.kind, decision.origin, decision.outcome)
        for known in read(decision.use_case)
    ):
        return
    append_line(get_settings().decisions / f"{decision.use_case}.jsonl", asdict(decision))


def read(use_case: str) -> list[Decision]:
    """All decisions about a use case, the oldest first."""
    path = get_settings().decisions / f"{use_case}.jsonl"
    if not path.is_file():
        return []
    lines = path.read_text(encoding="utf-8").splitlines()
    return [Decision(**{**entry, "reasons": tuple(entry["reasons"])}) for entry in map(json.loads, lines)]


def was_champion(use_case: str, version: int) -> bool:
    """Whether a version has ever been brought into production."""
    return any(each.version == version and each.outcome in CHAMPIONS for each in read(use_case))
