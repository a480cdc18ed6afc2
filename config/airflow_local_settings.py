"""Read by every Airflow process when it starts.

In a process from which tasks are forked (the scheduler with the LocalExecutor, the Celery worker's parent) the large
libraries are imported once; each task inherits them instead of spending seconds on its own import.

Importing is as far as this may go: polars, pyarrow and OpenMP start their threads at the first use, and threads do not
survive a fork. A child would wait for them for ever.
"""

import importlib
import logging
import sys

__all__: list[str] = []

PARENTS_OF_TASKS = (["scheduler"], ["celery", "worker"])
LIBRARIES = (
    # What every task of Airflow itself imports before it starts.
    "airflow.sdk.execution_time.supervisor",
    "airflow.sdk.execution_time.task_runner",
    "airflow.providers.standard.decorators.python",
    "airflow.providers.standard.operators.trigger_dagrun",
    # What the stages use.
    "pandas",
    "polars",
    "sklearn.ensemble",
    "mlflow.sklearn",
    "feast",
    "great_expectations",
    "duckdb_engine",
    "dvc.repo",
)


def preload() -> None:
    """Imports the libraries; one that is missing is the concern of the task that needs it."""
    for library in LIBRARIES:
        try:
            importlib.import_module(library)
        except ImportError:
            logging.getLogger(__name__).warning("could not be preloaded: %s", library, exc_info=True)


if any(sys.argv[1 : 1 + len(command)] == command for command in PARENTS_OF_TASKS):
    preload()
