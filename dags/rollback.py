"""Rollback: one DAG a use case puts an earlier champion back into production."""

from typing import Any

from airflow.sdk import Param, task

from include.contract.loading import Folder
from include.orchestration import assets, run
from include.orchestration.stage import REGISTRY_POOL, stage_dag, use_cases

DOC = """Puts an earlier champion back and verifies that every serving replica answers with it.

By hand. Without a version it goes back to the previous champion; doing that twice goes forward again.
"""


def params(use_case: Folder) -> dict[str, Param]:
    from include.deployment import ledger
    from include.deployment.eligible import eligible

    known = {each.version: str(each) for each in eligible(ledger.read(use_case.config.name))}
    return {
        "version": Param(
            None,
            type=["null", "integer"],
            enum=[None, *known],
            values_display={"None": "the previous champion", **{str(version): text for version, text in known.items()}},
            title="Model version",
            description="A version that has served before.",
        ),
        "reason": Param("by hand", type="string", title="Reason", description="Is kept in the log of decisions."),
    }


def build(use_case: Folder) -> None:
    champion = assets.champion(use_case.config.name)
    with stage_dag(use_case, "rollback", doc=DOC, params=params(use_case)):

        @task
        def choose(params: dict[str, Any]) -> int:
            from include.deployment import eligible

            return eligible.choose(use_case.config.name, params["version"])

        @task(pool=REGISTRY_POOL, outlets=[champion])
        def switch(version: int, params: dict[str, Any], run_id: str, outlet_events: Any) -> None:
            from include.deployment import switch

            asked = switch.Change("rollback", version, run_id, (params["reason"],), actor=run.actor())
            outlet_events[champion].extra = switch.rollback(use_case, asked).to_dict()

        switch(choose())


for _use_case in use_cases():
    build(_use_case)
