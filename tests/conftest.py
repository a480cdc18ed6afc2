from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

# Read when the numeric libraries load: a model's bytes depend on the number of threads it was fitted with.
os.environ["OMP_NUM_THREADS"] = "1"

import prometheus_client  # noqa: F401 - before feast, whose import switches it to files shared by several processes
import pytest

from include.contract.loading import Folder, load_use_case
from include.settings import get_settings
from tests import postgres
from tests.postgres import Postgres, postgres_server
from tests.redis_server import INSTALLED, MISSING, redis_server

USE_CASES = Path(__file__).parent / "use_cases"


def forget_use_cases() -> None:
    """Have the modules of use cases loaded anew: feature definitions hold the folder that the settings named then."""
    for name in [name for name in sys.modules if name.startswith("evergreen_use_cases.")]:
        del sys.modules[name]


@pytest.fixture(scope="module", autouse=True)
def _no_use_case_is_loaded() -> None:
    """What an earlier file of tests has loaded is of another home."""
    forget_use_cases()


@pytest.fixture(scope="session")
def mlflow_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One store for the session: creating the database takes seconds."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def mlflow_store(mlflow_home: Path) -> Iterator[Path]:
    """The session's store, in force for a file of tests: what comes after it finds the environment as it was."""
    home = mlflow_home
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(home)  # where a SQLite store keeps its artifacts
        patch.setenv("EVERGREEN_HOME", str(home))
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{home}/mlflow.db")
        patch.setenv("OMP_NUM_THREADS", "1")
        patch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
        get_settings.cache_clear()
        yield home
    get_settings.cache_clear()


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Redis server for the session. It starts empty; who needs it empty again flushes it."""
    if not INSTALLED:
        pytest.skip(MISSING)
    with redis_server(tmp_path_factory.mktemp("redis")) as url:
        yield url


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Postgres]:
    """A PostgreSQL server for the session. Who stops it starts it again; each test creates databases of its own."""
    if not postgres.INSTALLED:
        pytest.skip(postgres.MISSING)
    with postgres_server() as server:
        yield server


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of its own for all stores, with a space in its path."""
    folder = tmp_path / "a home"
    folder.mkdir()
    monkeypatch.setenv("EVERGREEN_HOME", str(folder))
    monkeypatch.setenv("EVERGREEN_USE_CASE_PATHS", str(USE_CASES))
    monkeypatch.setenv("DVC_NO_ANALYTICS", "1")
    get_settings.cache_clear()
    forget_use_cases()
    yield folder
    get_settings.cache_clear()


@pytest.fixture
def stations(home: Path) -> Folder:
    """The regression use case of the tests: hourly events in weekly batches."""
    return load_use_case("station_temperature")
