"""The shape that all stages' DAGs share."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, ExceptionRetryPolicy, Param, RetryAction, RetryRule, get_parsing_context

from include.contract.loading import Folder, UseCaseError, discover_use_cases
from include.orchestration import links

TRAINING_POOL = "training"
REGISTRY_POOL = "registry"
TRAINING_QUEUE = "training"  # of the workers that fit, where there are several kinds
# Wrong data, parameters and use cases will not mend themselves; the rest may: files, stores, servers.
PERMANENT = RetryRule(
    # A name instead of a class is imported at every parse, with all that its module needs.
    exception=[ValueError, TypeError, LookupError, AttributeError, UseCaseError],
    action=RetryAction.FAIL,
    reason="this will not mend itself",
)
# A schedule begins with its next time: else Airflow also makes a run for the last one, if that was not long ago.
FROM_NEXT = timedelta(0)
# A source that fails is asked again for about two hours.
SOURCE_RETRIES = 24
POOLS = {TRAINING_POOL: "fits of models: heavy on the machine", REGISTRY_POOL: "changes of what is in production"}


ACCEPT_CHANGES = Param(
    False,
    type="boolean",
    title="Accept changes of the source",
    description="Columns that are gone, renamed or of another type or unit are meant so: take the delivery as it is.",
)


def use_cases() -> list[Folder]:
    """The use cases for which a DAG file builds a DAG: all of them; in a task only the one that the task is of.

    A task parses its DAG file again before it starts, and would else read every use case to work for one.
    """
    name = (get_parsing_context().dag_id or "*").partition(".")[0]
    return list(discover_use_cases(name=name).found.values())


def stage_dag(
    use_case: Folder, stage: str, *, doc: str, schedule: Any = None, active_runs: int = 1, **options: Any
) -> DAG:
    """The DAG ``<use case>.<stage>``.

    No catch-up: a day that was missed is ingested by hand as a range, in one run. One run at a time, so that days
    are treated in order, unless ``active_runs`` says more. Failed tasks are tried again after 10 s, 20 s, ...,
    but not after an error that will not mend itself.
    """
    config = use_case.config
    return DAG(
        dag_id=f"{config.name}.{stage}",
        dag_display_name=f"{config.name} · {stage}",
        description=doc.strip().splitlines()[0],
        doc_md="\n\n".join(
            [
                doc.strip(),
                f"**{config.title}** ({config.name}): {config.description.strip()}",
                f"{links.page(use_case)}\n",
            ]
        ),
        schedule=schedule,
        catchup=False,
        max_active_runs=active_runs,
        is_paused_upon_creation=False,
        tags=["evergreen", config.name, stage, *config.tags],
        default_args={
            "owner": config.owners[0],
            "retries": 2,
            "retry_delay": timedelta(seconds=10),
            "retry_exponential_backoff": True,
            "max_retry_delay": timedelta(minutes=5),
            "retry_policy": ExceptionRetryPolicy(rules=[PERMANENT]),
            "execution_timeout": timedelta(hours=1),
        },
        **options,
    )


def range_params(use_case: Folder) -> dict[str, Param]:
    """The form for a range of partitions."""
    example = {"hourly": "2013-01-07T05", "daily": "2013-01-07", "weekly": "2013-01-07 (a Monday)"}
    hint = f"Key of a {use_case.config.cadence} partition, e.g. {example[use_case.config.cadence]}."
    return {
        "start": Param(None, type=["null", "string"], title="First partition", description=hint),
        "end": Param(
            None, type=["null", "string"], title="Last partition", description=f"{hint} Empty: only the first."
        ),
    }
