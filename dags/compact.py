"""Compaction: one DAG a use case turns what its servers have logged into Parquet."""

from typing import Any

from airflow.sdk import CronTriggerTimetable, task

from include.contract.loading import Folder
from include.orchestration.stage import stage_dag, use_cases

DOC = """Turns the complete files of the online prediction log into Parquet and removes what was kept long enough.

Runs after each midnight (UTC), when the servers have begun another file. What a server still writes to stays for the
next run. Run by hand at any time, it loses nothing and does nothing twice.
"""


def build(use_case: Folder) -> None:
    schedule = CronTriggerTimetable("15 0 * * *", timezone="UTC")
    with stage_dag(use_case, "compact", doc=DOC, schedule=schedule):

        @task
        def compact() -> dict[str, Any]:
            from include.serving import compaction

            return compaction.compact(use_case.config).to_dict()

        compact()


for _use_case in use_cases():
    build(_use_case)
