"""Reproduction: one DAG a use case makes a version again and proves that it is the same, or says why not."""

from datetime import timedelta
from typing import Any

from airflow.sdk import Param, task
from airflow.sdk.exceptions import AirflowFailException

from include.contract.loading import Folder
from include.orchestration.stage import TRAINING_POOL, TRAINING_QUEUE, stage_dag, use_cases

DOC = """Makes a version again from its recorded commit, data revision, parameters and seeds, and compares the two.

By hand. The run fails where the predictions for the test stretch differ by more than the tolerance, with the cause:
data, code, dependency or nondeterminism.
"""


def params() -> dict[str, Param]:
    return {
        "version": Param(1, type="integer", minimum=1, title="Model version", description="The version to make again."),
        "tolerance": Param(
            1e-6, type="number", minimum=0, title="Tolerance", description="By how much a prediction may differ."
        ),
    }


def build(use_case: Folder) -> None:
    with stage_dag(use_case, "reproduce", doc=DOC, params=params()):

        @task(pool=TRAINING_POOL, queue=TRAINING_QUEUE, execution_timeout=timedelta(hours=6))
        def reproduce(params: dict[str, Any]) -> dict[str, Any]:
            from include.training import reproduce

            found = reproduce.reproduce(use_case, params["version"], params["tolerance"])
            if found.outcome == "different":
                raise AirflowFailException("; ".join(found.reasons))
            return found.to_dict()

        reproduce()


for _use_case in use_cases():
    build(_use_case)
