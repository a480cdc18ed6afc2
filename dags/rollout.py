"""Rollout: one DAG a use case tries a version beside the champion, or ends that."""

from typing import Any

from airflow.sdk import Param, task

from include.contract.loading import Folder
from include.orchestration import run
from include.orchestration.stage import REGISTRY_POOL, stage_dag, use_cases

DOC = """Tries a version beside the champion and verifies that every serving replica does so, or ends the rollout.

By hand. A canary answers a share of the requests; a shadow predicts each of them and answers none. It lasts until it
is ended here, or until a version is promoted or rolled back to. Once more with the same version changes the share.
Where the use case names steps of a rollout, a promotion of the version can be begun here, which walks them: each is
judged, one that fails ends it, and after the last the version is champion.
"""


def params(use_case: Folder) -> dict[str, Param]:
    from include.deployment.eligible import to_try
    from include.deployment.modes import modes, weight

    known = to_try(use_case.config.name)
    promotion = use_case.config.promotion
    ways = modes(promotion)
    return {
        "version": Param(
            None,
            type=["null", "integer"],
            enum=[None, *known],
            values_display={"None": "none", **{str(version): text for version, text in known.items()}},
            title="Model version",
            description="A version that the gate has judged. To end a rollout it is not needed.",
        ),
        "mode": Param(
            next(iter(ways)),
            type="string",
            enum=[*ways],
            values_display=ways,
            title="Mode",
            description="How the version is tried, or that the rollout is to end.",
        ),
        "weight": Param(
            weight(promotion),
            type="number",
            exclusiveMinimum=0,
            exclusiveMaximum=1,
            title="Weight",
            description="The share of requests that a canary answers.",
        ),
        "reason": Param("by hand", type="string", title="Reason", description="Is kept in the log of decisions."),
    }


def build(use_case: Folder) -> None:
    with stage_dag(use_case, "rollout", doc=DOC, params=params(use_case)):

        @task(pool=REGISTRY_POOL)
        def change(params: dict[str, Any], run_id: str) -> dict[str, Any]:
            from include.deployment import rollout
            from include.deployment.modes import END, STEPS

            mode, reason, actor = params["mode"], params["reason"], run.actor()
            if mode == END:
                return rollout.stop(use_case, origin=run_id, actor=actor, reasons=(reason,)).to_dict()
            if params["version"] is None:
                raise ValueError(f"version: give the one to be tried as {mode}")
            if mode == STEPS:
                conf = {"version": params["version"], "reason": reason}
                run.trigger(f"{use_case.config.name}.promote", f"rollout__{run_id}", conf)
            weight = params["weight"] if mode == "canary" else 0.0
            done = rollout.start(use_case, params["version"], mode, weight, origin=run_id, actor=actor, reason=reason)
            return done.to_dict()

        change()


for _use_case in use_cases():
    build(_use_case)
