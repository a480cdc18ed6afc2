"""Batch scoring: one DAG a use case predicts what a partition's features announce."""

from typing import Any

from airflow.sdk import PartitionedAssetTimetable, task
from airflow.sdk.exceptions import AirflowSkipException

from include.contract.loading import Folder
from include.orchestration import assets, run
from include.orchestration.stage import range_params, stage_dag, use_cases

DOC = """Predicts with the champion for every entity row of a partition and logs the predictions.

Runs when features are published; skips while there is no champion. Predictions that are there stay, also when data is
corrected afterwards. By hand, with a first and a last partition, those of today's champion take their place.
"""


def build(use_case: Folder) -> None:
    name = use_case.config.name
    features, predictions = assets.features(name), assets.predictions(name)
    schedule = PartitionedAssetTimetable(assets=features)
    with stage_dag(use_case, "score", doc=DOC, schedule=schedule, params=range_params(use_case)):

        @task(outlets=[predictions])
        def score() -> dict[str, Any]:
            from include.serving import batch

            partitions = run.partitions(use_case)
            scored = batch.score(use_case, partitions, again=run.by_hand())
            if scored is None:
                raise AirflowSkipException(f"{name} has no champion yet; {name}.train and {name}.promote make one")
            if scored.rows == 0:
                raise AirflowSkipException("all of it was predicted before, or there is nothing to predict")
            ids = {"model_version": scored.model_version, "rows": scored.rows}
            run.publish_event(predictions, [partitions], **ids)
            return ids

        score()


for _use_case in use_cases():
    build(_use_case)
