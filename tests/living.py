"""Use cases with stores of their own, from nothing to a first champion."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from include.contract.loading import Folder, load_use_case
from include.features import store
from include.ingestion import versions
from include.registry import models
from include.settings import get_settings
from include.training import train


@contextmanager
def new_system(home: Path, use_cases: Path, name: str) -> Iterator[Folder]:
    """A use case of a folder of use cases, with everything that it needs in ``home`` and nothing in there yet."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EVERGREEN_HOME", str(home))
        patch.setenv("EVERGREEN_USE_CASE_PATHS", str(use_cases))
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{home}/mlflow.db")
        patch.setenv("DVC_NO_ANALYTICS", "1")
        patch.chdir(home)
        get_settings.cache_clear()
        use_case = load_use_case(name)
        versions.initialize()
        store.apply()
        yield use_case
    get_settings.cache_clear()


def first_champion(use_case: Folder) -> models.ModelVersion:
    """Train on all that is there, and make that champion without a gate."""
    version = trained(use_case)
    models.set_alias(use_case.config.name, models.CHAMPION, version.version)
    return version


def trained(use_case: Folder) -> models.ModelVersion:
    """A registered version that has learned from all that is there."""
    prepared = train.prepare(use_case, until=None, window=None)
    return train.register(use_case, train.fit(use_case, prepared, {}, reason="test", origin="first"))
