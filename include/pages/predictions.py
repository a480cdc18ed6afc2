"""Looks predictions up by request or entity, for the page that walks them back to the bytes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from include.contract.loading import Folder
from include.serving import answers
from include.serving.answers import Answer

LIMIT = 50
LONGEST = timedelta(days=366)  # days that one question may span


@dataclass(frozen=True)
class Found:
    """What was asked for, and the predictions; ``asked`` is False before anything was."""

    asked: bool
    first: date
    last: date
    found: tuple[Answer, ...] = ()
    problem: str = ""


def look_up(use_case: Folder, request_id: str, entity: Mapping[str, str], first: str, last: str) -> Found:
    """By a request's id, or by what is given of the entity's key. A question that cannot be answered says why."""
    until = datetime.now(UTC).date()
    since = until - answers.SPAN
    sought = {name: value.strip() for name, value in entity.items() if value.strip()}
    request_id = request_id.strip()
    if not request_id and not sought:
        return Found(False, since, until)
    try:
        since, until = _days(first, last)
        by: dict[str, Any] = {"request_id": request_id} if request_id else {"entity": sought}
        found = answers.find(use_case.config, **by, first=since, last=until, limit=LIMIT)
    except ValueError as error:
        return Found(True, since, until, problem=str(error))
    return Found(True, since, until, tuple(found))


def _days(first: str, last: str) -> tuple[date, date]:
    """The first and the last day of a question; where they are empty, the newest days."""
    until = date.fromisoformat(last) if last else datetime.now(UTC).date()
    since = date.fromisoformat(first) if first else until - answers.SPAN
    if since > until:
        raise ValueError(f"from {since} until {until} is no span: the first day comes after the last")
    if until - since > LONGEST:
        raise ValueError(f"from {since} until {until} is too long; ask for at most {LONGEST.days} days")
    return since, until
