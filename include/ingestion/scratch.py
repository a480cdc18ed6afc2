"""Scratch copies of what other runs of the same partition may replace at any time, and the removal of leftovers."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from include.files import remove_older, snapshot
from include.settings import get_settings

DAY = 24 * 3600  # seconds; no task runs that long


@contextmanager
def taken(folder: Path, missing: str) -> Iterator[Path]:
    """A private copy of a folder, its files hard-linked: it stays as it is within the block.

    ``FileNotFoundError`` says what is ``missing`` where the folder is not there.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: {missing}")
    private = get_settings().work / "taken" / uuid.uuid4().hex
    private.parent.mkdir(parents=True, exist_ok=True)
    try:
        snapshot(folder, private)
        yield private
    finally:
        shutil.rmtree(private, ignore_errors=True)


def clean(use_case: str) -> None:
    """Remove what runs have left that ended or were killed a day ago. Newer work may belong to one that is retried."""
    settings = get_settings()
    for done in (settings.work / "landed" / use_case, settings.work / "staged" / use_case, settings.work / "taken"):
        remove_older(done, DAY)
    for kept in (settings.refused / use_case, settings.data_docs / use_case):
        remove_older(kept, DAY, pattern=".*")
