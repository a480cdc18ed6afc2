"""Rollback: one DAG a use case puts an earlier champion back into production."""

from typing import Any

from airflow.sdk import Param, task

from include.contract.loading import Folder, discover_use_cases
from include.orchestration import assets
from include.orchestration.stage import REGISTRY_POOL, stage_dag

DOC = """Puts an earlier champion back and verifies that every serving replica answers with it.

By hand. Without a version it goes back to the previous champion; doing that twice goes forward again.
"""


def params() -> dict[str, Param]:
    return {
        "version": Param(
            None, type=["null", "integer"], title="Model version", description="Empty: the previous champion."
        ),
        "reason": Param("by hand", type="string", title="Reason", description="Is kept in the log of decisions."),
    }


def build(use_case: Folder) -> None:
    champion = assets.champion(use_case.config.name)
    with stage_dag(use_case, "rollback", doc=DOC, params=params()):

        @task
        def choose(params: dict[str, Any]) -> int:
            from include.promotion import switch

            return switch.eligible(use_case, params["version"])

        @task(pool=REGISTRY_POOL, outlets=[champion])
        def switch(version: int, params: dict[str, Any], run_id: str, outlet_events: Any) -> None:
            from include.promotion import switch

            previous = switch.rollback(use_case, version, run_id, params["reason"])
            outlet_events[champion].extra = {"version": version, "previous": previous}

        switch(choose())


for _use_case in discover_use_cases().found.values():
    build(_use_case)
