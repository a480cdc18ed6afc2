"""What the Models page shows of each use case: a card."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from include import alerts
from include.alerts import Alert
from include.contract.loading import Folder
from include.deployment import ledger
from include.deployment.generation import Generation
from include.history import recent
from include.history.chained_file import HistoryError
from include.history.log import Entry
from include.pages import light, observed, sparkline
from include.pages.light import Light
from include.pages.observed import Point, Seen
from include.pages.sparkline import Sparkline

log = logging.getLogger(__name__)

SHOWN = 30  # observations of a sparkline


@dataclass(frozen=True)
class Card:
    """One use case: its champion, how it does, and what waits for somebody."""

    name: str
    title: str
    owners: tuple[str, ...]
    metric: str
    champion: Entry | None
    rollout: Generation | None  # the generation in force, while a version is tried
    light: Light
    last: Seen | None
    point: Point | None
    drift: str
    alerts: tuple[Alert, ...]
    problem: str


def card(use_case: Folder) -> Card:
    """Read from the logs and the newest observation; nothing is asked of a server.

    What it costs does not grow with the history. Records that cannot be read make an ill card, no missing one.
    """
    config = use_case.config
    champion: Entry | None = None
    head: Generation | None = None
    last: Seen | None = None
    waiting: list[Alert] = []
    problem = ""
    try:
        champion, head = recent.champion(config.name), ledger.head(config.name)
        waiting = alerts.open_alerts(config.name)
        last = observed.newest(config.name)
    except (HistoryError, ValueError) as error:
        log.exception("%s: a record cannot be read", config.name)
        problem = str(error)
    point = observed.point(last) if last else None
    return Card(
        name=config.name,
        title=config.title,
        owners=config.owners,
        metric=config.monitoring.quality.metric,
        champion=champion,
        rollout=head if head is not None and head.challenger is not None else None,
        light=light.judge(champion.version if champion else None, last, waiting, problem),
        last=last,
        point=point,
        drift=light.drift_in_words(point) if point else "not measured",
        alerts=tuple(waiting),
        problem=problem,
    )


def spark(use_case: Folder) -> Sparkline | None:
    """The sparkline of a card; None where there is nothing to draw, or no record that can be read."""
    config = use_case.config
    try:
        return sparkline.draw(observed.points(config.name, SHOWN), config.monitoring.quality.metric)
    except ValueError:
        log.exception("%s: an observation cannot be read", config.name)
        return None
