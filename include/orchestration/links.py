"""Links from a task in Airflow's UI to what it made, and from a DAG to the page of its use case."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from airflow.sdk import BaseOperatorLink

from include.contract.loading import Folder
from include.orchestration import address, run
from include.settings import get_settings

PAGES = address.pages()


class DataDocsLink(BaseOperatorLink):  # type: ignore[misc]
    """To the partition that a task has checked, with Great Expectations' Data Docs; to all of them for a range."""

    name = "Data Docs"

    def __init__(self, use_case: Folder, chosen_by: str | None = None) -> None:
        """``chosen_by``: the task that has chosen the partitions, where the run itself does not name them."""
        super().__init__()
        self._use_case = use_case
        self._chosen_by = chosen_by

    def get_link(self, operator: Any, *, ti_key: Any) -> str:  # noqa: ARG002 - the interface of Airflow
        """Called where the task has run, whatever came of it."""
        return _data(self._use_case, _keys(self._use_case, ti_key, self._chosen_by))


class DataRevisionLink(DataDocsLink):
    """To the versions of the partition that a task has published; to all partitions for a range."""

    name = "Data revision"

    def get_link(self, operator: Any, *, ti_key: Any) -> str:
        page = super().get_link(operator, ti_key=ti_key)
        return page if page.endswith("/data") else f"{page}#versions"


class ReportLink(BaseOperatorLink):  # type: ignore[misc]
    """To the monitor's report of the last partition that a task has looked at."""

    name = "Report"

    def __init__(self, use_case: Folder) -> None:
        super().__init__()
        self._use_case = use_case

    def get_link(self, operator: Any, *, ti_key: Any) -> str:  # noqa: ARG002 - the interface of Airflow
        last = _keys(self._use_case, ti_key)[-1]
        return f"{PAGES}/{self._use_case.config.name}/reports/{quote(last)}"


class EvidentlyLink(ReportLink):
    """To Evidently's report of the same partition."""

    name = "Evidently report"

    def get_link(self, operator: Any, *, ti_key: Any) -> str:
        return f"{super().get_link(operator, ti_key=ti_key)}/evidently"


class MlflowRunLink(BaseOperatorLink):  # type: ignore[misc]
    """To the MLflow run whose id a task has returned; to MLflow where it has returned none."""

    name = "MLflow run"

    def get_link(self, operator: Any, *, ti_key: Any) -> str:
        made = ti_key.xcom_pull(task_ids=operator.task_id)
        return f"{get_settings().mlflow_pages}/#/{f'runs/{quote(made)}' if made else ''}"


class VersionLink(BaseOperatorLink):  # type: ignore[misc]
    """To the page of the model version whose number a task has returned; to all versions where it has returned none."""

    name = "Model version"

    def __init__(self, use_case: Folder) -> None:
        super().__init__()
        self._use_case = use_case

    def get_link(self, operator: Any, *, ti_key: Any) -> str:
        made = ti_key.xcom_pull(task_ids=operator.task_id)
        return f"{PAGES}/{self._use_case.config.name}/versions{f'/{int(made)}' if made else ''}"


def page(use_case: Folder) -> str:
    """Markdown that leads from a DAG's doc to the page of its use case."""
    name = use_case.config.name
    return f"[How is it? The page of {name}]({address.framed(f'/{name}')})"


def _keys(use_case: Folder, ti_key: Any, chosen_by: str | None = None) -> list[str]:
    """The keys of the partitions of a task's run."""
    if chosen_by is None:
        return [each.key for each in run.partitions(use_case, ti_key.get_template_context())]
    return ti_key.xcom_pull(task_ids=chosen_by) or []


def _data(use_case: Folder, keys: list[str]) -> str:
    page = f"{PAGES}/{use_case.config.name}/data"
    return f"{page}/{keys[0]}" if len(keys) == 1 else page
