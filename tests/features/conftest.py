from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from include.features.online.rows import RowStore
from tests.features.offline_feature_store import Make, maker

Open = Callable[[], RowStore]


@pytest.fixture(params=["sqlite", "redis"])
def open_rows(request: pytest.FixtureRequest, tmp_path: Path) -> Open:
    """Opens the same empty store anew each time, as another process would."""
    if request.param == "sqlite":
        from include.features.online.sqlite import SqliteRows

        return lambda: SqliteRows(tmp_path / "online.sqlite")
    import redis

    from include.features.online.redis import RedisRows

    url = request.getfixturevalue("redis_url")
    redis.Redis.from_url(url).flushall()
    return lambda: RedisRows(url)


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Makes a real Feast store over Parquet files in a folder of its own."""
    return maker(tmp_path)
