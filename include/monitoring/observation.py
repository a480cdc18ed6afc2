"""What the monitor found, kept as a small record and drawn as a page, one a span of partitions."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from include.files import read_json, replacing, write_json
from include.monitoring import report
from include.monitoring.charts import HistoryPoint
from include.monitoring.drift import DriftReport
from include.monitoring.policy import RetrainingDecision
from include.monitoring.quality import Quality
from include.records import Record
from include.settings import get_settings


@dataclass(frozen=True)
class Observation(Record):
    """What the monitor found at the end of a span of partitions. Kept as JSON under the last partition's key."""

    use_case: str
    first: str
    last: str
    model_version: int
    run_id: str
    data_revision: str
    quality: Quality
    drift: DriftReport | None
    landed: int
    quarantined: int
    decision: RetrainingDecision


def record_file(use_case: str, partition: str) -> Path:
    return get_settings().monitoring / use_case / f"{partition}.json"


def report_file(use_case: str, partition: str) -> Path:
    return get_settings().monitoring / use_case / f"{partition}.html"


def history(use_case: str) -> list[Observation]:
    """All observations, the oldest first."""
    folder = get_settings().monitoring / use_case
    return [Observation.from_dict(read_json(path)) for path in sorted(folder.glob("*.json"))]


def keep(observation: Observation, title: str) -> None:
    """Write the record and the page; an earlier one of the same partition is replaced."""
    name = observation.use_case
    earlier = [each for each in history(name) if each.last < observation.last]
    with replacing(report_file(name, observation.last)) as temporary:
        temporary.write_text(_page(observation, earlier, title), encoding="utf-8")
    write_json(record_file(name, observation.last), observation.to_dict())


def _page(observation: Observation, earlier: list[Observation], title: str) -> str:
    first, last = observation.first, observation.last
    quality = observation.quality
    return report.render(
        report.ReportData(
            use_case=observation.use_case,
            title=title,
            span=first if first == last else f"{first} to {last}",
            champion=str(observation.model_version),
            decision=observation.decision,
            quality=quality,
            drift=observation.drift,
            history=tuple(_point(each, before) for before, each in pairwise([None, *earlier, observation]) if each),
            volume={"rows landed": observation.landed, "predictions": quality.predictions, "labelled": quality.rows},
            quarantined={"rows": observation.quarantined} if observation.quarantined else {},
            identities={
                "data revision": observation.data_revision,
                "model version": str(observation.model_version),
                "MLflow run": observation.run_id,
            },
        )
    )


def _point(observation: Observation, before: Observation | None) -> HistoryPoint:
    quality = observation.quality
    return HistoryPoint(
        partition=observation.last,
        value=quality.value,
        interval=quality.interval,
        promised=quality.promised,
        champion=str(observation.model_version),
        promoted=before is None or before.model_version != observation.model_version,
        predictions=quality.predictions,
        labelled=quality.rows,
    )
