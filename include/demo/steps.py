"""The steps of the demo, each by DAG runs as a user would start them, and what came of each."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import httpx

from include.contract.loading import Folder
from include.deployment import replica
from include.files import read_json
from include.gate.check import GAIN
from include.history import log as history
from include.local.airflow_client import AirflowClient, AirflowError
from include.local.airflow_records import Run
from include.monitoring import observation
from include.settings import Settings

SPAN_TIMEOUT = 600.0


@dataclass
class Week:
    """One line of the table: a span that was ingested, scored, labelled and watched."""

    span: str
    champion: int
    rows: int
    metrics: dict[str, float]
    coverage: float
    prediction_drift: float | None
    drifted_features: int
    decision: str
    trigger: str | None
    reasons: list[str]
    evidence_id: str
    outcome: str = ""


@dataclass
class Journal:
    """Everything that happened, as it is written to the summary."""

    seconds: dict[str, float] = field(default_factory=dict)
    weeks: list[Week] = field(default_factory=list)
    quarantined: dict[str, int] = field(default_factory=dict)
    gate: list[dict[str, Any]] = field(default_factory=list)
    switches: list[dict[str, Any]] = field(default_factory=list)
    prediction: dict[str, Any] = field(default_factory=dict)
    lineage: dict[str, Any] = field(default_factory=dict)
    parity: dict[str, int] = field(default_factory=dict)
    orchestration: dict[str, float] = field(default_factory=dict)


class Tour:
    """A use case, its Airflow and its serving, and the journal of what was done."""

    def __init__(self, use_case: Folder, airflow: AirflowClient, settings: Settings) -> None:
        self.use_case, self.airflow, self.settings = use_case, airflow, settings
        self.name = use_case.config.name
        self.serving = httpx.Client(
            base_url=settings.replicas[0], headers=settings.serving_headers, timeout=30, trust_env=False
        )
        self.journal = Journal()

    @contextmanager
    def step(self, title: str) -> Iterator[None]:
        """Print a progress line when the step ends, and keep its seconds."""
        started = time.monotonic()
        yield
        taken = time.monotonic() - started
        self.journal.seconds[title] = round(taken, 1)
        print(f"  {title:<58} {taken:6.1f} s", flush=True)

    def ingest(self, span: str) -> Run:
        """Ingest a span as one run and wait until its features are there."""
        start, _, end = span.partition("/")
        run = self.airflow.trigger(f"{self.name}.ingest", {"start": start, "end": end or start}, note="demo")
        self.airflow.wait(run, SPAN_TIMEOUT)
        return self.follow("features", run)

    def follow(self, stage: str, upstream: Run) -> Run:
        """Wait for the run of a stage that another run's assets started."""
        run = self.airflow.find_run(f"{self.name}.{stage}", upstream=upstream, timeout=60)
        return self.airflow.wait(run, SPAN_TIMEOUT)

    def train(self, params: dict[str, Any]) -> Run:
        return self.airflow.wait(self.airflow.trigger(f"{self.name}.train", params, note="demo"), SPAN_TIMEOUT)

    def retraining(self, week: Week) -> Run:
        """Wait for the training that the monitor has asked for."""
        run = self.airflow.run(f"{self.name}.train", f"monitor__{week.evidence_id}")
        return self.airflow.wait(run, SPAN_TIMEOUT)

    def promote(self, training: Run) -> dict[str, Any]:
        """Wait for the gate and, if it approves, for the promotion; the decision with its numbers."""
        run = self.follow("promote", training)
        (verdict,) = [each for each in history.read(self.name) if each.kind == "gate" and each.origin == run.run_id]
        entry = {
            "version": verdict.version,
            "champion_before": verdict.previous,
            "outcome": verdict.outcome,
            "reasons": list(verdict.reasons),
            "comparison": next((each for each in verdict.details["checks"] if each["name"] == GAIN), None),
            "run": run.run_id,
        }
        self.journal.gate.append(entry)
        return entry

    def watch(self, span: str, features: Run) -> Week:
        """Wait until a span is scored and monitored; its line of the table."""
        score = self.follow("score", features)
        self.follow("monitor", score)
        last = span.rpartition("/")[2]
        seen = read_json(observation.record_file(self.name, last))
        drift, quality = seen["drift"], seen["quality"]
        week = Week(
            span=span,
            champion=seen["model_version"],
            rows=quality["rows"],
            metrics=quality["values"],
            coverage=quality["coverage"],
            prediction_drift=drift["prediction"]["effect"] if drift and drift["prediction"] else None,
            drifted_features=sum(each["drifted"] for each in drift["features"]) if drift else 0,
            decision=seen["decision"]["action"],
            trigger=seen["decision"]["trigger"],
            reasons=seen["decision"]["reasons"],
            evidence_id=seen["decision"]["evidence_id"],
        )
        self.journal.weeks.append(week)
        return week

    def rollback(self, reason: str) -> int:
        """Go back to the previous champion; the version that the serving side answers with afterwards."""
        before = self.served()
        run = self.airflow.trigger(f"{self.name}.rollback", {"reason": reason}, note="demo")
        self.airflow.wait(run, SPAN_TIMEOUT)
        after = self.served()
        self.journal.switches.append({"from": before, "to": after, "reason": reason, "run": run.run_id})
        return after

    def served(self) -> int:
        """The version that the serving process answers with."""
        seen = replica.served(self.settings.replicas[0], self.name)
        if seen.version is None:
            raise AirflowError(f"serving has no model of {self.name}: {seen.said}")
        return seen.version

    def predict(self, entity: dict[str, Any], as_of: datetime) -> dict[str, Any]:
        """One prediction over REST as of a moment of the past, with the features it used."""
        answer = self.serving.post(
            f"/v1/{self.name}/predict", json={"entities": [entity], "as_of": as_of.isoformat(), "explain": True}
        )
        if answer.status_code != httpx.codes.OK:
            raise AirflowError(f"serving answers {answer.status_code}: {answer.text}")
        self.journal.prediction = answer.json()
        return self.journal.prediction
