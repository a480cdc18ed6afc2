"""What the monitor found, kept as a record and as rows of numbers, and drawn as a page, one a span of partitions."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import polars as pl

from include.files import read_json, replacing, write_json
from include.monitoring import numbers, report, timelines
from include.monitoring.drift import DriftReport
from include.monitoring.findings import Findings
from include.monitoring.policy import RetrainingDecision
from include.monitoring.quality import Quality
from include.monitoring.rows import rows_of
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
    findings: Findings | None = None  # older records have none

    @property
    def span(self) -> str:
        return self.first if self.first == self.last else f"{self.first} to {self.last}"


def record_file(use_case: str, partition: str) -> Path:
    return get_settings().monitoring / use_case / f"{partition}.json"


def report_file(use_case: str, partition: str) -> Path:
    return get_settings().monitoring / use_case / f"{partition}.html"


def history(use_case: str, latest: int = numbers.LATEST) -> list[Observation]:
    """The latest observations, the oldest first."""
    paths = sorted((get_settings().monitoring / use_case).glob("[!.]*.json"))
    return [Observation.from_dict(read_json(path)) for path in paths[-latest:]]


def keep(observation: Observation, earlier: pl.DataFrame, title: str) -> None:
    """Write numbers, page and record; earlier ones of the same partition are replaced.

    ``earlier``: the numbers of the partitions before (``numbers.read``), for the timelines.
    """
    name, last = observation.use_case, observation.last
    measured = numbers.write(name, last, observation.model_version, rows_of(observation))
    timeline = pl.concat([earlier, measured])
    with replacing(report_file(name, last)) as temporary:
        temporary.write_text(_page(observation, timeline, title), encoding="utf-8")
    write_json(record_file(name, last), observation.to_dict())


def log_run(observation: Observation) -> str:
    """Log the numbers of the window to the MLflow run of the span; its id."""
    window = [each for each in rows_of(observation) if each["scope"] in ("window", "slice")]
    return numbers.log_run(
        observation.use_case,
        observation.span,
        {"/".join(filter(None, (each["of"], each["metric"]))): each["value"] for each in window},
        {
            "champion": str(observation.model_version),
            "data_revision": observation.data_revision,
            "decision": observation.decision.action,
        },
    )


def _page(observation: Observation, timeline: pl.DataFrame, title: str) -> str:
    quality = observation.quality
    return report.render(
        report.ReportData(
            use_case=observation.use_case,
            title=title,
            span=observation.span,
            champion=str(observation.model_version),
            decision=observation.decision,
            quality=quality,
            drift=observation.drift,
            findings=observation.findings,
            history=timelines.windows(timeline, quality.metric),
            days=timelines.days(timeline, quality.metric),
            volume={"rows landed": observation.landed, "predictions": quality.predictions, "labelled": quality.rows},
            quarantined={"rows": observation.quarantined} if observation.quarantined else {},
            identities={
                "data revision": observation.data_revision,
                "model version": str(observation.model_version),
                "MLflow run": observation.run_id,
            },
        )
    )
