"""A prediction log of the stations that can be compacted."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from include.contract.use_case import UseCase
from include.serving import segments as files
from include.serving.prediction_log import PredictionLog, online_lines
from include.settings import get_settings
from tests.conftest import USE_CASES

FILE = USE_CASES / "station_temperature" / "use_case.yaml"
NOON = datetime(2013, 5, 1, 12, tzinfo=UTC)
TODAY = date(2013, 5, 3)


def line(number: int, **more: Any) -> dict[str, Any]:
    return {
        "request_id": f"r{number}",
        "model_version": 3,
        "run_id": "run",
        "entity": {"station": number},
        "as_of": NOON,
        "event_timestamp": NOON,
        "feature_timestamps": {"weather": None},
        "features": {"wind": number / 3, "name": "Zürich"},
        "prediction": number / 10,
        **more,
    }


def write(use_case: UseCase, count: int = 20, moment: datetime = NOON, start: int = 0, size: int = 2000) -> None:
    """Segments of a few lines, none of which is open."""
    log = PredictionLog(get_settings().predictions, use_case.name, segment_bytes=size)
    for number in range(start, start + count):
        log.append(moment, line(number))
    log.close()


def read(use_case: UseCase) -> list[dict[str, Any]]:
    return list(online_lines(use_case.name, date(2013, 4, 29), date(2013, 5, 5), source=None))


def of(use_case: UseCase, suffix: str) -> list[Path]:
    return sorted(files.folder(use_case.name).rglob(f"*{suffix}"))


def tear(path: Path, content: bytes) -> None:
    with path.open("ab") as stream:
        stream.write(content)
