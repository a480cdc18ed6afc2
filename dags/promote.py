"""Promotion: one DAG a use case brings a candidate through the gate and staging into production."""

from typing import Any

from airflow.sdk import Param, task

from include.contract.loading import Folder, discover_use_cases
from include.orchestration import assets, run
from include.orchestration.stage import REGISTRY_POOL, stage_dag

DOC = """Judges a candidate at the gate, tries it in staging, makes it champion and verifies the serving replicas.

Runs when a candidate is registered. By hand, give the version. A refusal is kept with its reasons; a change that does
not reach every replica is taken back.
"""

BODY = """{{ ti.xcom_pull(task_ids='judge')['table'] }}"""


def params() -> dict[str, Param]:
    return {
        "version": Param(
            None, type=["null", "integer"], title="Model version", description="Empty: the version of the event."
        )
    }


def build(use_case: Folder) -> None:
    config = use_case.config
    candidate, champion = assets.candidate(config.name), assets.champion(config.name)
    with stage_dag(use_case, "promote", doc=DOC, schedule=[candidate], params=params()):

        @task
        def judge(params: dict[str, Any], run_id: str) -> dict[str, Any]:
            from include.promotion import judgement

            version = params["version"] or run.event_extra(candidate)["version"]
            judged = judgement.examine(use_case, version, origin=run_id)
            return {
                "version": version,
                "approved": judged.verdict.approved,
                "reasons": list(judged.verdict.reasons),
                "table": judged.table(),
            }

        @task.short_circuit
        def approved(judged: dict[str, Any]) -> bool:
            return bool(judged["approved"])

        @task
        def stage(judged: dict[str, Any]) -> int:
            from include.promotion import staging

            staging.smoke_test(use_case, judged["version"])
            return int(judged["version"])

        @task(pool=REGISTRY_POOL, outlets=[champion])
        def switch(judged: dict[str, Any], run_id: str, outlet_events: Any) -> int:
            from include.promotion import switch

            previous = switch.promote(use_case, judged["version"], run_id, tuple(judged["reasons"]))
            outlet_events[champion].extra = {"version": judged["version"], "previous": previous}
            return int(judged["version"])

        judged = judge()
        passed = approved(judged)
        staged, switched = stage(judged), switch(judged)
        if config.approval.required:
            from airflow.providers.standard.operators.hitl import ApprovalOperator

            approve = ApprovalOperator(
                task_id="approve",
                subject=f"May this version of {config.title} go into production?",
                body=BODY,
                defaults="Reject",
                execution_timeout=config.approval.deadline,
                fail_on_reject=True,
            )
            passed >> approve >> staged
        passed >> staged >> switched


for _use_case in discover_use_cases().found.values():
    build(_use_case)
