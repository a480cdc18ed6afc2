"""The ingestion of a run's partitions in three steps: land, check, publish. Each can be repeated and killed.

``land``     reads the source and keeps what it said (:mod:`include.ingestion.landing`).
``check``    parts accepted rows from refused ones; a refused batch is kept whole and stops the run.
``publish``  versions the partitions: from then on they are there for everybody.
"""

from __future__ import annotations

import logging
import shutil
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl

from include import alerts
from include.contract.loading import Folder
from include.contract.partitions import Partition, span_key
from include.contract.use_case import IngestionConfig
from include.files import link_tree, read_json, replacing, write_json
from include.ingestion import data_docs, landing, quarantine, versions
from include.ingestion.batch import PROFILE, RECORD, LandedBatch, Past
from include.ingestion.changes import Change, compare
from include.ingestion.profile import TableProfile, profile
from include.ingestion.scratch import clean, taken
from include.ingestion.validation import RefusedBatchError, Validation, validate
from include.settings import get_settings

log = logging.getLogger(__name__)

NOT_LANDED = "not landed; the task `land` comes first"
NOT_STAGED = "not staged; the task `check` comes first"


@dataclass(frozen=True)
class Ingested:
    """What a run published. ``changed``: the keys of the partitions whose bytes are not what they were before."""

    revision: str
    key: str
    landed: int
    accepted: int
    quarantined: int
    changed: tuple[str, ...]


def check(use_case: Folder, partitions: Sequence[Partition], *, accept_changes: bool = False) -> dict[str, int]:
    """Validate what landed and stage it for publication; the number of refused rows by reason.

    Raises ``RefusedBatchError`` when a partition fails as a whole: it is kept, and nothing of the run is published.
    ``accept_changes``: changes of the source's form are meant, and are recorded only.
    """
    rules, past = use_case.config.ingestion, Past(use_case, partitions)
    reasons: Counter[str] = Counter()
    for number, partition in enumerate(partitions, 1):
        # What an earlier try has staged is not to be published if this one refuses.
        shutil.rmtree(staged(use_case, partition), ignore_errors=True)
        with taken(landing.folder(use_case, partition), NOT_LANDED) as landed:
            validation, profiles = _examine(use_case, partition, landed, past, rules if not accept_changes else None)
            if not validation.success:
                _keep_refused(use_case, partition, landed, validation, profiles)
                raise RefusedBatchError(use_case.config.name, validation)
            _stage(staged(use_case, partition), landed, validation, profiles)
        past.add(partition, staged(use_case, partition))
        reasons.update(validation.reasons)
        for warning in validation.warnings:
            log.warning("%s: %s", partition.key, warning)
        log.info("checked %s (%d of %d): %s", partition.key, number, len(partitions), validation.reasons or "all rows")
    for reason, count in reasons.items():
        log.warning("%d rows are quarantined: %s", count, reason)
    return dict(reasons)


def publish(use_case: Folder, partitions: Sequence[Partition], origin: str) -> Ingested:
    """Version the staged partitions. Identical data makes no new revision. ``origin`` names the run in the history."""
    name = use_case.config.name
    key = ", ".join(span_key(span) for span in use_case.config.calendar.spans(partitions))
    with ExitStack() as stack:
        folders = {each.key: stack.enter_context(taken(staged(use_case, each), NOT_STAGED)) for each in partitions}
        counts = Counter[str]()
        for folder in folders.values():
            counts.update(_counted(folder))
        before = versions.pointers(name, versions.head(), list(folders))
        rows = f"{counts['accepted']} accepted, {counts['quarantined']} quarantined"
        revision = versions.publish(name, folders, f"{name}: {key}\n\nRun: {origin}\nRows: {rows}\n")
    after = versions.pointers(name, revision, list(folders))
    changed = tuple(each for each in folders if before.get(each) != after[each])
    for partition in partitions:
        shutil.rmtree(refused(use_case, partition), ignore_errors=True)
        alerts.resolve(name, "refused batch", partition.key)
    clean(name)
    log.info("published %s as revision %s: %s", key, revision[:12], dict(counts))
    return Ingested(revision, key, counts["landed"], counts["accepted"], counts["quarantined"], changed)


def staged(use_case: Folder, partition: Partition) -> Path:
    return get_settings().work / "staged" / use_case.config.name / partition.key


def refused(use_case: Folder, partition: Partition) -> Path:
    """Where a delivery is kept that was refused as a whole."""
    return get_settings().refused / use_case.config.name / partition.key


def quarantined(use_case: Folder, keys: Sequence[str], revision: str) -> dict[str, int]:
    """The number of quarantined rows of these partitions by table and reason."""
    reasons: Counter[str] = Counter()
    for files in versions.files(use_case.config.name, revision, list(keys)).values():
        reasons.update(read_json(files[RECORD])["quarantined"])
    return dict(reasons)


def _examine(
    use_case: Folder, partition: Partition, landed: Path, past: Past, rules: IngestionConfig | None
) -> tuple[Validation, dict[str, TableProfile]]:
    """What the suites and the recent past say of what landed. Without ``rules`` any change of the source is meant."""
    tables = landing.tables(landed)
    suites = use_case.expectations.suites(LandedBatch(partition, tables, past))
    limit = use_case.config.ingestion.quarantine_limit
    validation = validate(partition.key, tables, suites, limit=limit, past=partial(past.tables, partition))
    profiles = {name: profile(name, pl.scan_parquet(path)) for name, path in tables.items()}
    validation = _with_changes(validation, compare(profiles, past.profiles(partition)), rules)
    data_docs.build(use_case.config.name, validation)
    return validation, profiles


def _with_changes(validation: Validation, changes: tuple[Change, ...], rules: IngestionConfig | None) -> Validation:
    """Add how the delivery differs from those before it, and which of that refuses it by the rules."""
    forbidden = tuple(change for change in changes if rules and rules.severity(change.kind) == "batch")
    return replace(validation, changes=changes, forbidden=forbidden)


def _record(validation: Validation, counts: dict[str, dict[str, int]]) -> dict[str, Any]:
    """The small record that is kept with the data. It holds nothing that differs between two equal runs."""
    return {
        "partition": validation.partition,
        "success": validation.success,
        "failures": list(validation.failures),
        "warnings": list(validation.warnings),
        "counts": counts,
        "quarantined": validation.reasons,
        "changes": [change.to_dict() for change in validation.changes],
        "checks": [check.to_dict() for check in validation.checks],
    }


def _stage(folder: Path, landed: Path, validation: Validation, profiles: dict[str, TableProfile]) -> None:
    tables = landing.tables(landed)
    with replacing(folder) as draft:
        draft.mkdir()
        counts = {name: quarantine.part(path, validation.rejected.get(name), draft) for name, path in tables.items()}
        write_json(draft / PROFILE, {name: each.to_dict() for name, each in profiles.items()})
        write_json(draft / RECORD, _record(validation, counts))


def _keep_refused(
    use_case: Folder, partition: Partition, landed: Path, validation: Validation, profiles: dict[str, TableProfile]
) -> None:
    counts = {name: {"landed": each.rows, "accepted": 0, "quarantined": each.rows} for name, each in profiles.items()}
    with replacing(refused(use_case, partition)) as draft:
        link_tree(landed, draft)
        write_json(draft / RECORD, _record(validation, counts))
    alerts.raise_alert(use_case.config.name, "refused batch", partition.key, "; ".join(validation.failures))


def _counted(folder: Path) -> Counter[str]:
    """The rows of a staged partition, counted again in its files; ``AssertionError`` where the record has others."""
    counts: Counter[str] = Counter()
    for table, recorded in read_json(folder / RECORD)["counts"].items():
        put_aside = folder / quarantine.FOLDER / f"{table}.parquet"
        there = quarantine.rows(folder / f"{table}.parquet"), quarantine.rows(put_aside) if put_aside.is_file() else 0
        if there != (recorded["accepted"], recorded["quarantined"]) or sum(there) != recorded["landed"]:
            raise AssertionError(f"{folder}: {table}: {there} rows accepted and quarantined; recorded are {recorded}")
        counts.update(recorded)
    return counts
