"""Promotion: one DAG a use case brings a candidate through staging, the gate and approval into production."""

from typing import Any

from airflow.sdk import Param, task

from include.contract.loading import Folder, discover_use_cases
from include.orchestration import assets, run
from include.orchestration.links import PAGES
from include.orchestration.stage import REGISTRY_POOL, stage_dag

DOC = """Tries a candidate in staging, judges it at the gate, makes it champion and verifies the serving replicas.

Runs when a candidate is registered. By hand, give the version. Where the use case asks for it, a person approves. A
refusal is kept with its reasons; a change that does not reach every replica is taken back.
"""


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
        def stage(params: dict[str, Any]) -> dict[str, Any]:
            from include.promotion import staging

            version = params["version"] or run.event_extra(candidate)["version"]
            return {"version": version, "trial": staging.stage(use_case, version).to_dict()}

        @task
        def judge(staged: dict[str, Any], run_id: str) -> dict[str, Any]:
            from include.gate.staging import Trial
            from include.promotion import approval, judgement

            trial = Trial.from_dict(staged["trial"])
            judged = judgement.examine(use_case, staged["version"], trial, origin=run_id, actor=run.actor())
            return {
                "version": judged.candidate,
                "champion": judged.champion,
                "approved": judged.verdict.approved,
                "reasons": list(judged.verdict.reasons),
                "evidence": judged.evidence,
                "question": approval.question(use_case, judged, PAGES),
            }

        @task.short_circuit
        def approved(judged: dict[str, Any]) -> bool:
            return bool(judged["approved"])

        @task(pool=REGISTRY_POOL, outlets=[champion])
        def switch(judged: dict[str, Any], answer: dict[str, Any] | None, run_id: str, outlet_events: Any) -> int:
            from include.deployment import switch

            asked = switch.Change(
                kind="promotion",
                version=judged["version"],
                origin=run_id,
                reasons=tuple(judged["reasons"]),
                actor=answer["by"] if answer else run.actor(),
                note=answer["note"] if answer else "",
                evidence=(judged["evidence"],),
            )
            done = switch.promote(use_case, asked, judged["champion"])
            outlet_events[champion].extra = done.to_dict()
            return int(judged["version"])

        judged = judge(stage())
        passed = approved(judged)
        if config.approval.required:
            answer = _ask(use_case, judged, passed)
            switch(judged, answer)
        else:
            passed >> switch(judged, None)


def _ask(use_case: Folder, judged: Any, passed: Any) -> Any:
    """Show the comparison to a person, wait for the answer until the deadline, and keep it."""
    from airflow.providers.standard.operators.hitl import HITLOperator

    from include.promotion.approval import APPROVE, NOTE, REJECT

    config = use_case.config
    approve = HITLOperator(
        task_id="approve",
        subject=f"{config.title}: may version {{{{ ti.xcom_pull(task_ids='judge')['version'] }}}} go into production?",
        body="{{ ti.xcom_pull(task_ids='judge')['question'] }}",
        options=[APPROVE, REJECT],
        defaults=REJECT,
        response_timeout=config.approval.deadline,
        params={NOTE: Param("", type="string", title="Note", description="Is kept with the decision.")},
    )

    @task.short_circuit
    def answered(judged: dict[str, Any], response: dict[str, Any], run_id: str) -> dict[str, Any] | None:
        from include.promotion import approval

        answer = approval.record(use_case, judged["version"], judged["champion"], response, origin=run_id)
        return {"by": answer.by, "note": answer.note} if answer.approved else None

    passed >> approve
    return answered(judged, approve.output)


for _use_case in discover_use_cases().found.values():
    build(_use_case)
