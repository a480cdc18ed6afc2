"""The MLflow runs of training: one an attempt, whatever becomes of the process; trials of a search nested in it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final

from include.registry import models

ORIGIN_TAG: Final = "evergreen.origin"
PARENT_TAG: Final = "mlflow.parentRunId"
FAILURE_TAG: Final = "failure"
LONGEST = 1000  # characters of a failure that are kept


def close_earlier(experiment: str, origin: str) -> str | None:
    """The finished run of an earlier try of the same attempt, if there is one; tries that broke off are closed."""
    finished = None
    for run in _runs(experiment, ORIGIN_TAG, origin):
        if run.info.status == "FINISHED":
            finished = str(run.info.run_id)
        else:
            _close(run)
            for nested in _runs(experiment, PARENT_TAG, run.info.run_id):
                _close(nested)
    return finished


@contextmanager
def attempt(name: str, origin: str) -> Iterator[str]:
    """A run for one try, by its id; where the block raises it is FAILED and its tag ``failure`` says why."""
    import mlflow

    with mlflow.start_run(run_name=name, tags={ORIGIN_TAG: origin}) as run:
        try:
            yield str(run.info.run_id)
        except Exception as error:
            with suppress(mlflow.MlflowException):  # what failed may be MLflow itself
                mlflow.set_tag(FAILURE_TAG, f"{type(error).__name__}: {error}"[:LONGEST])
            raise


def log_trial(metric: str, number: int, params: dict[str, Any], value: float | None, state: str) -> None:
    """Log a trial of a search as a run nested in the one that is under way; ``value`` is the mean over the folds."""
    import mlflow

    with mlflow.start_run(run_name=f"trial {number}", nested=True, tags={"trial": str(number), "state": state}):
        mlflow.log_params(params)
        if value is not None:
            mlflow.log_metric(f"folds.{metric}", value)


def _runs(experiment: str, tag: str, value: str) -> list[Any]:
    import mlflow

    found: list[Any] = mlflow.search_runs(
        experiment_names=[experiment], filter_string=f"tags.`{tag}` = '{value}'", output_format="list"
    )
    return found


def _close(run: Any) -> None:
    import mlflow

    if run.info.status == "RUNNING":
        mlflow.MlflowClient(models.tracking_uri()).set_terminated(run.info.run_id, status="KILLED")
