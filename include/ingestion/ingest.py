"""The ingestion of a run's partitions in three steps: land, check, publish. Each can be repeated and killed.

``land``     reads the source and keeps what it said, unchanged.
``check``    parts accepted rows from refused ones; a refused batch is kept whole and stops the run.
``publish``  versions the partitions: from then on they are there for everybody.
"""

from __future__ import annotations

import logging
import shutil
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from include.contract.loading import Folder
from include.contract.partitions import Partition, span_key
from include.files import link_tree, read_json, replacing, write_json
from include.ingestion import versions
from include.ingestion.validation import REASON, RefusedBatchError, Validation, validate
from include.settings import get_settings

log = logging.getLogger(__name__)

RECORD = "validation.json"
QUARANTINE = "quarantine"


@dataclass(frozen=True)
class Ingested:
    """What a run published."""

    revision: str
    key: str
    landed: int
    accepted: int
    quarantined: int


def land(use_case: Folder, partitions: list[Partition]) -> None:
    """Read the raw tables of each partition and keep them as they came."""
    for number, partition in enumerate(partitions, 1):
        tables = use_case.source.read(partition)
        if not tables:
            raise ValueError(f"{use_case.path / 'source.py'}: read() returned no table for {partition.key}")
        with replacing(_folder(use_case, "landed", partition)) as folder:
            folder.mkdir()
            for name, frame in tables.items():
                frame.write_parquet(folder / f"{name}.parquet")
        rows = {name: frame.height for name, frame in tables.items()}
        log.info("landed %s (%d of %d): %s", partition.key, number, len(partitions), rows)


def check(use_case: Folder, partitions: list[Partition]) -> dict[str, int]:
    """Validate what landed and stage it for publication; the number of refused rows by reason.

    Raises ``RefusedBatchError`` when a partition fails as a whole: it is kept, and nothing of the run is published.
    """
    suites = use_case.expectations.suites()
    reasons: Counter[str] = Counter()
    for partition in partitions:
        landed = _folder(use_case, "landed", partition)
        tables = {path.stem: pl.read_parquet(path) for path in sorted(landed.glob("*.parquet"))}
        validation = validate(partition.key, tables, suites)
        if not validation.success:
            _keep_refused(use_case, partition, landed, validation)
            raise RefusedBatchError(validation)
        _stage(_folder(use_case, "staged", partition), validation)
        for result in validation.warnings:
            log.warning("%s %s: %s: %s", partition.key, result.table, result.name, result.observed or result.unexpected)
        for name, frame in validation.quarantined.items():
            for reason in frame[REASON]:
                reasons[f"{name}: {reason}"] += 1
                log.warning("%s %s: a row is quarantined: %s", partition.key, name, reason)
    return dict(reasons)


def publish(use_case: Folder, partitions: list[Partition]) -> Ingested:
    """Version the staged partitions. Identical data makes no new revision."""
    folders, counts = {}, Counter[str]()
    for partition in partitions:
        staged = _folder(use_case, "staged", partition)
        if not (staged / RECORD).is_file():
            raise FileNotFoundError(f"{staged}: not staged; the check of partition {partition.key} comes first")
        for table in read_json(staged / RECORD)["counts"].values():
            counts.update(table)
        outgoing = _folder(use_case, "outgoing", partition)
        shutil.rmtree(outgoing, ignore_errors=True)
        link_tree(staged, outgoing)
        folders[partition.key] = outgoing
    key = span_key(partitions)
    name = use_case.config.name
    revision = versions.publish(name, folders, f"{name}: {key}")
    for partition in partitions:
        shutil.rmtree(_folder(use_case, "landed", partition), ignore_errors=True)
    log.info("published %s as revision %s: %s", key, revision[:12], dict(counts))
    return Ingested(revision, key, counts["landed"], counts["accepted"], counts["quarantined"])


def quarantined(use_case: Folder, keys: list[str], revision: str) -> dict[str, int]:
    """The number of quarantined rows of these partitions by table and reason."""
    reasons: Counter[str] = Counter()
    for files in versions.files(use_case.config.name, revision, keys).values():
        for name, path in files.items():
            if name.startswith(f"{QUARANTINE}/"):
                reasons.update(f"{Path(name).stem}: {reason}" for reason in pl.read_parquet(path)[REASON])
    return dict(reasons)


def _stage(folder: Path, validation: Validation) -> None:
    with replacing(folder) as staged:
        (staged / QUARANTINE).mkdir(parents=True)
        for name, frame in validation.accepted.items():
            frame.write_parquet(staged / f"{name}.parquet")
        for name, frame in validation.quarantined.items():
            if frame.height:
                frame.write_parquet(staged / QUARANTINE / f"{name}.parquet")
        write_json(staged / RECORD, validation.record())


def _keep_refused(use_case: Folder, partition: Partition, landed: Path, validation: Validation) -> None:
    with replacing(get_settings().home / "refused" / use_case.config.name / partition.key) as folder:
        link_tree(landed, folder)
        write_json(folder / RECORD, validation.record())


def _folder(use_case: Folder, stage: str, partition: Partition) -> Path:
    return get_settings().work / stage / use_case.config.name / partition.key
