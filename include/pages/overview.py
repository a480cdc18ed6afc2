"""What the Models page shows of each use case."""

from __future__ import annotations

from dataclasses import dataclass

from include import alerts
from include.alerts import Alert
from include.contract.loading import Folder
from include.monitoring import observation
from include.monitoring.observation import Observation
from include.promotion import decisions
from include.promotion.decisions import CHAMPIONS, Decision


@dataclass(frozen=True)
class Overview:
    """One use case: its champion, the last look at it, and the latest decisions, newest first."""

    name: str
    title: str
    owners: tuple[str, ...]
    champion: Decision | None
    last: Observation | None
    observations: tuple[Observation, ...]
    decisions: tuple[Decision, ...]
    alerts: tuple[Alert, ...]


def overview(use_case: Folder, shown: int = 12) -> Overview:
    """Read from the log of decisions and the observations; nothing is asked of a server."""
    config = use_case.config
    log = decisions.read(config.name)
    seen = observation.history(config.name)[-shown:]
    promoted = [each for each in log if each.outcome in CHAMPIONS]
    return Overview(
        name=config.name,
        title=config.title,
        owners=config.owners,
        champion=promoted[-1] if promoted else None,
        last=seen[-1] if seen else None,
        observations=tuple(reversed(seen)),
        decisions=tuple(reversed(log[-shown:])),
        alerts=tuple(alerts.open_alerts(config.name)),
    )
