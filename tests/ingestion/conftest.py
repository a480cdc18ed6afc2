from __future__ import annotations

from pathlib import Path

import pytest

from include.contract.loading import Folder, load_use_case
from include.ingestion import versions
from include.settings import get_settings
from tests.ingestion import shop as shops


def _open(home: Path, monkeypatch: pytest.MonkeyPatch, timezone: str) -> Folder:
    shops.write(home / "use cases", timezone)
    monkeypatch.setenv("EVERGREEN_USE_CASE_PATHS", str(home / "use cases"))
    get_settings.cache_clear()
    versions.initialize()
    return load_use_case("shop")


@pytest.fixture
def shop(home: Path, monkeypatch: pytest.MonkeyPatch) -> Folder:
    """A use case of daily orders on stores of its own; the source reads the files that a test delivers."""
    return _open(home, monkeypatch, "UTC")


@pytest.fixture
def new_york_shop(home: Path, monkeypatch: pytest.MonkeyPatch) -> Folder:
    """The same with the days of New York."""
    return _open(home, monkeypatch, "America/New_York")


@pytest.fixture
def open_shop(shop: Folder) -> Folder:
    """As many days are published as show what is usual: those before ``tests.ingestion.bad_input.DAY``."""
    past = shops.KEYS[2:7]
    for key in past:
        shops.deliver(key)
    shops.bring_in(shop, *past)
    return shop
