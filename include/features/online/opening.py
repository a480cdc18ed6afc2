"""The rows of the online store that the settings name, for those who need no Feast."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from include.features.online.rows import RowStore
from include.settings import get_settings

PROJECT = "evergreen"  # as in feature_repo/feature_store.yaml


def open_rows() -> RowStore:
    """The same rows as those behind the feature store; opened once by a process."""
    settings = get_settings()
    return _redis(settings.redis) if settings.redis else _sqlite(settings.features / "online.sqlite")


@lru_cache
def _redis(url: str) -> RowStore:
    from include.features.online.redis import RedisRows

    return RedisRows(url)


@lru_cache
def _sqlite(path: Path) -> RowStore:
    from include.features.online.sqlite import SqliteRows

    return SqliteRows(path)
