"""What the Models page shows of each use case."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from include import alerts
from include.alerts import Alert
from include.contract.loading import Folder
from include.files import read_json
from include.monitoring import observation
from include.monitoring.observation import Observation
from include.promotion import decisions
from include.promotion.decisions import CHAMPIONS, Decision
from include.settings import get_settings


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
    cards: frozenset[int]
    reproductions: dict[int, str]


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
        cards=frozenset(_versions(get_settings().cards / config.name)),
        reproductions={
            version: read_json(path)["outcome"]
            for version, path in _versions(get_settings().reproductions / config.name).items()
        },
    )


def _versions(folder: Path) -> dict[int, Path]:
    """The files of a folder that are named by a model version."""
    return {int(path.stem): path for path in folder.glob("*") if path.stem.isdigit()}
