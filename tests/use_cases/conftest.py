from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from include.contract.loading import Folder, load_use_case
from include.settings import get_settings


@pytest.fixture(scope="session")
def flights_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data is converted once for all tests."""
    return tmp_path_factory.mktemp("flights")


@pytest.fixture(scope="module")
def flight_delay(flights_home: Path) -> Iterator[Folder]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EVERGREEN_HOME", str(flights_home))
        get_settings.cache_clear()
        yield load_use_case("flight_delay")
    get_settings.cache_clear()
