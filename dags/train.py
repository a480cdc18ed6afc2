"""Training: one DAG a use case turns labelled history into a candidate."""

from datetime import timedelta
from typing import Any

from airflow.sdk import CronTriggerTimetable, Param, task

from include.contract.loading import Folder
from include.orchestration import assets
from include.orchestration.links import MlflowRunLink, VersionLink
from include.orchestration.stage import FROM_NEXT, TRAINING_POOL, TRAINING_QUEUE, stage_dag, use_cases

DOC = """Fits a model on labelled history, evaluates it on later time, logs it to MLflow and registers a candidate.

Runs on its schedule, when the monitor asks for it, or by hand with parameters. The candidate then goes to the gate.
"""


def params(use_case: Folder) -> dict[str, Param]:
    window = use_case.config.training.window
    known = "all of the history" if window is None else f"{window.days} days"
    return {
        "until": Param(
            None,
            type=["null", "string"],
            title="Learn until",
            description="Key of the last partition to use. Empty: the newest that was published.",
        ),
        "window": Param(
            None,
            type=["null", "string"],
            pattern="^[0-9]+[hdw]$",
            title="Length of history",
            description=f"How far back from the test stretch to learn, e.g. 8w or 90d. Empty: {known}.",
        ),
        "model_params": Param(
            {}, type=["object", "null"], title="Model parameters", description="Override those of the file."
        ),
        "search": Param(
            True,
            type="boolean",
            title="Search for parameters",
            description="Where use_case.yaml has training.search. Off: its parameters as they are, for a quick run.",
        ),
        "reason": Param("by hand", type="string", title="Reason", description="Is kept with the model version."),
    }


def build(use_case: Folder) -> None:
    config = use_case.config
    candidate = assets.candidate(config.name)
    cron = config.training.schedule
    schedule = CronTriggerTimetable(cron, timezone=config.timezone, run_immediately=FROM_NEXT) if cron else None
    with stage_dag(use_case, "train", doc=DOC, schedule=schedule, params=params(use_case)):

        @task
        def build_training_set(params: dict[str, Any]) -> dict[str, Any]:
            from include.training import train

            return train.prepare(use_case, params["until"], params["window"]).to_dict()

        @task(pool=TRAINING_POOL, queue=TRAINING_QUEUE, execution_timeout=timedelta(hours=6))
        def fit(prepared: dict[str, Any], params: dict[str, Any], run_id: str) -> str:
            from include.training import train
            from include.training.training_set import TrainingSet

            return train.fit(
                use_case,
                TrainingSet.from_dict(prepared),
                params["model_params"] or {},
                reason=params["reason"],
                origin=run_id,
                search=params["search"],
            )

        @task(outlets=[candidate])
        def register(mlflow_run_id: str, outlet_events: Any) -> int:
            from include.training import train

            version = train.register(use_case, mlflow_run_id)
            outlet_events[candidate].extra = {"version": version.version, "run_id": version.run_id}
            return version.version

        fitted = fit(build_training_set())
        fitted.operator.operator_extra_links = (MlflowRunLink(),)
        register(fitted).operator.operator_extra_links = (VersionLink(use_case),)


for _use_case in use_cases():
    build(_use_case)
