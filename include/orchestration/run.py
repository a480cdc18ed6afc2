"""What a task reads from its run: the partitions it treats, and the ids that the triggering event carries."""

from __future__ import annotations

from typing import Any, NoReturn

from airflow.sdk import Asset, get_current_context
from airflow.sdk.exceptions import DagRunTriggerException

from include.contract.loading import Folder
from include.contract.partitions import Partition, span_key


class NoPartitionError(ValueError):
    """The run says neither by its key nor by its parameters what it is to treat."""


def partitions(use_case: Folder, context: Any = None) -> list[Partition]:
    """The partitions of this run: its partition key, or the range that was given by hand."""
    context = context or get_current_context()
    key = context["dag_run"].partition_key
    if key is None:
        start, end = context["params"].get("start"), context["params"].get("end")
        if not start:
            raise NoPartitionError("the run has no partition key; give the parameter 'start' (and 'end' for a range)")
        key = f"{start}/{end}" if end and end != start else start
    return use_case.config.calendar.parse(key)


def named(use_case: Folder, keys: list[str]) -> list[Partition]:
    """The partitions of keys that another task of the run has chosen."""
    return [use_case.config.calendar.partition(key) for key in keys]


def by_hand() -> bool:
    """Whether a person gave this run its range of partitions."""
    context: Any = get_current_context()
    return context["dag_run"].partition_key is None


def publish_event(asset: Asset, spans: list[list[Partition]], **extra: Any) -> None:
    """Publish the asset for spans of partitions, each an event of its own, with the ids that it stands for."""
    context: Any = get_current_context()
    event = context["outlet_events"][asset]
    event.extra = extra
    keys = [span_key(span) for span in spans]
    if keys != [context["dag_run"].partition_key]:  # an event has its run's key by itself
        event.add_partitions(keys)


def actor() -> str:
    """Who or what asked for this run: the user who triggered it, the run whose asset event did, or the schedule."""
    context: Any = get_current_context()
    dag_run = context["dag_run"]
    if dag_run.triggering_user_name:
        return str(dag_run.triggering_user_name)
    for event in dag_run.consumed_asset_events:
        if event.source_dag_id:
            return f"{event.source_dag_id} {event.source_run_id}"
    return str(getattr(dag_run.run_type, "value", dag_run.run_type))


def event_extra(asset: Asset) -> dict[str, Any]:
    """The ids that the newest triggering event carries; empty for runs that no event triggered."""
    context: Any = get_current_context()
    events = context["triggering_asset_events"].get(asset) or []
    return dict(events[-1].extra) if events else {}


def trigger(dag_id: str, run_id: str, conf: dict[str, Any]) -> NoReturn:
    """End this task by starting a run of another DAG; a run of this id that is there already stays the only one.

    It raises what TriggerDagRunOperator raises: importing that operator would double the cost of parsing dags/.
    """
    raise DagRunTriggerException(
        trigger_dag_id=dag_id,
        dag_run_id=run_id,
        conf=conf,
        reset_dag_run=False,
        skip_when_already_exists=True,
        wait_for_completion=False,
        allowed_states=["success"],
        failed_states=["failed"],
        poke_interval=60,
        deferrable=False,
    )
