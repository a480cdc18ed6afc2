"""Ingestion: one DAG a use case brings a partition in, checks it, versions it and publishes it."""

from typing import Any

from airflow.sdk import CronPartitionTimetable, Param, task

from include.contract.loading import Folder
from include.contract.partitions import CRON, KEY_FORMAT
from include.orchestration import assets, run
from include.orchestration.links import DataDocsLink, DataRevisionLink
from include.orchestration.stage import ACCEPT_CHANGES, FROM_NEXT, SOURCE_RETRIES, range_params, stage_dag, use_cases

DOC = """Brings raw data in: lands it, checks it with Great Expectations, versions it with DVC, publishes it.

Scheduled, it treats the partition that has just ended. By hand, give a first and a last partition: the range is one
run. Rows that fail a row-level expectation go to quarantine with the reason; a batch that fails as a whole is kept
and stops here. A delivery that has not come is waited for; when it is late, there is an alert.
"""


def params(use_case: Folder) -> dict[str, Param]:
    return {**range_params(use_case), "accept_changes": ACCEPT_CHANGES}


def build(use_case: Folder) -> None:
    config = use_case.config
    waiting = config.ingestion
    raw = assets.raw(config.name)
    schedule = CronPartitionTimetable(
        CRON[config.cadence],
        timezone=config.timezone,
        run_offset=-1,
        key_format=KEY_FORMAT[config.cadence],
        run_immediately=FROM_NEXT,
    )
    # A partition that its source has not delivered waits without holding up the others.
    with stage_dag(use_case, "ingest", doc=DOC, schedule=schedule, active_runs=4, params=params(use_case)):

        @task.sensor(
            mode="reschedule",
            poke_interval=waiting.ask_every.total_seconds(),
            timeout=waiting.give_up_after.total_seconds(),
            retries=SOURCE_RETRIES,
        )
        def land() -> bool:
            from include.ingestion import landing

            return landing.arrived(use_case, run.partitions(use_case))

        @task
        def check(params: dict[str, Any]) -> dict[str, int]:
            from include.ingestion import ingest

            return ingest.check(use_case, run.partitions(use_case), accept_changes=params["accept_changes"])

        @task(outlets=[raw])
        def publish(run_id: str) -> str:
            from include.features.stale import affected
            from include.ingestion import ingest

            partitions = run.partitions(use_case)
            done = ingest.publish(use_case, partitions, origin=run_id)
            spans = config.calendar.spans([*partitions, *affected(use_case, partitions, done.revision)])
            run.publish_event(raw, spans, revision=done.revision, landed=done.landed, quarantined=done.quarantined)
            return done.revision

        checked = check()
        checked.operator.operator_extra_links = (DataDocsLink(use_case),)
        published = publish()
        published.operator.operator_extra_links = (DataRevisionLink(use_case),)
        land() >> checked >> published


for _use_case in use_cases():
    build(_use_case)
