"""Replay: one DAG a use case brings partitions back through validation after a fix of the source or the suite."""

from typing import Any

from airflow.sdk import Param, task
from airflow.sdk.exceptions import AirflowSkipException

from include.contract.loading import Folder
from include.orchestration import assets, run
from include.orchestration.links import DataDocsLink, DataRevisionLink
from include.orchestration.stage import ACCEPT_CHANGES, SOURCE_RETRIES, range_params, stage_dag, use_cases

DOC = """Brings partitions back through validation after a fix, quarantined rows and refused deliveries included.

By hand. Give a range of partitions, or a reason for which rows were quarantined or deliveries refused, or both. Only
what changes by it is published; the features of the days that look back on it follow. Predictions that were made stay.
"""


def params(use_case: Folder) -> dict[str, Param]:
    return {
        **range_params(use_case),
        "reason": Param(
            None,
            type=["null", "string"],
            title="Reason",
            description="Part of a check's name as the quarantine or the refusal shows it, e.g. wind_speed.",
        ),
        "from_source": Param(
            False,
            type="boolean",
            title="Read the source again",
            description="After a fix of the source. Otherwise the rows are taken as they landed.",
        ),
        "accept_changes": ACCEPT_CHANGES,
    }


def build(use_case: Folder) -> None:
    config = use_case.config
    raw = assets.raw(config.name)
    with stage_dag(use_case, "replay", doc=DOC, params=params(use_case)):

        @task
        def choose(params: dict[str, Any]) -> list[str]:
            from include.ingestion import replay

            chosen = replay.choose(use_case, params["start"], params["end"], params["reason"])
            return [partition.key for partition in chosen]

        @task(retries=SOURCE_RETRIES)
        def bring_back(keys: list[str], params: dict[str, Any]) -> None:
            from include.ingestion import replay

            replay.bring_back(use_case, run.named(use_case, keys), from_source=params["from_source"])

        @task
        def check(keys: list[str], params: dict[str, Any]) -> dict[str, int]:
            from include.ingestion import ingest

            return ingest.check(use_case, run.named(use_case, keys), accept_changes=params["accept_changes"])

        @task(outlets=[raw])
        def publish(keys: list[str], run_id: str) -> str:
            from include.features.stale import affected
            from include.ingestion import ingest

            partitions = run.named(use_case, keys)
            done = ingest.publish(use_case, partitions, origin=run_id)
            new = [each for each in partitions if each.key in done.changed]
            spans = config.calendar.spans([*new, *affected(use_case, partitions, done.revision)])
            if not spans:
                raise AirflowSkipException("validation came to the same result: nothing has changed")
            run.publish_event(raw, spans, revision=done.revision, landed=done.landed, quarantined=done.quarantined)
            return done.revision

        keys = choose()
        checked = check(keys)
        checked.operator.operator_extra_links = (DataDocsLink(use_case, chosen_by="choose"),)
        published = publish(keys)
        published.operator.operator_extra_links = (DataRevisionLink(use_case, chosen_by="choose"),)
        bring_back(keys) >> checked >> published


for _use_case in use_cases():
    build(_use_case)
