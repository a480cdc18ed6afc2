"""Promotion: one DAG a use case brings a candidate through staging, the gate and approval into production."""

from datetime import timedelta
from typing import Any

from airflow.sdk import Asset, Param, task

from include.contract.loading import Folder
from include.orchestration import assets, run
from include.orchestration.links import PAGES
from include.orchestration.stage import REGISTRY_POOL, SOURCE_RETRIES, stage_dag, use_cases

DOC = """Tries a candidate in staging, judges it at the gate, makes it champion and verifies the serving replicas.

Runs when a candidate is registered. By hand, give the version. Where the use case asks for it, a person approves. A
refusal is kept with its reasons; a change that does not reach every replica is taken back. Where the use case asks for
a rollout, the candidate is first walked through its steps beside the champion, and what each shows is judged. A run
that fails raises an alert, which the next promotion resolves.
"""
POKE = timedelta(minutes=1)


def params() -> dict[str, Param]:
    return {
        "version": Param(
            None, type=["null", "integer"], title="Model version", description="Empty: the version of the event."
        ),
        "reason": Param(None, type=["null", "string"], title="Reason", description="Is kept in the log of decisions."),
    }


def build(use_case: Folder) -> None:
    config, candidate = use_case.config, assets.candidate(use_case.config.name)

    def tell(context: Any) -> None:
        from include.deployment import broken_off

        broken_off.report(config.name, origin=context["run_id"], why=str(context.get("reason") or "a task failed"))

    with stage_dag(use_case, "promote", doc=DOC, schedule=[candidate], params=params(), on_failure_callback=tell):
        judged, passed = _judge(use_case, candidate)
        answer = rollout = None
        if config.approval.required:
            passed = answer = _ask(use_case, judged, passed)
        if config.promotion.steps:
            passed = rollout = _try(use_case, judged, passed)
        passed >> _switch(use_case, judged, answer, rollout)


def _judge(use_case: Folder, candidate: Asset) -> tuple[Any, Any]:
    """Try the candidate in staging and hold it against every check of the gate; and go on only with an approved one."""

    @task
    def stage(params: dict[str, Any]) -> dict[str, Any]:
        from include.promotion import staging

        version = params["version"] or run.event_extra(candidate)["version"]
        return {"version": version, "trial": staging.stage(use_case, version).to_dict()}

    @task
    def judge(staged: dict[str, Any], params: dict[str, Any], run_id: str) -> dict[str, Any]:
        from include.gate.staging import Trial
        from include.promotion import approval, judgement

        trial = Trial.from_dict(staged["trial"])
        version, note = staged["version"], params["reason"] or ""
        judged = judgement.examine(use_case, version, trial, origin=run_id, actor=run.actor(), note=note)
        return {
            "version": judged.candidate,
            "champion": judged.champion,
            "approved": judged.verdict.approved,
            "reasons": list(judged.verdict.reasons),
            "note": note,
            "evidence": judged.evidence,
            "question": approval.question(use_case, judged, PAGES),
        }

    @task.short_circuit
    def approved(judged: dict[str, Any]) -> bool:
        return bool(judged["approved"])

    judged = judge(stage())
    return judged, approved(judged)


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
        # Airflow's forms take an empty text for a missing one: only null may be left empty.
        params={NOTE: Param(None, type=["null", "string"], title="Note", description="Is kept with the decision.")},
    )

    @task.short_circuit
    def answered(judged: dict[str, Any], response: dict[str, Any], run_id: str) -> dict[str, Any] | None:
        from include.promotion import approval

        answer = approval.record(use_case, judged["version"], judged["champion"], response, origin=run_id)
        return {"by": answer.by, "note": answer.note} if answer.approved else None

    passed >> approve
    return answered(judged, approve.output)


def _try(use_case: Folder, judged: Any, passed: Any) -> Any:
    """Walk the candidate through the steps of a rollout, waiting without holding a slot, and see what that came to."""
    steps, period = use_case.config.promotion.steps, use_case.config.promotion.period

    @task(pool=REGISTRY_POOL)
    def begin_rollout(judged: dict[str, Any], run_id: str) -> int | None:
        from include.deployment import probation

        return probation.begin(use_case, judged["version"], origin=run_id, actor=run.actor())

    @task.sensor(
        mode="reschedule",
        pool=REGISTRY_POOL,
        poke_interval=min(max(POKE, period / 60), 10 * POKE).total_seconds(),  # each look reads the whole rollout
        timeout=(len(steps) * period + timedelta(hours=1)).total_seconds(),
        retries=SOURCE_RETRIES,
    )
    def walk_rollout(generation: int | None, run_id: str) -> bool:
        from include.deployment import probation

        return probation.advance(use_case, generation, origin=run_id, actor=run.actor()) is not None

    @task.short_circuit(pool=REGISTRY_POOL)
    def judge_rollout(generation: int | None, run_id: str) -> dict[str, Any] | None:
        from include.deployment import probation

        outcome = probation.advance(use_case, generation, origin=run_id, actor=run.actor())
        if outcome is None:
            raise ValueError("the rollout is still under way: clear walk_rollout, which waits for its end")
        return outcome.to_dict() if outcome.passed else None

    begun = begin_rollout(judged)
    outcome = judge_rollout(begun)
    passed >> begun
    walk_rollout(begun) >> outcome
    return outcome


def _switch(use_case: Folder, judged: Any, answer: Any, rollout: Any) -> Any:
    """Make the candidate champion and verify the replicas. ``answer``, ``rollout``: None where none was asked for."""
    champion = assets.champion(use_case.config.name)

    @task(pool=REGISTRY_POOL, outlets=[champion])
    def switch(
        judged: dict[str, Any],
        answer: dict[str, Any] | None,
        rollout: dict[str, Any] | None,
        run_id: str,
        outlet_events: Any,
    ) -> int:
        from include.deployment import broken_off, switch

        shown = rollout or {"reasons": [], "evidence": ""}
        asked = switch.Change(
            kind="promotion",
            version=judged["version"],
            origin=run_id,
            reasons=(*judged["reasons"], *shown["reasons"]),
            actor=answer["by"] if answer else run.actor(),
            note=answer["note"] if answer else judged["note"],
            evidence=tuple(filter(None, (judged["evidence"], shown["evidence"]))),
        )
        done = switch.promote(use_case, asked, judged["champion"])
        broken_off.resolve(use_case.config.name)
        outlet_events[champion].extra = done.to_dict()
        return int(judged["version"])

    return switch(judged, answer, rollout)


for _use_case in use_cases():
    build(_use_case)
