"""What the pages show of the data: the partitions that were published or refused, and one of them in detail."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from include.contract.loading import Folder
from include.files import read_json
from include.ingestion import quarantine, versions
from include.ingestion.batch import RECORD
from include.ingestion.quarantine import REASON, VALUE
from include.settings import get_settings

SAMPLE = 20  # quarantined rows that are shown of a table


@dataclass(frozen=True)
class Day:
    """One partition: whether it was published or refused, its rows, and what was said of it."""

    key: str
    state: str
    landed: int
    accepted: int
    quarantined: int
    failures: tuple[str, ...]
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class Rows:
    """Quarantined rows of one table, as text."""

    table: str
    total: int
    columns: tuple[str, ...]
    shown: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Detail:
    """A partition with its checks, its quarantine and its versions, newest first."""

    day: Day
    counts: dict[str, dict[str, int]]
    checks: tuple[dict[str, Any], ...]
    reasons: dict[str, int]
    rows: tuple[Rows, ...]
    versions: tuple[versions.Version, ...]
    docs: tuple[str, ...]


def days(use_case: Folder, count: int = 60) -> list[Day]:
    """The newest partitions, newest first. Its cost does not grow with the history."""
    name = use_case.config.name
    revision = versions.head_or_none()
    keys = versions.keys(name, revision)[-count:] if revision else []
    published = versions.files(name, revision, keys) if revision and keys else {}
    found = {key: _day(key, "published", read_json(files[RECORD])) for key, files in published.items()}
    found |= {path.parent.name: _day(path.parent.name, "refused", read_json(path)) for path in _refused(name)}
    return [found[key] for key in sorted(found, reverse=True)][:count]


def detail(use_case: Folder, key: str) -> Detail | None:
    """One partition; None where it was neither published nor refused. A refusal is newer than what was published."""
    name = use_case.config.name
    refused = get_settings().refused / name / key / RECORD
    revision = versions.head_or_none()
    known = versions.pointers(name, revision, [key]) if revision else {}
    if refused.is_file():
        state, record, put_aside = "refused", read_json(refused), {}
    elif revision and known:
        files = versions.files(name, revision, [key])[key]
        state, record = "published", read_json(files[RECORD])
        put_aside = {Path(file).stem: path for file, path in files.items() if file.startswith(quarantine.FOLDER)}
    else:
        return None
    return Detail(
        day=_day(key, state, record),
        counts=record["counts"],
        checks=tuple(record["checks"]),
        reasons=record["quarantined"],
        rows=tuple(_rows(table, path) for table, path in sorted(put_aside.items())),
        versions=tuple(versions.log(name, key)) if known else (),
        docs=tuple(sorted(path.stem for path in (get_settings().data_docs / name / key).glob("*.html"))),
    )


def _refused(use_case: str) -> Sequence[Path]:
    return sorted((get_settings().refused / use_case).glob(f"[!.]*/{RECORD}"))


def _day(key: str, state: str, record: dict[str, Any]) -> Day:
    total = {each: sum(table[each] for table in record["counts"].values()) for each in ("landed", "accepted")}
    return Day(
        key=key,
        state=state,
        landed=total["landed"],
        accepted=total["accepted"],
        quarantined=total["landed"] - total["accepted"],
        failures=tuple(record["failures"]),
        warnings=tuple(record["warnings"]),
    )


def _rows(table: str, path: Path) -> Rows:
    frame = pl.read_parquet(path)
    first = [REASON, VALUE]
    columns = [*first, *(name for name in frame.columns if name not in first)]
    sample = frame.select(columns).head(SAMPLE).rows()
    shown = tuple(tuple("" if value is None else str(value) for value in row) for row in sample)
    return Rows(table, frame.height, tuple(columns), shown)
