"""``python -m include.demo [USE_CASE]``: runs the scenario of a use case against the running system."""

from __future__ import annotations

import argparse
import sys
import time
from datetime import UTC, datetime
from typing import Any

from include.contract.loading import Folder, load_use_case
from include.demo.orchestration import waiting
from include.demo.scenario import Scenario
from include.demo.steps import Tour
from include.demo.summary import as_json, closing, columns, expectations, week_header, week_line
from include.files import write_json
from include.ingestion import ingest, versions
from include.local.airflow_client import AirflowClient, AirflowError
from include.local.credentials import login
from include.local.running import join_running_system
from include.settings import get_settings


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m include.demo", description=__doc__)
    parser.add_argument("use_case", nargs="?", default="flight_delay")
    options = parser.parse_args()
    settings = join_running_system()
    use_case = load_use_case(options.use_case)
    scenario = Scenario.read(use_case.path)
    if versions.keys(use_case.config.name, versions.head()):
        print(f"demo: {use_case.config.name} has data already; `make clean` removes it, then the demo can run again")
        return 1
    started, since = time.monotonic(), datetime.now(UTC)
    with AirflowClient.of(settings) as airflow:
        tour = Tour(use_case, airflow, settings)
        try:
            run(tour, scenario)
        except AirflowError as error:
            print(f"demo: {error}", file=sys.stderr)
        tour.journal.seconds["in all"] = round(time.monotonic() - started, 1)
        under_way, idle = waiting(airflow, use_case.config.name, since)
        tour.journal.orchestration = {"under_way": round(under_way, 1), "no_task_works": round(idle, 1)}
        happened = expectations(tour.journal, scenario)
    write_json(settings.home / "demo" / "summary.json", as_json(tour.journal, happened))
    print(closing(tour.journal, happened))
    share = tour.journal.orchestration["no_task_works"] / max(tour.journal.orchestration["under_way"], 1.0)
    print(f"\nOf the time in which runs were under way, no task worked in {share:.0%}.")
    print(f"The demo took {time.monotonic() - started:.0f} s. Its summary: {settings.home / 'demo' / 'summary.json'}")
    _where_to_look(use_case)
    return 0 if all(happened.values()) else 1


def run(tour: Tour, scenario: Scenario) -> None:
    """From raw data to a champion, through the weeks, and back and forth once."""
    print(f"demo: {tour.use_case.config.title}", flush=True)
    with tour.step(f"ingest {scenario.bootstrap} as one run, compute features"):
        tour.ingest(scenario.bootstrap)
    with tour.step("train, judge without a champion, stage, promote, verify"):
        asked = {"until": scenario.bootstrap.rpartition("/")[2], "reason": "bootstrap"}
        verdict = tour.promote(tour.train(asked))
    if verdict["outcome"] != "approved":
        raise AirflowError(f"the first version is refused: {'; '.join(verdict['reasons'])}")
    with tour.step("one prediction over REST"):
        answer = tour.predict(*_an_entity(tour.use_case, scenario.bootstrap))
    print(f"    {_in_words(answer)}", flush=True)
    for number, span in enumerate(scenario.spans):
        _week(tour, span, header=number == 0)
    with tour.step(f"a challenger by hand, from {scenario.challenger.window} of history only"):
        asked = {"window": scenario.challenger.window, "reason": scenario.challenger.reason}
        verdict = tour.promote(tour.train({**asked, "until": scenario.spans[-1].rpartition("/")[2]}))
    print(f"    version {verdict['version']} is {verdict['outcome']}: {'; '.join(verdict['reasons'])}", flush=True)
    with tour.step("roll back to the previous version"):
        back = tour.rollback("demo: is the way back open?")
    with tour.step("and forward again"):
        forward = tour.rollback("demo: and forward again")
    print(f"    serving answered with version {back}, then with version {forward}", flush=True)
    _walk_back(tour, scenario)


def _week(tour: Tour, span: str, *, header: bool) -> None:
    started = time.monotonic()
    week = tour.watch(span, tour.ingest(span))
    if header:
        print(week_header(columns(week.metrics)), flush=True)
    if week.decision == "retrain":
        verdict = tour.promote(tour.retraining(week))
        week.outcome = f"-> version {verdict['version']} {verdict['outcome']}"
    tour.journal.seconds[span] = round(time.monotonic() - started, 1)
    print(f"{week_line(week)}  {tour.journal.seconds[span]:.0f} s", flush=True)


def _an_entity(use_case: Folder, span: str) -> tuple[dict[str, Any], datetime]:
    """The key of one of the entities that are to be predicted at the end of a span, and this moment."""
    from include.features.compute import read_entities

    last = use_case.config.calendar.parse(span)[-1]
    rows = read_entities(use_case, [last.key])
    keys = rows.select(use_case.config.entity.key).sort(use_case.config.entity.key)
    return keys.row(rows.height // 2, named=True), last.cutoff


def _in_words(answer: dict[str, Any]) -> str:
    first, model = answer["predictions"][0], answer["model"]
    return (
        f"{first['entity']}: {first['prediction']:.3f} by version {model['version']} (request {answer['request_id']})"
    )


def _walk_back(tour: Tour, scenario: Scenario) -> None:
    """From a request to the bytes: the ids that each thing carries of what it came from."""
    from include.monitoring import parity
    from include.registry import models

    answer = tour.journal.prediction
    if compared := parity.latest(tour.name):
        tour.journal.parity = {
            "compared": len(compared.features),
            "skewed": len(compared.skewed),
            "late": len(compared.late),
        }
    version = models.get(tour.name, int(answer["model"]["version"]))
    revision = version.data_revision
    keys = versions.keys(tour.name, versions.head())
    tour.journal.quarantined = ingest.quarantined(tour.use_case, keys, versions.head())
    bootstrap = tour.use_case.config.calendar.parse(scenario.bootstrap)
    pointers = versions.pointers(tour.name, revision)
    tour.journal.lineage = {
        "request_id": answer["request_id"],
        "model_version": version.version,
        "mlflow_run": version.run_id,
        "model_digest": version.digest,
        "training_set": version.tags["training_set"],
        "definition_hash": version.tags["definition_hash"],
        "code_revision": version.tags["code_revision"],
        "data_revision": revision,
        f"bytes of {bootstrap[-1].key}": f"md5 {pointers[bootstrap[-1].key].md5}",
    }


def _where_to_look(use_case: Folder) -> None:
    settings = get_settings()
    user, password = login(settings)
    who = f"user {user}, password {password}" if not settings.airflow_address else f"user {user}"
    reports = sorted((settings.monitoring / use_case.config.name).glob("*.html"))
    lines = {
        "Airflow": f"{settings.public_url or settings.airflow_url}  ({who})",
        "MLflow": settings.mlflow_pages,
        "Prediction API": f"{settings.serving_pages}/docs",
        "Last report": str(reports[-1]) if reports else "none",
    }
    print(f"\nEverything is still up; `{'make team-down' if settings.airflow_address else 'make down'}` ends it.")
    for name, where in lines.items():
        print(f"  {name:<15} {where}")


if __name__ == "__main__":
    raise SystemExit(main())
