"""What the Models page shows of each use case."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from include import alerts
from include.alerts import Alert
from include.contract.loading import Folder
from include.files import read_json
from include.history import log as history
from include.history.chained_file import HistoryError
from include.history.log import CHAMPIONS, Entry
from include.monitoring import observation
from include.monitoring.observation import Observation
from include.settings import get_settings


@dataclass(frozen=True)
class Overview:
    """One use case: its champion, the last look at it, and the latest decisions, newest first."""

    name: str
    title: str
    owners: tuple[str, ...]
    champion: Entry | None
    last: Observation | None
    observations: tuple[Observation, ...]
    decisions: tuple[Entry, ...]
    alerts: tuple[Alert, ...]
    cards: frozenset[int]
    reproductions: dict[int, str]
    problem: str


def overview(use_case: Folder, shown: int = 12) -> Overview:
    """Read from the log of decisions and the observations; nothing is asked of a server."""
    config = use_case.config
    log, problem = _decisions(config.name)
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
        problem=problem,
    )


def _decisions(use_case: str) -> tuple[list[Entry], str]:
    """The decisions, or none and what keeps them from being read."""
    try:
        return history.read(use_case), ""
    except HistoryError as error:
        return [], str(error)


def _versions(folder: Path) -> dict[int, Path]:
    """The files of a folder that are named by a model version."""
    return {int(path.stem): path for path in folder.glob("*") if path.stem.isdigit()}
