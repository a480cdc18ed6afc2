"""Features: one DAG a use case computes what a published partition makes known, offline and online."""

from typing import Any

from airflow.sdk import PartitionedAssetTimetable, task

from include.contract.loading import Folder
from include.orchestration import assets, run
from include.orchestration.stage import range_params, stage_dag, use_cases

DOC = """Computes features and labels as known at each partition's cut-off and brings them into the feature store.

Runs when raw data is published. By hand, give a first and a last partition to compute them again.
"""


def build(use_case: Folder) -> None:
    name = use_case.config.name
    raw, features = assets.raw(name), assets.features(name)
    schedule = PartitionedAssetTimetable(assets=raw)
    with stage_dag(use_case, "features", doc=DOC, schedule=schedule, params=range_params(use_case)):

        @task
        def compute() -> dict[str, Any]:
            from include.features import compute
            from include.ingestion import versions

            revision = run.event_extra(raw).get("revision") or versions.head()
            computed = compute.compute(use_case, run.partitions(use_case), revision)
            return {"revision": computed.revision, "definition_hash": computed.definition_hash}

        @task(outlets=[features])
        def materialize(ids: dict[str, Any]) -> None:
            from include.features import materialize

            partitions = run.partitions(use_case)
            materialize.materialize(use_case, partitions)
            run.publish_event(features, [partitions], **ids)

        materialize(compute())


for _use_case in use_cases():
    build(_use_case)
