"""Alerts: one DAG for all use cases tells people what is new, and that a monitor did not run."""

from datetime import timedelta

from airflow.sdk import DAG, task

from include.contract.loading import discover_use_cases

DOC = """Tells the channels of each use case which alerts were opened, changed or resolved since they were told last.

Also opens one where predictions wait for their monitor too long. A channel that cannot be reached is tried again in
the next run; nothing is told twice unless a run is killed in between.
"""

with DAG(
    dag_id="evergreen.alerts",
    dag_display_name="evergreen · alerts",
    description=DOC.splitlines()[0],
    doc_md=DOC,
    schedule=timedelta(minutes=10),
    catchup=False,
    max_active_runs=1,
    is_paused_upon_creation=False,
    tags=["evergreen", "alerts"],
    default_args={"owner": "evergreen", "retries": 1, "execution_timeout": timedelta(minutes=4)},
):

    @task
    def tell() -> int:
        from include.orchestration import notifiers

        return notifiers.watch_and_tell(list(discover_use_cases().found.values()))

    tell()
