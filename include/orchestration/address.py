"""Where Airflow and the pages are."""

from __future__ import annotations

from urllib.parse import urlsplit

from airflow.sdk.configuration import conf

from include.pages import MOUNT

ROUTE = "models"  # of the view in which Airflow shows the pages


def airflow() -> str:
    """The path that Airflow is served at; empty at the root."""
    return urlsplit(str(conf.get("api", "base_url", fallback=""))).path.rstrip("/")


def pages() -> str:
    """The path of the pages by themselves."""
    return airflow() + MOUNT


def framed(path: str = "") -> str:
    """The path of a page with Airflow's navigation around it; ``path`` is below that of the pages."""
    return f"{airflow()}/plugin/{ROUTE}{MOUNT}{path}"
