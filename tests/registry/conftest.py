from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from include.settings import get_settings


@pytest.fixture(scope="session")
def mlflow_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A store of its own for the session: creating the database takes seconds."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(home)  # where a SQLite store keeps its artifacts
        patch.setenv("EVERGREEN_HOME", str(home))
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{home}/mlflow.db")
        patch.setenv("OMP_NUM_THREADS", "1")
        get_settings.cache_clear()
        yield home
    get_settings.cache_clear()


@pytest.fixture
def use_case(request: pytest.FixtureRequest) -> str:
    """A name that no other test registers models under."""
    return str(request.node.name).replace("[", "_").replace("]", "").lower()[:60]
