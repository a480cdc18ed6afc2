"""Ingestion: one DAG a use case brings a partition in, checks it, versions it and publishes it."""

from airflow.sdk import CronPartitionTimetable, task

from include.contract.loading import Folder, discover_use_cases
from include.contract.partitions import CRON, KEY_FORMAT
from include.orchestration import assets, run
from include.orchestration.stage import SOURCE_RETRIES, range_params, stage_dag

DOC = """Brings raw data in: lands it, checks it with Great Expectations, versions it with DVC, publishes it.

Scheduled, it treats the partition that has just ended. By hand, give a first and a last partition: the range is one
run. Rows that fail a row-level expectation go to quarantine with the reason; a batch that fails as a whole is kept
and stops here.
"""


def build(use_case: Folder) -> None:
    config = use_case.config
    schedule = CronPartitionTimetable(
        CRON[config.cadence], timezone=config.timezone, run_offset=-1, key_format=KEY_FORMAT[config.cadence]
    )
    # A partition that its source has not delivered waits without holding up the others.
    with stage_dag(use_case, "ingest", doc=DOC, schedule=schedule, active_runs=4, params=range_params(use_case)):

        @task(retries=SOURCE_RETRIES)
        def land() -> None:
            from include.ingestion import ingest

            ingest.land(use_case, run.partitions(use_case))

        @task
        def check() -> dict[str, int]:
            from include.ingestion import ingest

            return ingest.check(use_case, run.partitions(use_case))

        @task(outlets=[assets.raw(config.name)])
        def publish() -> str:
            from include.ingestion import ingest

            partitions = run.partitions(use_case)
            published = ingest.publish(use_case, partitions)
            run.publish_event(
                assets.raw(config.name),
                partitions,
                revision=published.revision,
                landed=published.landed,
                quarantined=published.quarantined,
            )
            return published.revision

        land() >> check() >> publish()


for _use_case in discover_use_cases().found.values():
    build(_use_case)
