"""Lines of a prediction log, and the segments that they are in."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from include.serving import segments as files
from include.serving.log_lines import Columns

NOON = datetime(2013, 5, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)


def line(number: int, **features: Any) -> dict[str, Any]:
    return {
        "request_id": f"r{number}",
        "model_version": 3,
        "run_id": "run",
        "entity": {"trip_id": number},
        "event_timestamp": NOON,
        "features": features,
        "prediction": number / 10,
    }


def answer(request: str, *rows: dict[str, Any]) -> tuple[dict[str, Any], Columns]:
    """The line of an answer of rows with the same features, whose lines are given by themselves; and their columns."""
    names = tuple(rows[0]["features"])
    columns = Columns.of(names)
    line = {
        **rows[0],
        "request_id": request,
        "columns": columns.name,
        "features": [[row["features"][name] for name in names] for row in rows],
    }
    if len(rows) == 1:
        return {**line, "features": line["features"][0]}, columns
    return {**line, **{name: [row[name] for row in rows] for name in ("entity", "prediction")}}, columns


def wait_for(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def is_complete(path: Path) -> bool:
    with files.complete(path) as stream:
        return stream is not None


def segments(home: Path) -> list[Path]:
    return sorted((home / "predictions" / "trips" / "online").rglob("*.jsonl"))
