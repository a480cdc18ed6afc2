"""Monitoring: one DAG a use case watches the champion and asks for a new model when that has a cause."""

from typing import Any

from airflow.sdk import PartitionedAssetTimetable, task
from airflow.sdk.exceptions import AirflowSkipException

from include.contract.loading import Folder
from include.orchestration import assets, run
from include.orchestration.links import EvidentlyLink, ReportLink
from include.orchestration.stage import range_params, stage_dag, use_cases

DOC = """Joins predictions to the labels that have come, measures quality and drift, reports, decides on retraining.

Runs when predictions are published. Realized quality decides, a drift of the predictions warns early; a drift of
features explains and asks for a new model only where the use case wants it. By day and slice: quality beside a
constant, an estimate before the labels come, a test for a changed concept, the name of each shift, the value. The
numbers are in MLflow (`.monitoring`) and in Parquet; docs/monitoring.md says what each means. Beside it, the features
that online predictions used are held against those of the offline store.
"""


def build(use_case: Folder) -> None:
    name = use_case.config.name
    schedule = PartitionedAssetTimetable(assets=assets.predictions(name))
    with stage_dag(use_case, "monitor", doc=DOC, schedule=schedule, params=range_params(use_case)):

        @task
        def observe(run_id: str) -> dict[str, Any]:
            from include.monitoring import monitor

            observed = monitor.observe(use_case, run.partitions(use_case), origin=run_id)
            if observed is None:
                raise AirflowSkipException(f"{name} has no champion to watch")
            return observed.decision.to_dict()

        @task
        def retrain(decision: dict[str, Any]) -> None:
            if decision["action"] != "retrain":
                raise AirflowSkipException("; ".join(decision["reasons"]))
            # The id of the run is that of the evidence, so that the same evidence never starts two trainings.
            conf = {"until": decision["partition"], "reason": "; ".join(decision["reasons"])}
            run.trigger(f"{name}.train", f"monitor__{decision['evidence_id']}", conf)

        @task
        def compare_features() -> dict[str, Any]:
            from include.monitoring import parity

            found = parity.check(use_case, run.partitions(use_case))
            return {"compared": found.sampled, "skewed": [each.feature for each in found.skewed]}

        @task
        def evidently_report() -> None:
            from include.monitoring import evidently_report

            last = run.partitions(use_case)[-1]
            if evidently_report.write(use_case, last) is None:
                raise AirflowSkipException(f"{name} has no predictions to compare until {last.key}")

        looked = observe()
        looked.operator.operator_extra_links = (ReportLink(use_case),)
        retrain(looked)
        compare_features()
        if use_case.config.monitoring.evidently:
            compared = evidently_report()
            compared.operator.operator_extra_links = (EvidentlyLink(use_case),)
            looked >> compared


for _use_case in use_cases():
    build(_use_case)
