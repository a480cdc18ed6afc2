"""One state of what is in production."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal

from include.records import Record

Kind = Literal["promotion", "rollback", "rollout", "taken back", "by hand"]
Mode = Literal["", "canary", "shadow"]


@dataclass(frozen=True)
class Generation(Record):
    """What serves from one change to the next.

    ``number`` counts from 1, ``after`` is the generation that this one replaced (0: none). ``origin`` names the
    attempt that made it, ``actor`` who or what asked for it. While a rollout lasts there is a ``challenger``: in
    ``mode`` canary it answers ``weight`` of the requests, in shadow none.
    """

    use_case: str
    number: int
    after: int
    champion: int | None
    previous: int | None
    kind: Kind
    origin: str
    actor: str
    reason: str
    at: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="milliseconds"))
    challenger: int | None = None
    mode: Mode = ""
    weight: float = 0.0  # in [0, 1]
