"""What a channel has not been told yet. A message may come twice where a process was killed; none is lost."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from include import alerts
from include.alerts import Alert
from include.contract.alerts import AlertChannel
from include.files import locked, read_json, write_json
from include.settings import get_settings

RANK: dict[alerts.Severity, int] = {"warning": 0, "critical": 1}


@dataclass(frozen=True)
class Pending:
    """A change to be told; ``position``: how many changes are told with it."""

    position: int
    alert: Alert


def pending(changes: list[Alert], told: int, least: alerts.Severity) -> list[Pending]:
    """The changes after the first ``told`` ones, of each alert only the newest, the oldest first.

    What was opened and resolved in between is not worth a message, nor what is less severe than ``least``.
    """
    before = {(each.kind, each.key) for each in _standing(changes[:told])}
    newest = {(each.kind, each.key): Pending(number, each) for number, each in enumerate(changes, 1) if number > told}
    return sorted(
        (
            each
            for name, each in newest.items()
            if RANK[each.alert.severity] >= RANK[least] and (each.alert.state == "open" or name in before)
        ),
        key=lambda each: each.position,
    )


def deliveries(use_case: str, channel: AlertChannel) -> Iterator[Alert]:
    """What is to be sent. One counts as told when the next is asked for: send it before that, or leave with an error.

    One process at a time delivers to a channel; the next one waits.
    """
    file = _file(use_case, channel)
    with locked(file):
        changes = alerts.changes(use_case)
        told = read_json(file)["told"] if file.is_file() else 0
        for each in pending(changes, told, channel.least):
            yield each.alert
            write_json(file, {"told": each.position})
        if told < len(changes):
            write_json(file, {"told": len(changes)})


def _standing(changes: list[Alert]) -> list[Alert]:
    newest = {(each.kind, each.key): each for each in changes}
    return [each for each in newest.values() if each.state == "open"]


def _file(use_case: str, channel: AlertChannel) -> Path:
    return get_settings().alerts / "told" / use_case / f"{channel.name}.json"
