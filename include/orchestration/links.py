"""Links from a task in Airflow's UI to what it made."""

from __future__ import annotations

from typing import Any

from airflow.sdk import BaseOperatorLink

from include.contract.loading import Folder
from include.orchestration import run

PAGES = "/evergreen"  # where the plugin mounts its pages


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
        if self._chosen_by is None:
            keys = [each.key for each in run.partitions(self._use_case, ti_key.get_template_context())]
        else:
            keys = ti_key.xcom_pull(task_ids=self._chosen_by) or []
        page = f"{PAGES}/{self._use_case.config.name}/data"
        return f"{page}/{keys[0]}" if len(keys) == 1 else page
