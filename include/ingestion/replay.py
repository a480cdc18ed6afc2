"""Brings partitions back through validation after a fix of the source or of the suite."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from include.contract.loading import Folder
from include.contract.partitions import Partition
from include.files import link_tree, read_json, replacing
from include.ingestion import ingest, landing, quarantine, versions
from include.ingestion.batch import RECORD
from include.settings import get_settings

log = logging.getLogger(__name__)


class NothingToReplayError(ValueError):
    """No partition is what was asked for."""


def choose(use_case: Folder, first: str | None, last: str | None, reason: str | None) -> list[Partition]:
    """The partitions to replay, in order: those of a range, those with a reason, or both.

    A reason is a part of the text of a check, as the quarantine or a refusal names it. Raises
    ``NothingToReplayError`` with what there is.
    """
    if not first and not reason:
        raise NothingToReplayError("give the first partition of a range, a reason, or both")
    name, calendar = use_case.config.name, use_case.config.calendar
    records = _records(use_case)
    if first:
        wanted = {each.key for each in calendar.span(calendar.partition(first), calendar.partition(last or first))}
        records = {key: path for key, path in records.items() if key in wanted}
    if reason:
        records = {key: path for key, path in records.items() if _mentions(path, reason)}
    if not records:
        asked = " ".join(filter(None, [first and f"in {first}/{last or first}", reason and f"with reason {reason!r}"]))
        raise NothingToReplayError(f"{name}: no partition {asked} has been published or refused")
    log.info("to replay: %s", ", ".join(records))
    return [calendar.partition(key) for key in sorted(records)]


def bring_back(use_case: Folder, partitions: Sequence[Partition], *, from_source: bool) -> None:
    """Land the partitions again: from the source, or as they landed before."""
    if from_source:
        landing.land(use_case, partitions)
        return
    for partition in partitions:
        with replacing(landing.folder(use_case, partition)) as landed:
            kept = ingest.refused(use_case, partition)
            if kept.is_dir():
                link_tree(kept, landed)
                (landed / RECORD).unlink()
            else:
                landed.mkdir()
                _restore(use_case, partition, landed)
        log.info("brought back %s", partition.key)


def _restore(use_case: Folder, partition: Partition, landed: Path) -> None:
    files = versions.files(use_case.config.name, versions.head(), [partition.key])[partition.key]
    for name, path in files.items():
        if name.endswith(".parquet") and not name.startswith(f"{quarantine.FOLDER}/"):
            quarantine.restore(path, files.get(f"{quarantine.FOLDER}/{name}"), landed / name)


def _records(use_case: Folder) -> dict[str, Path]:
    """The validation record of every partition by key; a refused delivery is newer than what was published."""
    name = use_case.config.name
    published = versions.files(name, versions.head())
    records = {key: files[RECORD] for key, files in published.items()}
    refused = (get_settings().refused / name).glob(f"[!.]*/{RECORD}")
    return records | {path.parent.name: path for path in refused}


def _mentions(record: Path, reason: str) -> bool:
    content = read_json(record)
    return any(reason in text for text in [*content["quarantined"], *content["failures"]])
