"""How fresh each view is online. Needs no Feast: pages ask for it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from include.features.catalogue import Catalogue
from include.features.online.opening import PROJECT, open_rows

State = Literal["fresh", "expired", "empty"]


@dataclass(frozen=True)
class Freshness:
    """The newest event time of a view online, and when the view was last written to; None for a view without rows."""

    view: str
    ttl: timedelta | None
    newest: datetime | None
    written_at: datetime | None

    def state(self, now: datetime) -> State:
        """``expired`` when even the newest row is beyond the time to live: every feature of the view is missing."""
        if self.newest is None:
            return "empty"
        return "expired" if self.ttl and now - self.newest > self.ttl else "fresh"


def measure(catalogue: Catalogue) -> list[Freshness]:
    """How fresh the stored views of a use case are, in the order of the catalogue."""
    stored = [view for view in catalogue.views if view.kind != "on demand"]
    written = open_rows().written(f"{PROJECT}:{view.name}" for view in stored)
    found = [(view, written.get(f"{PROJECT}:{view.name}")) for view in stored]
    return [
        Freshness(
            view=view.name,
            ttl=timedelta(seconds=view.ttl_seconds) if view.ttl_seconds else None,
            newest=known.newest if known else None,
            written_at=known.at if known else None,
        )
        for view, known in found
    ]
